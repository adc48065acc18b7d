"""Who sees an image, and what policy is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, object_session

from onestack.core.context import Context
from onestack.core.errors import Forbidden, NotFound
from onestack.core.http import Request
from onestack.image.models import Image, ImageMember, ImageProperty


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


_ATTRIBUTES = frozenset(
    ("name", "status", "disk_format", "container_format", "size", "virtual_size", "min_disk", "min_ram", "checksum",
     "os_hash_algo", "os_hash_value", "protected", "os_hidden", "created_at", "updated_at")
)  # fmt: skip


class Target(dict[str, Any]):
    """What Glance's rules compare with. An operator's rule may ask for any attribute, and for custom properties: those
    are looked up when one does, where they aren't given, and hide nothing that Glance says itself."""

    def __init__(
        self, image: Any, ctx: Context, shared: bool, properties: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        super().__init__(
            project_id=image.owner, owner=image.owner, tenant=image.owner, visibility=image.visibility, id=image.id,
            image_id=image.id, member_id=ctx.project_id if shared else None,
        )  # fmt: skip
        self._image = image
        self._properties = properties

    def __missing__(self, name: str) -> Any:
        if name in _ATTRIBUTES:
            return getattr(self._image, name)
        if self._properties is not None:
            return self._properties[name]
        session = object_session(self._image)
        row = None if session is None else session.get(ImageProperty, (self._image.id, name))
        if row is None:
            raise KeyError(name)
        return row.value


def load(req: Request, session: Session, image_id: str, rule: str | None = None, *, for_update: bool = False) -> Image:
    """The image, authorized for the route's rule or the one named. Raises NotFound, Forbidden."""
    image, shared = find(session, req.ctx, image_id, for_update=for_update)
    what = Target(image, req.ctx, shared)
    try:
        req.authorize(what, rule)
    except Forbidden:
        # Who may not even see the image isn't told that it exists.
        if (rule or req.route.policy) == "get_image" or not req.allows("get_image", what):
            raise missing(image_id) from None
        raise
    return image


def listed(req: Request, rows: Sequence[Any], properties: Mapping[str, Mapping[str, str]]) -> list[Any]:
    """Those of a list's rows that the operator's rule lets the caller see, too: an image that is shared and not theirs
    is in it because they are a member. `properties`: the custom ones of each."""
    mine = req.ctx.project_id
    return [
        row
        for row in rows
        if req.allows(
            "get_image", Target(row, req.ctx, row.visibility == "shared" and row.owner != mine, properties[row.id])
        )
    ]


def find_for_member(
    req: Request, session: Session, image_id: str, *, for_update: bool = False
) -> tuple[Image, bool]:  # fmt: skip
    """Like `find`, for what is about a membership; who may not see the image by the rules doesn't find it."""
    try:
        image, shared = find(session, req.ctx, image_id, for_update=for_update)
    except NotFound:
        raise NotFound(f"Image {image_id} not found.") from None
    if not req.allows("get_image", Target(image, req.ctx, shared)):
        raise NotFound(f"Image {image_id} not found.")
    return image, shared


def load_named(req: Request, session: Session, image_id: str) -> Image:
    """The image, to be changed, in the words that tags and members have where there is none."""
    try:
        return load(req, session, image_id, for_update=True)
    except NotFound:
        raise NotFound(f"Image {image_id} not found.") from None
