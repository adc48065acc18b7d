"""Limits of projects and domains, where they differ from the registered ones; and the enforcement model."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.identity import checks, limits
from onestack.identity.api.common import collection, filters, link, store, window
from onestack.identity.dialect import conflict
from onestack.identity.models import Project
from onestack.identity.models_limits import NONE, Limit, RegisteredLimit

_CHANGEABLE: dict[str, checks.Check] = {
    "resource_limit": checks.whole(-1, 0x7FFFFFFF),
    "description": checks.SHORT_DESCRIPTION,
}
FIELDS: dict[str, checks.Check] = {
    "project_id": checks.ID_OR_NULL,
    "domain_id": checks.ID_OR_NULL,
    "resource_name": checks.NAME,
    "region_id": checks.REGION,
    "service_id": checks.uuid_like,
} | _CHANGEABLE
QUERY: dict[str, checks.Check] = {
    "service_id": checks.uuid_like,
    "region_id": checks.REGION,
    "resource_name": checks.NAME,
    "project_id": checks.ID,
    "domain_id": checks.ID,
}
_REQUIRED = ["service_id", "resource_name", "resource_limit"]
_OWNERS = [{"required": [*_REQUIRED, owner]} for owner in ("project_id", "domain_id")]
_COLUMNS = {
    "service_id": RegisteredLimit.service_id,
    "region_id": RegisteredLimit.region_id,
    "resource_name": RegisteredLimit.resource_name,
    "project_id": Limit.project_id,
    "domain_id": Limit.domain_id,
}


def render_limit(req: Request, row: Limit, base: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": row.id,
        "project_id": row.project_id or None,
        "domain_id": row.domain_id or None,
        "service_id": base.service_id,
        "region_id": base.region_id or None,
        "resource_name": base.resource_name,
        "resource_limit": row.resource_limit,
        "description": row.description,
        "links": {"self": link(req, "limits", row.id)},
    }


def model(req: Request) -> dict[str, Any]:
    found = limits.MODELS[req.cloud.settings.identity.limit_enforcement_model]
    return {"model": {"name": found.name, "description": found.description}}


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    query = sa.select(Limit, RegisteredLimit).join(RegisteredLimit).where(*filters(req, _COLUMNS), *_visible(req))
    with req.cloud.db.read() as session:
        found = session.execute(query.order_by(RegisteredLimit.resource_name, Limit.id)).all()
        bases = {row.id: base for row, base in found}
        rows, following = window(req, [row for row, _ in found])
        return collection(req, "limits", [render_limit(req, row, bases[row.id]) for row in rows], following)


def _visible(req: Request) -> list[Any]:
    """Admins, services and the system see all of them, a domain its own and its projects', a project its own."""
    ctx = req.ctx
    if ctx.system or ctx.is_admin or "service" in ctx.roles:
        return []
    if ctx.domain_id:
        inside = sa.select(Project.id).where(Project.domain_id == ctx.domain_id, Project.is_domain.is_(False))
        return [sa.or_(Limit.domain_id == ctx.domain_id, Limit.project_id.in_(inside))]
    return [Limit.project_id == ctx.project_id] if ctx.project_id else [sa.false()]


def show(req: Request, limit_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(Limit, limit_id)
        req.authorize(_target(session, row))
        row = limits.get(session, Limit, limit_id)
        return {"limit": render_limit(req, row, limits.base_of(session, row))}


def _target(session: Session, row: Limit | None) -> dict[str, Any]:
    """The names that the rule `get_limit` asks by."""
    if row is None:
        return {}
    found: dict[str, Any] = {"target.limit.project_id": row.project_id or None}
    if row.project_id:
        project = session.get(Project, row.project_id)
        if project is not None:
            found["target.limit.project.domain_id"] = project.domain_id
    else:
        found["target.limit.domain.id"] = row.domain_id
    return found


def create(req: Request) -> dict[str, Any]:
    values = checks.checked_list(req.body, "limits", FIELDS, _REQUIRED)
    for position, value in enumerate(values):
        given = [value[name] for name in ("project_id", "domain_id") if name in value]
        if len(given) > 1:
            raise checks.invalid(str(position), value, f"is valid under each of {_OWNERS[0]}, {_OWNERS[1]}")
        if not given or given[0] is None:
            raise checks.invalid(str(position), value, "is not valid under any of the given schemas")
    with req.cloud.db.write() as session:
        limits.check_references(session, values, "limit")
        owners = limits.check_owners(session, values)
        limits.check_hierarchy(session, req.cloud.settings.identity.limit_enforcement_model, values, owners)
        bases = limits.registered(session, {limits.key_of(value) for value in values})
        made = []
        for value in values:
            base = bases.get(limits.key_of(value))
            if base is None:
                raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
            row = Limit(
                id=req.cloud.ids.hex(), registered_limit_id=base.id, project_id=value.get("project_id") or NONE,
                domain_id=value.get("domain_id") or NONE, resource_limit=value["resource_limit"],
                description=value.get("description"),
            )  # fmt: skip
            made.append((row, base))
        session.add_all(row for row, _ in made)
        store(session, None, conflict("limit", "Duplicate entry"))
        return {"limits": [render_limit(req, row, base) for row, base in made]}


def update(req: Request, limit_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "limit", _CHANGEABLE, closed=True, alone=True)
    with req.cloud.db.write() as session:
        row = limits.get(session, Limit, limit_id)
        base = limits.base_of(session, row)
        row.resource_limit = value.get("resource_limit", row.resource_limit)
        row.description = value.get("description", row.description)
        wanted = [{
            "service_id": base.service_id, "region_id": base.region_id or None, "resource_name": base.resource_name,
            "resource_limit": row.resource_limit, "project_id": row.project_id or None,
            "domain_id": row.domain_id or None,
        }]  # fmt: skip
        owners = limits.check_owners(session, wanted)
        limits.check_hierarchy(session, req.cloud.settings.identity.limit_enforcement_model, wanted, owners)
        return {"limit": render_limit(req, row, base)}


def delete(req: Request, limit_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(limits.get(session, Limit, limit_id))
