"""Roles, and which roles imply which."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request
from onestack.identity import checks, removal, tokens
from onestack.identity.api.common import (
    collection,
    filters,
    get_domain,
    get_role,
    link,
    merged_options,
    store,
    target,
    window,
)
from onestack.identity.dialect import check_length, conflict, duplicate
from onestack.identity.models import NO_DOMAIN, ImpliedRole, Role
from onestack.identity.projects import check_immutable

FIELDS: dict[str, checks.Check] = {
    "name": checks.NAME,
    "description": checks.DESCRIPTION,
    "domain_id": checks.ID_OR_NULL,
    "options": checks.resource_options,
}
QUERY: dict[str, checks.Check] = {"name": checks.NAME, "domain_id": checks.ID}
# A role that implied `admin` would make an admin of whoever has it, and nobody would see it.
NEVER_IMPLIED = "admin"


def render_role(req: Request, row: Role) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "options": row.options,
        "links": {"self": link(req, "roles", row.id)},
    }


def _rule(verb: str, row: Role | None) -> str:
    """Roles of a domain have rules of their own."""
    return f"identity:{verb}_domain_role" if row is not None and row.domain_id else f"identity:{verb}_role"


def _load(req: Request, session: Session, role_id: str, verb: str) -> Role:
    row = get_role(session, role_id)  # whether there is one is no secret, as in Keystone
    req.authorize(target(role=row), _rule(verb, row))
    return row


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    domain_id = req.get("domain_id")
    req.authorize({}, "identity:list_domain_roles" if domain_id else "identity:list_roles")
    conditions = [Role.domain_id == (domain_id or NO_DOMAIN), *filters(req, {"name": Role.name})]
    with req.cloud.db.read() as session:
        rows, following = window(req, session.scalars(sa.select(Role).where(*conditions).order_by(Role.name)).all())
    return collection(req, "roles", [render_role(req, row) for row in rows], following)


def show(req: Request, role_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"role": render_role(req, _load(req, session, role_id, "get"))}


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "role", FIELDS, ("name",), alone=True))
    known, extra = checks.split(value, FIELDS)
    domain_id = known.get("domain_id") or NO_DOMAIN
    req.authorize({}, "identity:create_domain_role" if domain_id else "identity:create_role")
    check_length("description", known.get("description"), 255)
    with req.cloud.db.write() as session:
        if domain_id:
            get_domain(session, domain_id)
        row = Role(
            id=req.cloud.ids.hex(), domain_id=domain_id, name=known["name"],
            description=known.get("description"), options=merged_options(None, known), extra=extra,
        )  # fmt: skip
        store(session, row, _same_name(row))
        return {"role": render_role(req, row)}


def update(req: Request, role_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "role", FIELDS, change=True, alone=True)
    with req.cloud.db.write() as session:
        row = _load(req, session, role_id, "update")
        checks.same_id(value, role_id)
        known, extra = checks.split(value, FIELDS)
        check_immutable(row, "role", "update", known)
        if "domain_id" in known and (known["domain_id"] or NO_DOMAIN) != row.domain_id:
            raise BadRequest("Update of `domain_id` is not allowed.")
        check_length("description", known.get("description"), 255)
        row.name = known.get("name", row.name)
        row.description = known.get("description", row.description)
        row.options = merged_options(row, known)
        row.extra = row.extra | extra
        store(session, None, duplicate("role", row.name))
        tokens.changed(session)
        return {"role": render_role(req, row)}


def delete(req: Request, role_id: str) -> None:
    with req.cloud.db.write() as session:
        row = _load(req, session, role_id, "delete")
        check_immutable(row, "role", "delete")
        removal.remove_role(session, req.cloud, row)


def _same_name(row: Role) -> Conflict:
    return duplicate("role", row.name, row.domain_id)


# Implied roles


def _short(req: Request, row: Role) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": {"self": link(req, "roles", row.id)}}


def _inference(req: Request, prior: Role, implied: Role) -> dict[str, Any]:
    return {
        "role_inference": {"prior_role": _short(req, prior), "implies": _short(req, implied)},
        "links": {"self": link(req, "roles", prior.id, "implies", implied.id)},
    }


def list_implied(req: Request, role_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        prior = get_role(session, role_id)
        req.authorize({})
        ids = sa.select(ImpliedRole.implied_role_id).where(ImpliedRole.prior_role_id == prior.id)
        rows = session.scalars(sa.select(Role).where(Role.id.in_(ids)).order_by(Role.name))
        implied = [_short(req, row) for row in rows]
    return {
        "role_inference": {"prior_role": _short(req, prior), "implies": implied},
        "links": {"self": link(req, "roles", prior.id, "implies")},
    }


def show_implied(req: Request, role_id: str, implied_role_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        prior, implied, row = _pair(req, session, role_id, implied_role_id)
        if row is None:
            raise NotFound(f"{role_id} does not imply {implied_role_id}.")
        return _inference(req, prior, implied)


def check_implied(req: Request, role_id: str, implied_role_id: str) -> None:
    show_implied(req, role_id, implied_role_id)


def create_implied(req: Request, role_id: str, implied_role_id: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        prior, implied, row = _pair(req, session, role_id, implied_role_id)
        if implied.name == NEVER_IMPLIED or (implied.domain_id and not prior.domain_id):
            raise Forbidden(f"{implied_role_id} cannot be an implied roles.")
        clash = conflict("implied_role", "Duplicate entry")
        if row is not None:
            raise clash
        store(session, ImpliedRole(prior_role_id=prior.id, implied_role_id=implied.id), clash)
        tokens.changed(session)
        return _inference(req, prior, implied)


def delete_implied(req: Request, role_id: str, implied_role_id: str) -> None:
    with req.cloud.db.write() as session:
        _, _, row = _pair(req, session, role_id, implied_role_id)
        if row is None:
            raise NotFound(f"{role_id} does not imply {implied_role_id}.")
        session.delete(row)
        tokens.changed(session)


def _pair(req: Request, session: Session, prior_id: str, implied_id: str) -> tuple[Role, Role, ImpliedRole | None]:
    """Both must be there, which is no secret, and the caller must be allowed."""
    prior, implied = get_role(session, prior_id), get_role(session, implied_id)
    req.authorize({})
    return prior, implied, session.get(ImpliedRole, (prior_id, implied_id))


def list_inferences(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        roles = {row.id: row for row in session.scalars(sa.select(Role))}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in session.scalars(sa.select(ImpliedRole)):
            found[row.prior_role_id].append(_short(req, roles[row.implied_role_id]))
    inferences = [{"prior_role": _short(req, roles[key]), "implies": implied} for key, implied in sorted(found.items())]
    return {"role_inferences": inferences}
