"""The image cache: copies of images beside the server, for those whose data is in stores that are farther away.

A copy is made on request (PUT /v2/cache/{id}), or when an image of a remote store is downloaded. Where the data is a
file on the same file system the copy is a link. Beyond `image_cache_max_size` the least recently used ones go.
"""

from __future__ import annotations

import logging
import os

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.db import on_commit
from onestack.core.operations import Operation
from onestack.image import downloads, reading, store
from onestack.image.models import Image
from onestack.image.models_stores import CachedImage
from onestack.image.stores import stores

log = logging.getLogger(__name__)

QUEUED, CACHED = "queued", "cached"


def _work(image_id: str) -> str:
    """The operation's object: not the image, which may be imported meanwhile."""
    return f"cache:{image_id}"


def queue(session: Session, cloud: Cloud, image_id: str) -> None:
    """The image will be in the cache; nothing happens when it is, or already will be."""
    now = cloud.clock.now()
    if session.get(CachedImage, image_id) is None:
        session.add(CachedImage(image_id=image_id, state=QUEUED, size=0, hits=0, accessed_at=now, modified_at=now))
    if operations.unfinished(session, _work(image_id)) is None:
        operations.enqueue(
            session, cloud, action="cache", object_type="image_cache", object_id=_work(image_id),
            args={"image_id": image_id},
        )  # fmt: skip


def drop(session: Session, cloud: Cloud, image_ids: list[str]) -> None:
    """The images are neither in the cache nor queued."""
    session.execute(sa.delete(CachedImage).where(CachedImage.image_id.in_(image_ids)))

    def remove() -> None:
        for image_id in image_ids:
            store.cache_path(cloud, image_id).unlink(missing_ok=True)

    on_commit(session, remove)


def used(cloud: Cloud, image_id: str) -> None:
    """Somebody reads the image: a hit for one that is in the cache, a reason to fetch one that is only far away."""
    with cloud.db.read() as session:
        row = session.get(CachedImage, image_id)
        image = session.get(Image, image_id)
        if image is None:
            return
        source = reading.source(cloud, session, image)
    if row is None and (_near(cloud, source) or source.size > cloud.settings.image.image_cache_max_size):
        return
    with cloud.db.write() as session:
        if row is None:
            queue(session, cloud, image_id)
            return
        session.execute(
            sa.update(CachedImage)
            .where(CachedImage.image_id == image_id)
            .values(hits=CachedImage.hits + 1, accessed_at=cloud.clock.now())
        )


def _near(cloud: Cloud, source: reading.Source) -> bool:
    known = [(stores(cloud).find(name), key) for name, key in source.objects]
    return any(one is not None and one.local(key) is not None for one, key in known)


def run(cloud: Cloud, operation_id: str) -> None:
    with cloud.db.read() as session:
        operation = session.get_one(Operation, operation_id)
        image_id = str(operation.args["image_id"])
        row, image = session.get(CachedImage, image_id), session.get(Image, image_id)
        source = reading.source(cloud, session, image) if image is not None else None
    if row is not None and row.state == QUEUED and source is not None:
        target = store.cache_path(cloud, image_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _link(cloud, source, image_id):
            downloads.into(cloud, image_id, target, downloads.from_store(cloud, source))
    with cloud.db.write() as session:
        row = session.get(CachedImage, image_id)
        if row is None or source is None:
            drop(session, cloud, [image_id])
        elif row.state == QUEUED:
            row.state, row.size, row.modified_at = CACHED, source.size, cloud.clock.now()
        operations.finish(session, cloud, session.get_one(Operation, operation_id))
    prune(cloud)


def _link(cloud: Cloud, source: reading.Source, image_id: str) -> bool:
    for name, key in source.objects:
        one = stores(cloud).find(name)
        file = one.local(key) if one is not None else None
        if file is not None:
            target = store.cache_path(cloud, image_id)
            target.unlink(missing_ok=True)
            try:
                os.link(file, target)
            except OSError:
                continue
            return True
    return False


def failed(cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
    log.warning("image %s can't be cached: %s", operation.args["image_id"], error)
    drop(session, cloud, [str(operation.args["image_id"])])


def prune(cloud: Cloud) -> tuple[int, int]:
    """Files and bytes that went because the cache was too large."""
    with cloud.db.write() as session:
        query = sa.select(CachedImage).where(CachedImage.state == CACHED).order_by(CachedImage.accessed_at)
        rows = list(session.scalars(query))
        excess = sum(row.size for row in rows) - cloud.settings.image.image_cache_max_size
        gone: list[CachedImage] = []
        while excess > 0 and rows:
            gone.append(rows.pop(0))
            excess -= gone[-1].size
        drop(session, cloud, [row.image_id for row in gone])
        return len(gone), sum(row.size for row in gone)
