"""Files of the image service beside the stores: `images/<id>.boot` converted, `images/staging/` what is on its way,
`images/cache/` copies.

What comes in is written below staging/, hashed while it passes, flushed to the disk, and handed to a store
(objects.py). Whoever writes a staging file holds a lock on it, so that what a dead process left behind can be told from
what is being written and swept away.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from onestack.core.cloud import Cloud
from onestack.image import quotas
from onestack.image.drivers.file import FileStore
from onestack.image.drivers.file import sync as _sync
from onestack.image.models import Image
from onestack.image.models_stores import CachedImage, ImageLocation
from onestack.image.stores import stores

ALGORITHM = "sha512"
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Digest(msgspec.Struct, frozen=True):
    """What is known of data that was received."""

    size: int
    checksum: str  # md5
    os_hash_value: str  # sha512


def directory(cloud: Cloud) -> Path:
    return cloud.settings.path("images")


def path(cloud: Cloud, image_id: str) -> Path:
    """Where the data of an image is. Ids that aren't UUIDs name no file."""
    if not _UUID.match(image_id.lower()) or str(uuid.UUID(image_id)) != image_id.lower():
        raise ValueError(f"{image_id!r} is not the id of an image")
    return directory(cloud) / image_id.lower()


def boot_path(cloud: Cloud, image_id: str) -> Path:
    return path(cloud, image_id).with_suffix(".boot")


def cache_path(cloud: Cloud, image_id: str) -> Path:
    """The copy of an image in the cache."""
    return directory(cloud) / "cache" / path(cloud, image_id).name


def staged_path(cloud: Cloud, image_id: str) -> Path:
    """Staged data that waits for its import."""
    return directory(cloud) / "staging" / f"{path(cloud, image_id).name}.staged"


class Staging:
    """A file that is being received, of at most as many bytes as its owner may still store. All of it blocks: call it
    in a thread, one after the other."""

    def __init__(self, cloud: Cloud, image_id: str) -> None:
        self._left = quotas.left_for(cloud, image_id)
        folder = directory(cloud) / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{path(cloud, image_id).name}.{secrets.token_hex(8)}"
        self.size = 0
        # Two hashes and the writing take about the same time each, so each has a thread.
        self._hashing = ThreadPoolExecutor(2, thread_name_prefix="image-hash")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115 (closed by finish or discard)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def fits(self, size: int) -> None:
        """Raises TooLarge when this is more than may be stored."""
        if self._left is not None and size > self._left:
            raise quotas.too_much(size, self._left)

    def write(self, data: bytes | memoryview) -> None:
        """Nobody looks at `data` any more when it returns. Raises OSError when the disk is full, TooLarge."""
        self.fits(self.size + len(data))
        hashing = [self._hashing.submit(digest.update, data) for digest in (self._sha512, self._md5)]
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        finally:
            wait(hashing)
        self.size += len(data)

    def finish(self) -> Digest:
        """Everything is on the disk; the file stays locked until `discard`."""
        os.fsync(self._file.fileno())
        return Digest(self.size, self._md5.hexdigest(), self._sha512.hexdigest())

    def discard(self) -> None:
        """Remove the file where it wasn't renamed; close it."""
        self.path.unlink(missing_ok=True)
        self._file.close()
        self._hashing.shutdown(wait=False)


def move(source: Path, target: Path) -> None:
    """Rename, and make the rename itself durable."""
    os.replace(source, target)
    _sync(target.parent)
    if source.parent != target.parent:
        _sync(source.parent)


def hash_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, ALGORITHM).hexdigest()


def remove(cloud: Cloud, image_id: str) -> None:
    """No file of the image is left outside of the stores."""
    for file in (boot_path(cloud, image_id), staged_path(cloud, image_id), cache_path(cloud, image_id)):
        file.unlink(missing_ok=True)


def receiving(cloud: Cloud, image_id: str) -> bool:
    """Whether data of the image is being received right now."""
    files = (directory(cloud) / "staging").glob(f"{path(cloud, image_id).name}.*")
    return any(_in_use(file) for file in files)


class Sweeper:
    """At the start of the server: files that no image owns are what a crash left behind, and go."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def start(self) -> None:
        sweep(self.cloud)

    def stop(self) -> None:
        """Nothing runs on."""


def sweep(cloud: Cloud) -> list[str]:
    """Remove orphaned files; returns their names. Files with names that aren't ours are left alone.

    Files are listed before the rows are read: what another server begins meanwhile is not among them, and an object of
    a store has its row before its first byte.
    """
    folder = directory(cloud)
    ours = [*folder.glob("*.boot"), *folder.glob("staging/*"), *folder.glob("cache/*")]
    ours = [file for file in ours if file.is_file() and _UUID.match(_image_of(file))]
    kept = [one for one in stores(cloud) if isinstance(one, FileStore)]
    objects = [(one.name, key, file) for one in kept for key, file in one.files()]
    removed = []
    with cloud.db.write() as session:
        query = sa.select(ImageLocation.store, ImageLocation.object_key)
        owned = {(row.store, row.object_key) for row in session.execute(query)}
        orphans = [file for name, key, file in objects if (name, key) not in owned]
        query = sa.select(Image.id, Image.status, Image.staged, CachedImage.state)
        query = query.outerjoin(CachedImage, CachedImage.image_id == Image.id)
        rows = {row.id.lower(): row for row in session.execute(query)}
        for file in ours:
            if not _owned(file, folder, rows.get(_image_of(file))):
                # Another server's upload may have ended since: its row is held until it has.
                session.execute(sa.select(Image.id).where(Image.id == _image_of(file)).with_for_update())
                now = session.execute(query.where(Image.id == _image_of(file))).one_or_none()
                if not _owned(file, folder, now):
                    orphans.append(file)
        for file in orphans:
            file.unlink(missing_ok=True)
            removed.append(file.name)
    return removed


def _image_of(file: Path) -> str:
    return file.name.partition(".")[0]


def _owned(file: Path, folder: Path, image: Any) -> bool:
    """Whether `image` (id, status, staged, state of its cached copy; None: there is none) wants the file."""
    if file.parent == folder:
        return image is not None and image.status in ("active", "deactivated")
    if file.parent.name == "cache":
        return (image is not None and image.state == "cached") or _in_use(file)
    if file.suffix == ".staged":
        return image is not None and image.staged is not None
    return _in_use(file.with_suffix("") if file.suffix == ".boot" else file)


def _in_use(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
