"""Groups of users, and who is in them."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.identity import checks, removal, tokens
from onestack.identity.api.common import (
    collection,
    filters,
    get_domain,
    home_domain,
    link,
    load,
    page,
    store,
    target,
)
from onestack.identity.dialect import conflict, duplicate, not_found
from onestack.identity.models import Group, Membership, User

FIELDS: dict[str, checks.Check] = {
    "name": checks.SHORT_NAME,
    "description": checks.DESCRIPTION,
    "domain_id": checks.ID_OR_NULL,
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
    own = req.ctx.domain_id
    req.authorize({"target.group.domain_id": own} if own else {})
    conditions = filters(req, {"domain_id": Group.domain_id, "name": Group.name})
    if own:
        conditions.append(Group.domain_id == own)
    with req.cloud.db.read() as session:
        rows, following = page(req, session, Group, conditions)
    return collection(req, "groups", [render_group(req, row) for row in rows], following)


def show(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"group": render_group(req, load(req, session, Group, group_id, "group"))}


def create(req: Request) -> dict[str, Any]:
    value = checks.checked(req.body, "group", FIELDS, ("name",))
    known, extra = checks.split(value, FIELDS)
    domain_id = home_domain(req, known.get("domain_id"))
    req.authorize({"target.group.domain_id": domain_id})
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        row = Group(
            id=req.cloud.ids.hex(), domain_id=domain_id, name=known["name"].strip(),
            description=known.get("description") or "", extra=extra,
        )  # fmt: skip
        store(session, row, _same_name(row))
        return {"group": render_group(req, row)}


def update(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        row = load(req, session, Group, group_id, "group")
        value = checks.checked(req.body, "group", FIELDS, change=True)
        checks.same_id(value, group_id)
        known, extra = checks.split(value, FIELDS)
        if "domain_id" in known and known["domain_id"] != row.domain_id:
            raise BadRequest("Update of `domain_id` is not allowed.")
        row.name = known.get("name", row.name).strip()
        row.description = known.get("description", row.description) or ""
        row.extra = row.extra | extra
        store(session, None, _same_name(row))
        return {"group": render_group(req, row)}


def delete(req: Request, group_id: str) -> None:
    with req.cloud.db.write() as session:
        removal.remove_group(session, load(req, session, Group, group_id, "group"))


def check_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.read() as session:
        _pair(req, session, group_id, user_id)
        if session.get(Membership, (user_id, group_id)) is None:
            raise NotFound(f"User '{user_id}' not found in group '{group_id}'")


def add_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.write() as session:
        _pair(req, session, group_id, user_id)
        if session.get(Membership, (user_id, group_id)) is None:
            row = Membership(user_id=user_id, group_id=group_id)
            store(session, row, conflict("membership", "Duplicate entry"))
            tokens.changed(session)


def remove_member(req: Request, group_id: str, user_id: str) -> None:
    with req.cloud.db.write() as session:
        _pair(req, session, group_id, user_id)
        row = session.get(Membership, (user_id, group_id))
        if row is None:
            raise NotFound(f"User '{user_id}' not found in group '{group_id}'")
        session.delete(row)
        tokens.changed(session)


def _pair(req: Request, session: Any, group_id: str, user_id: str) -> None:
    """Both must be there, and the caller must be allowed to touch this pair."""
    group, user = session.get(Group, group_id), session.get(User, user_id)
    req.authorize(target(group=group, user=user))
    if user is None:
        raise not_found("user", user_id)
    if group is None:
        raise not_found("group", group_id)


def _same_name(row: Group) -> Conflict:
    return duplicate("group", row.name, row.domain_id)
