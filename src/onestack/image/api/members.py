"""Members of shared images: the projects that they are shared with."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import seconds
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from onestack.core.http import Request
from onestack.image import access, quotas, schema
from onestack.image.models import Image, ImageMember


def render_member(row: ImageMember) -> dict[str, Any]:
    return {
        "image_id": row.image_id, "member_id": row.member_id, "status": row.status,
        "created_at": seconds(row.created_at), "updated_at": seconds(row.updated_at), "schema": "/v2/schemas/member",
    }  # fmt: skip


def _visible(req: Request, image: Image) -> sa.Select[ImageMember]:
    """The owner and admins see all members; a member sees itself."""
    query = sa.select(ImageMember).where(ImageMember.image_id == image.id)
    if not req.ctx.is_admin and image.owner != req.ctx.project_id:
        query = query.where(ImageMember.member_id == req.ctx.project_id)
    return query


def _shared(image: Image, image_id: str, verb: str) -> None:
    if image.visibility != "shared":
        why = ": Only shared images have members" if verb == "list" else ""
        raise Forbidden(f"Not allowed to {verb} members for image {image_id}{why}.")


def _field(body: Any, name: str, form: str) -> Any:
    """What a body says of one thing. Raises BadRequest; `form` is what is said of a body that is no object."""
    if body is None:
        raise BadRequest("Body expected in request.")
    if isinstance(body, list):
        raise BadRequest(f"Expected a {name} in the form: {form}")
    if name not in body:
        raise BadRequest("Member to be added not specified" if name == "member" else "Status not specified")
    return body[name]


def index(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        try:
            image = access.load(req, session, image_id)
        except NotFound:
            raise NotFound(f"Image {image_id} not found.") from None
        _shared(image, image_id, "list")
        rows = session.scalars(_visible(req, image).order_by(ImageMember.created_at, ImageMember.member_id))
        return {"members": [render_member(row) for row in rows], "schema": "/v2/schemas/members"}


def show(req: Request, image_id: str, member_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        image, shared = access.find_for_member(req, session, image_id)
        if image.visibility != "shared":
            raise NotFound("Only shared images have members.")
        row = session.scalars(_visible(req, image).where(ImageMember.member_id == member_id)).one_or_none()
        if row is None:
            raise _unknown(image_id, member_id)
        req.authorize(access.Target(image, req.ctx, shared))
        return render_member(row)


def create(req: Request, image_id: str) -> dict[str, Any]:
    member_id = _field(req.body, "member", '{"member": "image_id"}')
    if not member_id or not isinstance(member_id, str) or len(member_id) > 255:
        raise BadRequest("Member can't be empty")
    if any(ord(character) > 0xFFFF for character in member_id):
        raise BadRequest("Member can't contain 4 byte unicode characters.")
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        image = access.load_named(req, session, image_id)
        _shared(image, image_id, "create")
        count = session.scalar(sa.select(sa.func.count()).where(ImageMember.image_id == image.id)) or 0
        if session.get(ImageMember, (image.id, member_id)) is not None:
            raise Conflict(f"Member {member_id} is duplicated for image {image.id}")
        words = quotas.exceeded(req.cloud, "member", count + 1)
        if words is not None:
            raise TooLarge(f"Image member limit exceeded for image {image.id}: {words}:")
        row = ImageMember(image_id=image.id, member_id=member_id, status="pending", created_at=now, updated_at=now)
        session.add(row)
        return render_member(row)


def update(req: Request, image_id: str, member_id: str) -> dict[str, Any]:
    status = _field(req.body, "status", '{"status": "status"}')
    with req.cloud.db.write() as session:
        row = _row(req, session, image_id, member_id)
        if status not in schema.MEMBER_STATUSES:  # only a member is told that, as in Glance
            raise BadRequest('Incorrect request: Status must be "pending", "accepted" or "rejected".')
        row.status = status
        row.updated_at = req.cloud.clock.now()
        return render_member(row)


def _row(req: Request, session: Session, image_id: str, member_id: str) -> ImageMember:
    """A membership that is about to be answered by the member itself."""
    image, shared = access.find_for_member(req, session, image_id, for_update=True)
    if image.visibility != "shared":
        raise Forbidden(f"Not allowed to update members for image {image_id}.")
    row = session.scalars(_visible(req, image).where(ImageMember.member_id == member_id)).one_or_none()
    if row is None:
        raise _unknown(image_id, member_id)
    own = {**access.Target(image, req.ctx, shared), "member_id": member_id}
    req.authorize(own)
    return row


def delete(req: Request, image_id: str, member_id: str) -> None:
    with req.cloud.db.write() as session:
        image, shared = access.find_for_member(req, session, image_id, for_update=True)
        _shared(image, image_id, "delete")
        row = session.scalars(_visible(req, image).where(ImageMember.member_id == member_id)).one_or_none()
        if row is None:
            raise _unknown(image_id, member_id)
        req.authorize(access.Target(image, req.ctx, shared))
        session.delete(row)


def _unknown(image_id: str, member_id: str) -> NotFound:
    return NotFound(f"{member_id} not found in the member list of the image {image_id}.")
