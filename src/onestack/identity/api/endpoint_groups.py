"""Endpoint groups of OS-EP-FILTER: filters, the endpoints that match them, and the projects that see those."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.identity import catalog, checks, endpoint_filter, tokens
from onestack.identity.api.common import collection, filters, get, get_project, link, store
from onestack.identity.api.endpoints import render_endpoint
from onestack.identity.api.projects import render_projects
from onestack.identity.dialect import conflict, expecting
from onestack.identity.models import Project
from onestack.identity.models_catalog import EndpointGroup, ProjectEndpointGroup

_NOUN = "Endpoint Group"


_FILTERS: dict[str, checks.Check] = {
    "interface": checks.choice("admin", "internal", "public"),
    "service_id": checks.text(),
    "region_id": checks.text(null=True),
    "enabled": checks.flag(),
}
FIELDS: dict[str, checks.Check] = {
    "description": checks.DESCRIPTION,
    "filters": checks.members(_FILTERS),
    "name": checks.NAME,
}


def render_endpoint_group(req: Request, row: EndpointGroup) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "filters": row.filters,
        "links": {"self": link(req, "OS-EP-FILTER", "endpoint_groups", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    checks.query(req, {"name": checks.NAME}, closed=True)
    query = sa.select(EndpointGroup).where(*filters(req, {"name": EndpointGroup.name}))
    with req.cloud.db.read() as session:
        rows = session.scalars(query.order_by(EndpointGroup.name, EndpointGroup.id))
        return collection(req, "endpoint_groups", [render_endpoint_group(req, row) for row in rows])


def show(req: Request, endpoint_group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"endpoint_group": render_endpoint_group(req, get(session, EndpointGroup, endpoint_group_id, _NOUN))}


def create(req: Request) -> dict[str, Any]:
    required = ("name", "filters")
    if "endpoint_group" not in req.body:
        raise BadRequest(_NO_FILTERS)
    value = checks.checked(req.body, "endpoint_group", FIELDS, required, closed=True, alone=True)
    if not value["filters"]:
        raise BadRequest(_NO_FILTERS)
    _check_filters(value)
    row = EndpointGroup(
        id=req.cloud.ids.hex(), name=value["name"], description=value.get("description"), filters=value["filters"]
    )
    with req.cloud.db.write() as session:
        session.add(row)
        return {"endpoint_group": render_endpoint_group(req, row)}


def update(req: Request, endpoint_group_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "endpoint_group", FIELDS, change=True, closed=True, alone=True)
    _check_filters(value)
    with req.cloud.db.write() as session:
        row = get(session, EndpointGroup, endpoint_group_id, _NOUN)
        row.name = value.get("name", row.name)
        row.description = value.get("description", row.description)
        row.filters = value.get("filters", row.filters)
        tokens.changed(session)
        return {"endpoint_group": render_endpoint_group(req, row)}


def delete(req: Request, endpoint_group_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(get(session, EndpointGroup, endpoint_group_id, _NOUN))
        tokens.changed(session)


_NO_FILTERS = "filters field is required and cannot be empty"


def _check_filters(value: dict[str, Any]) -> None:
    """By these three and by nothing else that an endpoint has."""
    if set(value.get("filters", ())) - set(endpoint_filter.FILTERS):
        raise expecting(" or ".join(endpoint_filter.FILTERS), "endpoint_group")


def endpoints(req: Request, endpoint_group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = get(session, EndpointGroup, endpoint_group_id, _NOUN)
        found = endpoint_filter.matching(catalog.endpoints(session, req.cloud.settings), row.filters)
    return collection(req, "endpoints", [render_endpoint(req, endpoint) for endpoint in found])


def projects(req: Request, endpoint_group_id: str) -> dict[str, Any]:
    query = (
        sa.select(Project)
        .join(ProjectEndpointGroup, ProjectEndpointGroup.project_id == Project.id)
        .where(ProjectEndpointGroup.endpoint_group_id == endpoint_group_id)
        .order_by(Project.name, Project.id)
    )
    with req.cloud.db.read() as session:
        return collection(req, "projects", render_projects(req, session, list(session.scalars(query))))


def of_project(req: Request, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        get_project(session, project_id)
        rows = endpoint_filter.groups_of(session, project_id)
        return collection(req, "endpoint_groups", [render_endpoint_group(req, row) for row in rows])


def show_project(req: Request, endpoint_group_id: str, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        _association(session, endpoint_group_id, project_id)
    return {
        "project_endpoint_group": {
            "endpoint_group_id": endpoint_group_id,
            "project_id": project_id,
            "links": {"self": link(req, "OS-EP-FILTER", "endpoint_groups", endpoint_group_id, "projects", project_id)},
        }
    }


def add_project(req: Request, endpoint_group_id: str, project_id: str) -> None:
    with req.cloud.db.write() as session:
        get_project(session, project_id)
        get(session, EndpointGroup, endpoint_group_id, _NOUN)
        row = ProjectEndpointGroup(endpoint_group_id=endpoint_group_id, project_id=project_id)
        store(session, row, conflict("project_endpoint_group", "Duplicate entry"))
        tokens.changed(session)


def remove_project(req: Request, endpoint_group_id: str, project_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_association(session, endpoint_group_id, project_id))
        tokens.changed(session)


def _association(session: Session, endpoint_group_id: str, project_id: str) -> ProjectEndpointGroup:
    get_project(session, project_id)
    get(session, EndpointGroup, endpoint_group_id, _NOUN)
    row = session.get(ProjectEndpointGroup, (endpoint_group_id, project_id))
    if row is None:
        raise NotFound("Endpoint Group Project Association not found")
    return row
