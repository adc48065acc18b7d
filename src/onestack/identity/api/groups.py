"""Groups of users, and who is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.identity import checks, removal, tokens
from onestack.identity.api.common import (
    collection,
    get_domain,
    get_group,
    home_domain,
    link,
    load,
    selection,
    target,
)
from onestack.identity.backends import BACKEND
from onestack.identity.dialect import check_length, not_found
from onestack.identity.models import Group

_CHANGEABLE: dict[str, checks.Check] = {"description": checks.DESCRIPTION, "name": checks.NAME}
FIELDS = {"domain_id": checks.ID} | _CHANGEABLE
QUERY: dict[str, checks.Check] = {
    "domain_id": checks.ID,
    "name": checks.NAME,
    "sort_dir": checks.choice("asc", "desc"),
}


def render_group(req: Request, row: Group) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "description": row.description,
        "links": {"self": link(req, "groups", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    own = req.ctx.domain_id
    req.authorize({"target.group.domain_id": own} if own else {})
    chosen = selection(req, ("domain_id", "name"))
    with req.cloud.db.read() as session:
        rows, following = BACKEND.groups(session, chosen.only(domain_id=own) if own else chosen)
    return collection(req, "groups", [render_group(req, row) for row in rows], following)


def show(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"group": render_group(req, load(req, session, Group, group_id, "group"))}


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "group", FIELDS, ("name",), alone=True))
    req.authorize(target(group=value))
    known, extra = checks.split(value, FIELDS)
    domain_id = home_domain(req, known.get("domain_id"))
    check_length("name", known["name"], 64)
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        row = Group(
            id=req.cloud.ids.hex(), domain_id=domain_id, name=known["name"].strip(),
            description=known.get("description", ""), extra=extra,
        )  # fmt: skip
        BACKEND.save_group(session, row)
        return {"group": render_group(req, row)}


def update(req: Request, group_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "group", _CHANGEABLE, change=True, alone=True)
    with req.cloud.db.write() as session:
        row = load(req, session, Group, group_id, "group")
        checks.same_id(value, group_id)
        known, extra = checks.split(value, FIELDS)
        if "domain_id" in known and known["domain_id"] != row.domain_id:
            raise BadRequest("Cannot change Domain ID")
        check_length("name", known.get("name"), 64)
        row.name = known.get("name", row.name).strip()
        row.description = known.get("description", row.description)
        row.extra = row.extra | extra
        BACKEND.save_group(session, row)
        return {"group": render_group(req, row)}


def delete(req: Request, group_id: str) -> None:
    with req.cloud.db.write() as session:
        row = get_group(session, group_id)  # who may not delete it is told that there is none, as in Keystone
        req.authorize(target(group=row))
        removal.remove_group(session, row)


def check_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.read() as session:
        _pair(req, session, group_id, user_id)
        if not BACKEND.is_member(session, user_id, group_id):
            raise _not_in_group(user_id, group_id)


def add_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.write() as session:
        _pair(req, session, group_id, user_id)
        if not BACKEND.is_member(session, user_id, group_id):
            BACKEND.add_member(session, user_id, group_id)
            tokens.changed(session)


def remove_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.write() as session:
        _pair(req, session, group_id, user_id)
        if not BACKEND.is_member(session, user_id, group_id):
            raise _not_in_group(user_id, group_id)
        BACKEND.remove_member(session, user_id, group_id)
        tokens.revoke(session, req.cloud, user_id=user_id)


def _pair(req: Request, session: Session, group_id: str, user_id: str) -> None:
    """Both must be there, and the caller must be allowed to touch this pair."""
    group, user = BACKEND.group(session, group_id), BACKEND.user(session, user_id)
    req.authorize(target(group=group, user=user))
    if group is None:
        raise not_found("group", group_id)
    if user is None:
        raise not_found("user", user_id)


def _not_in_group(user_id: str, group_id: str) -> NotFound:
    return NotFound(f"User '{user_id}' not found in group '{group_id}'")
