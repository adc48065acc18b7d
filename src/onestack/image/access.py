"""Who sees an image, and what policy is told of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import Forbidden, NotFound
from onestack.core.http import Request
from onestack.image.models import Image, ImageMember


def missing(image_id: str) -> NotFound:
    return NotFound(f"No image found with ID {image_id}")


_IMAGE = sa.select(Image).where(Image.id == sa.bindparam("id"))


def find(session: Session, ctx: Context, image_id: str, *, for_update: bool = False) -> tuple[Image, bool]:
    """The image, and whether it is shared with the caller's project. Raises NotFound when the caller can't see it."""
    query = _IMAGE.with_for_update() if for_update else _IMAGE
    image = session.scalars(query, {"id": image_id.lower()}).one_or_none()
    if image is None:
        raise missing(image_id)
    shared = False
    if image.visibility == "shared" and ctx.project_id is not None and image.owner != ctx.project_id:
        shared = session.get(ImageMember, (image.id, ctx.project_id)) is not None
    open_to_all = image.visibility in ("public", "community") or image.owner is None
    if not (ctx.is_admin or open_to_all or shared or image.owner == ctx.project_id):
        raise missing(image_id)
    return image, shared


def target(image: Image, ctx: Context, shared: bool) -> dict[str, Any]:
    """What Glance's rules compare with."""
    return {
        "project_id": image.owner,
        "owner": image.owner,
        "tenant": image.owner,
        "visibility": image.visibility,
        "image_id": image.id,
        "member_id": ctx.project_id if shared else None,
    }


def load(req: Request, session: Session, image_id: str, rule: str | None = None, *, for_update: bool = False) -> Image:
    """The image, authorized for the route's rule or the one named. Raises NotFound, Forbidden."""
    image, shared = find(session, req.ctx, image_id, for_update=for_update)
    what = target(image, req.ctx, shared)
    try:
        req.authorize(what, rule)
    except Forbidden:
        # Who may not even see the image isn't told that it exists.
        if (rule or req.route.policy) == "get_image" or not req.allows("get_image", what):
            raise missing(image_id) from None
        raise
    return image


def find_for_member(
    req: Request, session: Session, image_id: str, *, for_update: bool = False
) -> tuple[Image, bool]:  # fmt: skip
    """Like `find`, for what is about a membership; who may not see the image by the rules doesn't find it."""
    try:
        image, shared = find(session, req.ctx, image_id, for_update=for_update)
    except NotFound:
        raise NotFound(f"Image {image_id} not found.") from None
    if not req.allows("get_image", target(image, req.ctx, shared)):
        raise NotFound(f"Image {image_id} not found.")
    return image, shared


def load_named(req: Request, session: Session, image_id: str) -> Image:
    """The image, to be changed, in the words that tags and members have where there is none."""
    try:
        return load(req, session, image_id, for_update=True)
    except NotFound:
        raise NotFound(f"Image {image_id} not found.") from None
