"""What somebody's token lets them see of themselves: `/v3/auth/catalog`, `projects`, `domains`, `system`."""

from __future__ import annotations

from typing import Any

from onestack.core.http import Request
from onestack.identity import assignments
from onestack.identity.api.common import collection
from onestack.identity.api.domains import render_domains
from onestack.identity.api.projects import render_projects
from onestack.identity.dialect import forbidden
from onestack.identity.engine import engine


def catalog(req: Request) -> dict[str, Any]:
    if req.ctx.project_id is None:
        raise forbidden()
    shown = engine(req).tokens.catalog(req.ctx.user_id, req.ctx.project_id)
    return {"catalog": shown, "links": {"self": f"{req.base_url}/v3/auth/catalog"}}


def projects(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = [row for row in assignments.projects_of(session, req.ctx.user_id) if row.enabled]
        return collection(req, "projects", render_projects(req, session, rows))


def domains(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = [row for row in assignments.domains_of(session, req.ctx.user_id) if row.enabled]
        return collection(req, "domains", render_domains(req, session, rows))


def system(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = assignments.roles_on_system(session, req.ctx.user_id)
    return {"system": [{"all": True}] if found else [], "links": {"self": f"{req.base_url}/v3/auth/system"}}
