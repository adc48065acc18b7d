"""Tenants: the projects of the default domain."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import assignments
from onestack.identity.api import projects
from onestack.identity.api.common import DEFAULT_DOMAIN
from onestack.identity.api.v2.common import admin, check_tenant, part, tenant_view
from onestack.identity.dialect import expecting, not_found
from onestack.identity.models import Project

_NEVER = ("parent_id", "is_domain", "domain_id", "tags", "options")  # v2.0 has no such attributes


def own(req: Request) -> dict[str, Any]:
    """Those that the caller has a role on; port 5000."""
    with req.cloud.db.read() as session:
        rows = [
            row
            for row in assignments.projects_of(session, req.ctx.user_id)
            if row.enabled and row.domain_id == DEFAULT_DOMAIN
        ]
        return _page(req, rows)


def index(req: Request) -> dict[str, Any]:
    """All of them, or the one of a name; port 35357."""
    admin(req)
    name = req.get("name")
    query = sa.select(Project).where(Project.domain_id == DEFAULT_DOMAIN, Project.is_domain.is_(False))
    with req.cloud.db.read() as session:
        if not name:
            return _page(req, list(session.scalars(query.order_by(Project.name))))
        row = session.scalars(query.where(Project.name == name)).first()
        if row is None:
            raise not_found("project", name)
        return {"tenant": tenant_view(projects.render_project(req, row, []))}


def _page(req: Request, rows: list[Project]) -> dict[str, Any]:
    marker, limit = req.get("marker"), req.get("limit")
    if marker is not None:
        ids = [row.id for row in rows]
        if marker not in ids:
            raise BadRequest("Marker could not be found")
        rows = rows[ids.index(marker) + 1 :]
    if limit is not None:
        if not limit.isascii() or not limit.isdigit() or len(limit) > 18:
            raise BadRequest("Invalid limit value")
        rows = rows[: int(limit)]
    return {"tenants": [tenant_view(projects.render_project(req, row, [])) for row in rows], "tenants_links": []}


def show(req: Request, tenant_id: str) -> dict[str, Any]:
    check_tenant(req, tenant_id)
    return {"tenant": tenant_view(projects.show(req, tenant_id)["project"])}


def create(req: Request) -> dict[str, Any]:
    admin(req)
    given = _given(req)
    if "name" not in given:
        raise expecting("name", "tenant")
    req.body = {"project": given | {"domain_id": DEFAULT_DOMAIN}}
    return {"tenant": tenant_view(projects.create(req)["project"])}


def update(req: Request, tenant_id: str) -> dict[str, Any]:
    check_tenant(req, tenant_id)
    req.body = {"project": _given(req)}
    return {"tenant": tenant_view(projects.update(req, tenant_id)["project"])}


def _given(req: Request) -> dict[str, Any]:
    given = part(req.body, "tenant")
    if "is_domain" in given:
        raise BadRequest("Invalid input received: 'is_domain' is not an attribute of a tenant")
    return {key: value for key, value in given.items() if key not in _NEVER}


def delete(req: Request, tenant_id: str) -> None:
    check_tenant(req, tenant_id)
    projects.delete(req, tenant_id)
