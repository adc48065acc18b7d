"""Trusts (`/v3/OS-TRUST/trusts`): made by the trustor, used by the trustee, never changed.

A trust that isn't there, has expired or is used up is 404 for everybody; policy is asked only about one that is there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros_z
from onestack.core.http import Request
from onestack.identity import assignments, checks, expiry, given_roles, tokens, trusts
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, get_project, get_role, get_user, link, store
from onestack.identity.api.roles import render_role
from onestack.identity.dialect import conflict, forbidden, not_found
from onestack.identity.models import Role
from onestack.identity.models_trusts import Trust

_LIMIT = 2**31 - 1


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
    "roles": given_roles.check,
}
_REQUIRED = ("trustor_user_id", "trustee_user_id", "impersonation")
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
        if req.query:
            conditions.append(sa.false())  # Keystone gives all of them only to who asks for nothing else
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
    value = checks.checked(req.body, "trust", FIELDS, _REQUIRED, alone=True)
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
        if known.get("redelegated_trust_id"):
            # It is the token that says whether a trust is handed on, and which one.
            _find(req, session, known["redelegated_trust_id"])
        parent = _parent(req, session)
        row = Trust(
            id=req.cloud.ids.hex(), trustor_user_id=known["trustor_user_id"],
            trustee_user_id=known["trustee_user_id"], project_id=known.get("project_id") or None,
            impersonation=known["impersonation"], remaining_uses=uses, redelegated_trust_id=None, extra=extra,
            role_ids=given_roles.ids(session, known.get("roles") or []),
        )  # fmt: skip
        _check_roles(session, row)
        until = expiry.parse(req.cloud, known.get("expires_at"))
        row.expires_at = until and until.replace(microsecond=0)
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
    row = _find(req, session, trust_id)
    trusts.check_chain(session, row, req.cloud.settings.identity.max_redelegation_count)
    req.authorize(
        {"target.trust.trustor_user_id": row.trustor_user_id, "target.trust.trustee_user_id": row.trustee_user_id}
    )
    delegation.refuse_for_trusts(req)
    return row


def _find(req: Request, session: Session, trust_id: str, *, used_up: bool = False) -> Trust:
    row = trusts.find(session, req.cloud.clock.now(), trust_id, used_up=used_up)
    if row is None:
        raise not_found("trust", trust_id)
    return row


def _parent(req: Request, session: Session) -> Trust | None:
    """The trust that the caller's token was made with, which is then handed on."""
    return None if req.ctx.trust_id is None else _find(req, session, req.ctx.trust_id, used_up=True)


def _check_roles(session: Session, row: Trust) -> None:
    """The trustor must have on the project what is given away, also who hands on what another one gave them. Raises
    NotFound."""
    has: set[str] = set()
    if row.project_id is not None:
        project = get_project(session, row.project_id)
        has = assignments.role_ids_on_project(session, row.trustor_user_id, project)
    for role_id in row.role_ids:
        if role_id not in has:
            raise not_found("role", role_id)
