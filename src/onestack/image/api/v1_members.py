"""API v1: the projects that an image is shared with. https://docs.openstack.org/api-ref/image/v1/"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.http import Request, Response
from onestack.image import quotas
from onestack.image.api import v1_images
from onestack.image.models import Image, ImageMember


def index(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        image = v1_images.find(req, session, image_id, "get_image")
        query = sa.select(ImageMember).where(ImageMember.image_id == image.id)
        if not req.ctx.is_admin and image.owner != req.ctx.project_id:
            query = query.where(ImageMember.member_id == req.ctx.project_id)
        rows = session.scalars(query.order_by(ImageMember.created_at, ImageMember.member_id))
        return {"members": [{"member_id": row.member_id, "can_share": row.can_share} for row in rows]}


def shared_images(req: Request, member_id: str) -> dict[str, Any]:
    """The images that are shared with a project, as far as the caller may know."""
    query = (
        sa.select(ImageMember).join(Image, Image.id == ImageMember.image_id).where(ImageMember.member_id == member_id)
    )
    if not req.ctx.is_admin:
        query = query.where(sa.or_(Image.owner == req.ctx.project_id, ImageMember.member_id == req.ctx.project_id))
    with req.cloud.db.read() as session:
        rows = session.scalars(query.order_by(ImageMember.created_at, ImageMember.image_id))
        return {"shared_images": [{"image_id": row.image_id, "can_share": row.can_share} for row in rows]}


def _sharable(req: Request, session: Session, image_id: str, rule: str) -> Image:
    """The image, when the caller may share it: its owner, and a member that was allowed to share on."""
    image = v1_images.find(req, session, image_id, "get_image", for_update=True)
    what: dict[str, Any] = {"project_id": image.owner, "owner": image.owner, "visibility": image.visibility}
    if req.ctx.project_id is not None and image.owner != req.ctx.project_id:
        mine = session.get(ImageMember, (image.id, req.ctx.project_id))
        if mine is not None and mine.can_share:
            what["project_id"] = req.ctx.project_id
    if not req.allows(rule, what):
        refused = NotFound if req.route.path.startswith("/v1/") else Forbidden  # the registry says so, the API doesn't
        raise refused("No permission to share that image")
    req.authorize(what, rule)
    return image


def _shows_to_members(image: Image) -> None:
    """In v1 every image that isn't public can have members."""
    if image.visibility == "private":
        image.visibility = "shared"


async def put(req: Request, image_id: str, member_id: str) -> Response:
    """Add a member, or change whether it may share on."""
    body = await req.json(dict) if v1_images.has_body(req) else {}
    member = body.get("member", {})
    if not isinstance(member, dict):
        raise BadRequest("Invalid membership association: 'member'")
    await req.run(_put, req, image_id, member_id, member.get("can_share"))
    return Response(None, 204)


def _put(req: Request, image_id: str, member_id: str, can_share: Any) -> None:
    if len(member_id) > 255:
        raise BadRequest("Invalid membership association: the member's id is too long")
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        image = _sharable(req, session, image_id, "add_member")
        row = session.get(ImageMember, (image.id, member_id))
        if row is not None:
            if can_share is not None:
                row.can_share, row.updated_at = bool(can_share), now
            return
        count = session.scalar(sa.select(sa.func.count()).where(ImageMember.image_id == image.id)) or 0
        quotas.check(req.cloud, "member", count + 1)
        _shows_to_members(image)
        session.add(
            ImageMember(
                image_id=image.id, member_id=member_id, status="pending", can_share=bool(can_share), created_at=now,
                updated_at=now,
            )
        )  # fmt: skip


def replace(req: Request, image_id: str) -> None:
    """Exactly these members."""
    wanted = _memberships(req.body)
    quotas.check(req.cloud, "member", len(wanted))
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        image = _sharable(req, session, image_id, "add_member")
        have = {
            row.member_id: row
            for row in session.scalars(sa.select(ImageMember).where(ImageMember.image_id == image.id))
        }
        for member_id, row in have.items():
            if member_id not in wanted:
                session.delete(row)
            elif wanted[member_id] is not None:
                row.can_share, row.updated_at = bool(wanted[member_id]), now
        if wanted:
            _shows_to_members(image)
        session.add_all(
            ImageMember(
                image_id=image.id, member_id=member_id, status="pending", can_share=bool(can_share), created_at=now,
                updated_at=now,
            )
            for member_id, can_share in wanted.items()
            if member_id not in have
        )  # fmt: skip


def _memberships(body: dict[str, Any]) -> dict[str, Any]:
    """Member → can_share, None where that isn't said. Raises BadRequest."""
    if not isinstance(body.get("memberships"), list):
        raise BadRequest("Invalid membership association: 'memberships'")
    found = {}
    for item in body["memberships"]:
        member_id = item.get("member_id") if isinstance(item, dict) else None
        if not isinstance(member_id, str) or not 0 < len(member_id) <= 255:
            raise BadRequest("Invalid membership association: 'member_id'")
        found[member_id] = item.get("can_share")
    return found


def delete(req: Request, image_id: str, member_id: str) -> None:
    with req.cloud.db.write() as session:
        image = _sharable(req, session, image_id, "delete_member")
        row = session.get(ImageMember, (image.id, member_id))
        if row is None:
            raise NotFound("Membership could not be found.")
        session.delete(row)
