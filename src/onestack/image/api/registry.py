"""The registry: what API v1 knows of images, as JSON on a port of its own (9191).

Glance's API asked it once; some tools of operators still do. There is one database here, so it is a view of it, under
the same rules as API v1: the status of an image follows from its data, and data comes through the API.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request
from onestack.image import access, locations, registry, v1_data, v1_listing, v1_meta, v1_properties
from onestack.image.api import images, v1_images
from onestack.image.models import Image

_MISSING, _DENIED = "The resource could not be found.", "Access was denied to this resource."
_OPEN = ("public", "community")


def detail(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = v1_listing.page(req, session)
        properties = v1_properties.shown_of_all(req, session, [row.id for row in rows])
        return {"images": registry.render(req, session, rows, properties)}


def show(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        try:
            return _shown(req, session, v1_images.find(req, session, image_id))
        except NotFound:
            raise NotFound(_MISSING) from None


def _shown(req: Request, session: Session, image: Image) -> dict[str, Any]:
    properties = v1_properties.shown_of_all(req, session, [image.id])
    return {"image": registry.render(req, session, [image], properties)[0]}


def _made(req: Request, image_id: str) -> dict[str, Any]:
    """What has just been written. Raises NotFound when somebody has deleted it since."""
    with req.cloud.db.read() as session:
        image = session.get(Image, image_id)
        if image is None:
            raise NotFound(_MISSING)
        return _shown(req, session, image)


def create(req: Request) -> dict[str, Any]:
    asked = registry.read(req.body, req.cloud.settings.image)
    if len(asked.urls) > 1:
        raise BadRequest("It's invalid to provide multiple image sources.")
    source = v1_data.located(req, asked.urls[0]) if asked.urls else None
    status = "queued" if source is None else "active"
    if asked.meta.values.get("status", status) != status:
        raise Forbidden("Forbidden to modify 'status' of image.")
    try:
        return _made(req, v1_images.register(req, asked.meta, source))
    except Conflict:
        raise Conflict(f"Image with identifier {asked.meta.values.get('id')} already exists!") from None


def update(req: Request, image_id: str) -> dict[str, Any]:
    asked = registry.read(req.body, req.cloud.settings.image)
    with _changing(req, image_id, plain=True):
        source = _new_place(req, image_id, asked.urls)
        purge = req.header("X-Glance-Registry-Purge-Props") == "true"
        return _made(
            req, v1_images.change(req, image_id, asked.meta, source, purge=purge, from_state=asked.from_state)
        )  # fmt: skip


def _new_place(req: Request, image_id: str, urls: list[str]) -> v1_data.Source | None:
    """Where the data is that the image gets; those who only send back what they were shown change nothing."""
    with req.cloud.db.read() as session:
        image = v1_images.find(req, session, image_id, "modify_image")
        have = locations.of_images(req.cloud, session, [image.id])[image.id]
        new = [url for url in urls if url not in {one["url"] for one in have}]
        if new and image.status != "queued":
            raise BadRequest("Attempted to update Location field for an image not in queued status.")
    if len(new) > 1:
        raise BadRequest("It's invalid to provide multiple image sources.")
    return v1_data.located(req, new[0]) if new else None


def delete(req: Request, image_id: str) -> dict[str, Any]:
    with _changing(req, image_id):
        with req.cloud.db.read() as session:
            shown = _shown(req, session, v1_images.find(req, session, image_id))
        images.delete(req, image_id)
    shown["image"] |= {"deleted": True, "deleted_at": v1_meta.time(req.cloud.clock.now()), "status": "deleted"}
    return shown


@contextlib.contextmanager
def _changing(req: Request, image_id: str, *, plain: bool = False) -> Iterator[None]:
    """What is shared with the caller, who isn't its owner, is as good as not there."""
    missing = NotFound("Image not found", extra={"plain": True}) if plain else NotFound(_MISSING)
    try:
        yield
    except NotFound:
        raise missing from None
    except Forbidden as refused:
        if refused.extra.get("rule") != req.route.policy:
            raise
        with req.cloud.db.read() as session:
            image, _ = access.find(session, req.ctx, image_id)
        if image.visibility in _OPEN:
            raise Forbidden(_DENIED) from None
        raise missing from None
