"""Trusts (`/v3/OS-TRUST/trusts`): made by the trustor, used by the trustee, never changed.

A trust that isn't there, has expired or is used up is 404 for everybody; policy is asked only about one that is there.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros_z
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.identity import assignments, checks, tokens, trusts
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, get_project, get_role, get_user, link, store
from onestack.identity.api.roles import render_role
from onestack.identity.dialect import conflict, forbidden, not_found, wrong
from onestack.identity.models import Role
from onestack.identity.models_trusts import Trust

_LIMIT = 2**31 - 1


def _roles(value: Any) -> str | None:
    if not isinstance(value, list):
        return "is not of type 'array'"
    for item in value:
        if not isinstance(item, dict) or len(item) != 1:
            return "is not valid: each role is an object with an id or a name"
        key, name = next(iter(item.items()))
        check = {"id": checks.ID, "name": checks.NAME}.get(key)
        if check is None or check(name):
            return "is not valid: each role is an object with an id or a name"
    return None


FIELDS: dict[str, checks.Check] = {
    "trustor_user_id": checks.text(),
    "trustee_user_id": checks.text(),
    "impersonation": checks.flag(),
    "project_id": checks.text(null=True),
    "remaining_uses": checks.whole(1, _LIMIT, null=True),
    "expires_at": checks.text(null=True),
    "allow_redelegation": checks.flag(null=True),
    "redelegation_count": checks.whole(0, _LIMIT, null=True),
    "redelegated_trust_id": checks.text(null=True),
    "roles": _roles,
}
_NOT_EXTRA = (*FIELDS, "deleted_at", "roles_links")


def render_trust(req: Request, row: Trust) -> dict[str, Any]:
    """As lists show it: without its roles."""
    return row.extra | {
        "id": row.id,
        "trustor_user_id": row.trustor_user_id,
        "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id,
        "impersonation": row.impersonation,
        "expires_at": micros_z(row.expires_at),
        "remaining_uses": row.remaining_uses,
        "redelegated_trust_id": row.redelegated_trust_id,
        "redelegation_count": row.redelegation_count,
        "deleted_at": None,
        "links": {"self": link(req, "OS-TRUST", "trusts", row.id)},
    }


def _render_whole(req: Request, session: Session, row: Trust) -> dict[str, Any]:
    return render_trust(req, row) | _render_roles(req, session, row)


def _render_roles(req: Request, session: Session, row: Trust) -> dict[str, Any]:
    rows = session.scalars(sa.select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name))
    links = {"self": link(req, "OS-TRUST", "trusts", row.id, "roles"), "next": None, "previous": None}
    return {"roles": [render_role(req, role) for role in rows], "roles_links": links}


def index(req: Request) -> dict[str, Any]:
    trustor, trustee = req.get("trustor_user_id"), req.get("trustee_user_id")
    conditions = []
    if trustor:
        req.authorize({"target.trust.trustor_user_id": trustor}, "identity:list_trusts_for_trustor")
        conditions.append(Trust.trustor_user_id == trustor)
    elif trustee:
        req.authorize({"target.trust.trustee_user_id": trustee}, "identity:list_trusts_for_trustee")
        conditions.append(Trust.trustee_user_id == trustee)
    else:
        req.authorize({}, "identity:list_trusts")
    delegation.refuse_for_trusts(req)
    with req.cloud.db.read() as session:
        rows = session.scalars(sa.select(Trust).where(*conditions).order_by(Trust.id))
        return collection(req, "trusts", [render_trust(req, row) for row in rows])


def show(req: Request, trust_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"trust": _render_whole(req, session, _load(req, session, trust_id))}


def list_roles(req: Request, trust_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        shown = _render_roles(req, session, _load(req, session, trust_id))
        return {"roles": shown["roles"], "links": shown["roles_links"]}


def show_role(req: Request, trust_id: str, role_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        if role_id not in _load(req, session, trust_id).role_ids:
            raise not_found("role", role_id)
        return {"role": render_role(req, get_role(session, role_id))}


def create(req: Request) -> dict[str, Any]:
    value = checks.checked(req.body, "trust", FIELDS, ("trustor_user_id", "trustee_user_id", "impersonation"))
    known, extra = checks.split(value, _NOT_EXTRA)
    req.authorize({"target.trust.trustor_user_id": known["trustor_user_id"]})
    delegation.refuse_for_trusts(req)
    if known.get("project_id") and not known.get("roles"):
        raise forbidden("At least one role should be specified")
    if known["trustor_user_id"] != req.ctx.user_id:
        raise forbidden("The authenticated user should match the trustor")
    maximum = req.cloud.settings.identity.max_redelegation_count
    wanted, uses = known.get("redelegation_count"), known.get("remaining_uses")
    allowed = bool(known.get("allow_redelegation"))
    with req.cloud.db.write() as session:
        get_user(session, known["trustee_user_id"])
        parent = _parent(req, session)
        row = Trust(
            id=req.cloud.ids.hex(), trustor_user_id=known["trustor_user_id"],
            trustee_user_id=known["trustee_user_id"], project_id=known.get("project_id") or None,
            impersonation=known["impersonation"], remaining_uses=uses, redelegated_trust_id=None, extra=extra,
            role_ids=_role_ids(session, known.get("roles") or []),
        )  # fmt: skip
        _check_roles(session, row, parent)
        row.expires_at = _expiry(req, known.get("expires_at"))
        row.redelegation_count = trusts.depth(wanted, allowed, uses, maximum)
        if parent is not None:
            trusts.redelegate(session, row, parent, wanted, allowed, maximum)
        store(session, row, conflict("trust", f"Duplicate entry found with ID {row.id}"))
        return {"trust": _render_whole(req, session, row)}


def delete(req: Request, trust_id: str) -> None:
    """With it go the trusts that the trustee handed on, and the tokens of all of them."""
    with req.cloud.db.write() as session:
        row = _load(req, session, trust_id)
        for gone in trusts.remove(session, [row.id]):
            tokens.revoke(session, req.cloud, trust_id=gone)


def _load(req: Request, session: Session, trust_id: str) -> Trust:
    row = trusts.find(session, req.cloud.clock.now(), trust_id)
    if row is None:
        raise not_found("trust", trust_id)
    trusts.check_chain(session, row, req.cloud.settings.identity.max_redelegation_count)
    req.authorize(
        {"target.trust.trustor_user_id": row.trustor_user_id, "target.trust.trustee_user_id": row.trustee_user_id}
    )
    delegation.refuse_for_trusts(req)
    return row


def _parent(req: Request, session: Session) -> Trust | None:
    """The trust that the caller's token was made with, which is then handed on."""
    if req.ctx.trust_id is None:
        return None
    parent = trusts.find(session, req.cloud.clock.now(), req.ctx.trust_id, used_up=True)
    if parent is None:
        raise not_found("trust", req.ctx.trust_id)
    return parent


