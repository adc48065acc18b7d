"""Files beside the stores that no row wants any more: what a crash left behind, and what another node made superfluous.

Everything is looked at when the server starts; after that, now and then, only what loses its owner without this node
being told: staged data, copies in the cache and converted images, when an image is deleted or imported elsewhere.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.operations import Operation
from onestack.image import cache, store
from onestack.image.drivers.file import FileStore
from onestack.image.models import Image
from onestack.image.models_stores import CachedImage, ImageLocation
from onestack.image.store import in_use
from onestack.image.stores import stores

log = logging.getLogger(__name__)

TOPIC = "image-files"  # something was deleted that another node may have files of
_SECONDS = 30.0


class Sweeper:
    """The thread that sweeps."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="image-files", daemon=True)

    def start(self) -> None:
        adopt(self.cloud)
        everything(self.cloud)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.cloud.wakeups.notify(TOPIC)
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _loop(self) -> None:
        while not self._stop.is_set():
            seen = self.cloud.wakeups.seen(TOPIC)
            try:
                superfluous(self.cloud)
            except Exception:
                log.exception("the sweeper of image files stumbled; it goes on")
            self.cloud.wakeups.wait(TOPIC, seen, _SECONDS)


def adopt(cloud: Cloud) -> None:
    """Rows from before there were nodes are those of the node that has the files."""
    folder = store.directory(cloud)
    staged = [_image_of(file) for file in folder.glob("staging/*.staged")]
    with cloud.db.write() as session:
        cache.adopt(session, cloud, [file.name for file in folder.glob("cache/*")])
        session.execute(
            sa.update(Image)
            .where(Image.staged.is_not(None), Image.staged_on.is_(None), Image.id.in_(staged))
            .values(staged_on=cloud.node)
        )


def everything(cloud: Cloud) -> list[str]:
    """Remove orphaned files; returns their names. Files with names that aren't ours are left alone.

    Files are listed before the rows are read: what another server begins meanwhile is not among them, and an object of
    a store has its row before its first byte.
    """
    folder = store.directory(cloud)
    kept = [one for one in stores(cloud) if isinstance(one, FileStore)]
    objects = [(one.name, key, file) for one in kept for key, file in one.files()]
    ours = _ours([*folder.glob("*.boot"), *folder.glob("staging/*"), *folder.glob("cache/*")])
    with cloud.db.write() as session:
        query = sa.select(ImageLocation.store, ImageLocation.object_key)
        owned = {(row.store, row.object_key) for row in session.execute(query)}
        orphans = [file for name, key, file in objects if (name, key) not in owned]
        return _remove([*orphans, *_confirmed(session, cloud, _orphans(session, cloud, ours))])


def superfluous(cloud: Cloud) -> list[str]:
    """Remove what only other nodes can have orphaned; returns the names."""
    folder = store.directory(cloud)
    imported = [file for name in store.OF_IMPORTS for file in folder.glob(f"staging/*.{name}")]
    ours = _ours([*folder.glob("*.boot"), *imported, *folder.glob("cache/*")])
    if not ours:
        return []
    with cloud.db.read() as session:
        found = _orphans(session, cloud, ours)
    if not found:
        return []
    with cloud.db.write() as session:
        return _remove(_confirmed(session, cloud, found))


def _ours(files: Sequence[Path]) -> list[Path]:
    return [file for file in files if file.is_file() and store.UUID.match(_image_of(file))]


def _image_of(file: Path) -> str:
    return file.name.partition(".")[0]


def _orphans(session: Session, cloud: Cloud, files: Sequence[Path]) -> list[Path]:
    """Those of the files that nothing wants."""
    working = sa.exists().where(Operation.object_id == Image.id, Operation.finished_at.is_(None))
    query = sa.select(Image.id, Image.status, Image.staged, Image.staged_on, working.label("working"))
    query = query.where(Image.id.in_({_image_of(file) for file in files}))
    rows = {row.id: row for row in session.execute(query)}
    copies = sa.select(CachedImage.image_id).where(CachedImage.node == cloud.node)
    cached = set(session.scalars(copies))
    return [file for file in files if not _wanted(cloud, file, rows.get(_image_of(file)), cached)]


def _confirmed(session: Session, cloud: Cloud, files: Sequence[Path]) -> list[Path]:
    """Another server's upload may have ended since: its row is held until it has."""
    found = []
    for file in files:
        session.execute(sa.select(Image.id).where(Image.id == _image_of(file)).with_for_update())
        found += _orphans(session, cloud, [file])
    return found


def _wanted(cloud: Cloud, file: Path, image: Any, cached: set[str]) -> bool:
    """`image`: id, status, staged, staged_on, and whether work on it is under way; None: there is none."""
    if file.parent == store.directory(cloud):
        return image is not None and image.status in ("active", "deactivated")
    if file.parent.name == "cache":
        return _image_of(file) in cached or in_use(file)
    kind = file.name.partition(".")[2]
    if kind in store.OF_IMPORTS:  # they aren't locked all the time
        here = image is not None and image.staged is not None and image.staged_on in (None, cloud.node)
        return (image is not None and image.working) or (here and kind == "staged")
    return in_use(file.with_suffix("") if file.suffix == ".boot" else file)


def _remove(files: Sequence[Path]) -> list[str]:
    for file in files:
        file.unlink(missing_ok=True)
    return [file.name for file in files]
