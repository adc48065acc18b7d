"""Which projects may use a flavor that isn't public: /flavors/{id}/os-flavor-access, and two actions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import schema
from onestack.compute.api.flavors import load
from onestack.compute.models import FlavorAccess
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.identity import public as identity

_RULES = {"addTenantAccess": "add_tenant_access", "removeTenantAccess": "remove_tenant_access"}


def index(req: Request, flavor_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        flavor = load(session, req, flavor_id)
        if flavor.is_public:
            raise NotFound("Access list not available for public flavors.")
        return _render(session, flavor_id)


def action(req: Request, flavor_id: str) -> dict[str, Any]:
    name, _argument = schema.one_action(req.body, empty=not req.falcon.content_length)
    if name not in _RULES:
        raise BadRequest(f"There is no such action: {name}")
    project = schema.body(req.body, name, {"tenant": schema.string(255, 1)}, req.version, required=("tenant",))[
        "tenant"
    ]
    req.authorize(rule=f"os_compute_api:os-flavor-access:{_RULES[name]}")
    with req.cloud.db.write() as session:
        # A project that is gone may still be taken out of the list.
        if name == "addTenantAccess" and not identity.project_exists(session, project):
            raise BadRequest(f"Project ID {project} is not a valid project.")
        flavor = load(session, req, flavor_id)
        row = session.get(FlavorAccess, (flavor_id, project))
        if name == "addTenantAccess":
            if flavor.is_public and req.version >= (2, 7):
                raise Conflict("Can not add access to a public flavor.")
            if row is not None:
                raise Conflict(
                    f"Flavor access already exists for flavor {flavor_id} and project {project} combination."
                )
            session.add(FlavorAccess(flavor_id=flavor_id, project_id=project))
        else:
            if row is None:
                raise NotFound(f"Flavor access not found for {flavor_id} / {project} combination.")
            session.delete(row)
        session.flush()
        return _render(session, flavor_id)


def _render(session: Session, flavor_id: str) -> dict[str, Any]:
    query = sa.select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == flavor_id)
    projects = session.scalars(query.order_by(FlavorAccess.project_id))
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}
