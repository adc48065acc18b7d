"""The image cache of the node that is asked: https://docs.openstack.org/api-ref/image/v2/#cache-manage."""

from __future__ import annotations

import datetime
from typing import Any

from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.image import access, cache
from onestack.image.models_stores import CachedImage


def _unknown(image_id: str) -> NotFound:
    return NotFound(f"Image {image_id} not found.")


def _epoch(moment: datetime.datetime) -> float:
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = session.scalars(cache.rows(req.cloud).order_by(CachedImage.image_id)).all()
    cached = [
        {
            "image_id": row.image_id, "hits": row.hits, "last_accessed": _epoch(row.accessed_at),
            "last_modified": _epoch(row.modified_at), "size": row.size,
        }
        for row in rows
        if row.state == cache.CACHED
    ]  # fmt: skip
    return {"cached_images": cached, "queued_images": [row.image_id for row in rows if row.state == cache.QUEUED]}


def clear(req: Request) -> None:
    target = (req.header("X-Image-Cache-Clear-Target") or "").lower()
    states = {"": (cache.CACHED, cache.QUEUED), "cache": (cache.CACHED,), "queue": (cache.QUEUED,)}.get(target)
    if states is None:
        raise BadRequest("If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.")
    with req.cloud.db.write() as session:
        gone = session.scalars(cache.rows(req.cloud).where(CachedImage.state.in_(states)))
        cache.drop(session, req.cloud, [row.image_id for row in gone])


def queue(req: Request, image_id: str) -> None:
    with req.cloud.db.write() as session:
        try:
            image, _ = access.find(session, req.ctx, image_id)
        except NotFound:
            raise _unknown(image_id) from None
        if image.status != "active":
            raise BadRequest("Only images with status active can be targeted for queueing")
        cache.queue(session, req.cloud, image.id)


def delete(req: Request, image_id: str) -> None:
    with req.cloud.db.write() as session:
        if cache.held(session, req.cloud, image_id.lower()) is None:
            try:
                access.find(session, req.ctx, image_id)
            except NotFound:
                raise _unknown(image_id) from None
            return
        cache.drop(session, req.cloud, [image_id.lower()])


def clean(req: Request) -> None:
    """Rows and files are kept together by the start's sweep; what stalled is asked for again."""
    with req.cloud.db.write() as session:
        for row in session.scalars(cache.rows(req.cloud).where(CachedImage.state == cache.QUEUED)).all():
            cache.queue(session, req.cloud, row.image_id)


def prune(req: Request) -> dict[str, int]:
    files, size = cache.prune(req.cloud)
    return {"total_files_pruned": files, "total_bytes_pruned": size}


def nodes(req: Request, image_id: str) -> None:
    raise Conflict("Centralized caching is not enabled")
