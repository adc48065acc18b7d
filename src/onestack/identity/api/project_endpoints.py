"""OS-EP-FILTER's associations of single endpoints with projects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.identity import endpoint_filter, tokens
from onestack.identity.api.common import collection, get_project, store
from onestack.identity.api.endpoints import get_endpoint, render_endpoint
from onestack.identity.api.projects import render_projects
from onestack.identity.dialect import conflict
from onestack.identity.models import Project
from onestack.identity.models_catalog import ProjectEndpoint


def endpoints(req: Request, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        get_project(session, project_id)
        rows = endpoint_filter.endpoints_of(session, req.cloud.settings, project_id)
    return collection(req, "endpoints", [render_endpoint(req, row) for row in rows])


def projects(req: Request, endpoint_id: str) -> dict[str, Any]:
    query = (
        sa.select(Project)
        .join(ProjectEndpoint, ProjectEndpoint.project_id == Project.id)
        .where(ProjectEndpoint.endpoint_id == endpoint_id)
        .order_by(Project.name, Project.id)
    )
    with req.cloud.db.read() as session:
        get_endpoint(req, session, endpoint_id)
        return collection(req, "projects", render_projects(req, session, list(session.scalars(query))))


def check(req: Request, project_id: str, endpoint_id: str) -> None:
    with req.cloud.db.read() as session:
        get_endpoint(req, session, endpoint_id)
        get_project(session, project_id)
        _association(session, project_id, endpoint_id)


def add(req: Request, project_id: str, endpoint_id: str) -> None:
    with req.cloud.db.write() as session:
        get_endpoint(req, session, endpoint_id)
        get_project(session, project_id)
        row = ProjectEndpoint(project_id=project_id, endpoint_id=endpoint_id)
        store(session, row, conflict("project_endpoint", "Duplicate entry"))
        tokens.changed(session)


def remove(req: Request, project_id: str, endpoint_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_association(session, project_id, endpoint_id))
        tokens.changed(session)


def _association(session: Session, project_id: str, endpoint_id: str) -> ProjectEndpoint:
    row = session.get(ProjectEndpoint, (project_id, endpoint_id))
    if row is None:
        raise NotFound(f"Endpoint {endpoint_id} not found in project {project_id}")
    return row
