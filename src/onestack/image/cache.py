"""The image cache: copies of images beside the server, for those whose data is in stores that are farther away. Each
node has its own, and makes its copies itself.

A copy is made on request (PUT /v2/cache/{id}), or when an image of a remote store is downloaded. Where the data is a
file on the same file system the copy is a link. Beyond `image_cache_max_size` the least recently used ones go.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from typing import Any

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


def _work(node: str, image_id: str) -> str:
    """The operation's object: not the image, which may be imported meanwhile, or cached by another node."""
    return f"cache:{uuid.uuid5(uuid.UUID(image_id), node)}"


def held(session: Session, cloud: Cloud, image_id: str) -> CachedImage | None:
    """What this node's cache has, or will have, of an image."""
    return session.get(CachedImage, (cloud.node, image_id))


def rows(cloud: Cloud) -> sa.Select[Any]:
    """All that is in this node's cache, or queued for it."""
    return sa.select(CachedImage).where(CachedImage.node == cloud.node)


def queue(session: Session, cloud: Cloud, image_id: str) -> None:
    """The image will be in this node's cache; nothing happens when it is, or already will be."""
    now = cloud.clock.now()
    if held(session, cloud, image_id) is None:
        session.add(
            CachedImage(
                node=cloud.node, image_id=image_id, state=QUEUED, size=0, hits=0, accessed_at=now, modified_at=now
            )
        )
    if operations.unfinished(session, _work(cloud.node, image_id)) is None:
        operations.enqueue(
            session, cloud, action="cache", object_type="image_cache", object_id=_work(cloud.node, image_id),
            args={"image_id": image_id}, node=cloud.node,
        )  # fmt: skip


def drop(session: Session, cloud: Cloud, image_ids: list[str]) -> None:
    """The images are neither in this node's cache nor queued for it."""
    session.execute(sa.delete(CachedImage).where(CachedImage.node == cloud.node, CachedImage.image_id.in_(image_ids)))

    def remove() -> None:
        for image_id in image_ids:
            store.cache_path(cloud, image_id).unlink(missing_ok=True)

    on_commit(session, remove)


def forget(session: Session, cloud: Cloud, image_id: str) -> set[str]:
    """The image is gone: no node has it cached, or is to cache it. Which ones had; their files are theirs to remove."""
    query = sa.delete(CachedImage).where(CachedImage.image_id == image_id).returning(CachedImage.node)
    nodes = set(session.scalars(query))
    for node in nodes:
        operations.withdraw(session, cloud, _work(node, image_id), f"No image found with ID {image_id}")
    return nodes


def adopt(session: Session, cloud: Cloud, files: Sequence[str]) -> None:
    """Rows from before there were nodes: what was queued, and the copies that are here. No node has the others."""
    here = sa.or_(CachedImage.state == QUEUED, CachedImage.image_id.in_(files))
    taken = sa.select(CachedImage.image_id).where(CachedImage.node == cloud.node)
    adopted = session.execute(
        sa.update(CachedImage)
        .where(CachedImage.node == "", here, CachedImage.image_id.not_in(taken))
        .values(node=cloud.node)
        .returning(CachedImage.image_id, CachedImage.state)
        .execution_options(synchronize_session=False)
    ).all()
    for row in adopted:
        if row.state == QUEUED:
            queue(session, cloud, row.image_id)
    session.execute(sa.delete(CachedImage).where(CachedImage.node == ""))


def used(cloud: Cloud, image_id: str) -> None:
    """Somebody reads the image: a hit for one that is in the cache, a reason to fetch one that is only far away."""
    with cloud.db.read() as session:
        row = held(session, cloud, image_id)
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
            .where(CachedImage.node == cloud.node, CachedImage.image_id == image_id)
            .values(hits=CachedImage.hits + 1, accessed_at=cloud.clock.now())
        )


def _near(cloud: Cloud, source: reading.Source) -> bool:
    known = [(stores(cloud).find(name), key) for name, key in source.objects]
    return any(one is not None and one.local(key) is not None for one, key in known)


def run(cloud: Cloud, operation_id: str) -> None:
    with cloud.db.read() as session:
        operation = session.get_one(Operation, operation_id)
        image_id = str(operation.args["image_id"])
        row, image = held(session, cloud, image_id), session.get(Image, image_id)
        source = reading.source(cloud, session, image) if image is not None else None
    if row is not None and row.state == QUEUED and source is not None:
        target = store.cache_path(cloud, image_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _link(cloud, source, image_id):
            downloads.into(cloud, image_id, target, downloads.from_store(cloud, source))
    with cloud.db.write() as session:
        row = held(session, cloud, image_id)
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
        query = rows(cloud).where(CachedImage.state == CACHED).order_by(CachedImage.accessed_at)
        cached = list(session.scalars(query))
        excess = sum(row.size for row in cached) - cloud.settings.image.image_cache_max_size
        gone: list[CachedImage] = []
        while excess > 0 and cached:
            gone.append(cached.pop(0))
            excess -= gone[-1].size
        drop(session, cloud, [row.image_id for row in gone])
        return len(gone), sum(row.size for row in gone)