def _role_ids(session: Session, wanted: list[dict[str, str]]) -> list[str]:
    """Names are looked for among the roles of every domain, so they may be ambiguous."""
    found = []
    for item in wanted:
        if "id" in item:
            found.append(item["id"])
            continue
        ids = list(session.scalars(sa.select(Role.id).where(Role.name == item["name"]).limit(2)))
        if not ids:
            raise NotFound(f"Role {item['name']} is not defined")
        if len(ids) > 1:
            words = "Please use ID instead of names to resolve the ambiguity."
            raise BadRequest(f"There are multiple role entities named '{item['name']}'. {words}")
        found += ids
    return list(dict.fromkeys(found))


def _check_roles(session: Session, row: Trust, parent: Trust | None) -> None:
    """The first trustor must have on the project what is given away. Raises NotFound."""
    has: set[str] = set()
    if row.project_id is not None:
        project = get_project(session, row.project_id)
        trustor = row.trustor_user_id if parent is None else trusts.chain(session, parent)[-1].trustor_user_id
        has = assignments.role_ids_on_project(session, trustor, project)
    for role_id in row.role_ids:
        if role_id not in has:
            raise not_found("role", role_id)


def _expiry(req: Request, text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        when = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise wrong("Timestamp not in expected format.") from None
    if when.tzinfo is not None:
        raise wrong("Timestamp not in expected format.")
    if when <= req.cloud.clock.now():
        raise wrong("The 'expires_at' must not be before now.")
    return when
