"""Services of the catalog. Those that the cloud itself offers are made from its settings and can only be read."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.identity import catalog, checks, endpoint_filter, endpoint_policy, limits, tokens
from onestack.identity.api.common import collection, get, link, select, window
from onestack.identity.catalog import ServiceRow
from onestack.identity.dialect import not_found
from onestack.identity.models import CatalogService, Endpoint
from onestack.identity.models_limits import RegisteredLimit

FIELDS: dict[str, checks.Check] = {
    "enabled": checks.flag(),
    "type": checks.text(1, 255),
    "name": checks.text(1, 255),
}


def render_service(req: Request, row: ServiceRow | CatalogService) -> dict[str, Any]:
    # Keystone has no column for descriptions of services: they are what clients make them.
    described = {} if row.description is None else {"description": row.description}
    return described | row.extra | {
        "id": row.id,
        "type": row.type,
        "name": row.name,
        "enabled": row.enabled,
        "links": {"self": link(req, "services", row.id)},
    }  # fmt: skip


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = select(req, catalog.services(session), {"type": "type", "name": "name"})
    rows, following = window(req, found)
    return collection(req, "services", [render_service(req, row) for row in rows], following)


def show(req: Request, service_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"service": render_service(req, get_service(session, service_id))}


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "service", FIELDS, ("type",)))
    known, extra = checks.split(value, FIELDS)
    with req.cloud.db.write() as session:
        row = CatalogService(
            id=req.cloud.ids.hex(), type=known["type"], name=known.get("name") or "",
            enabled=known.get("enabled", True), extra=extra,
        )  # fmt: skip
        session.add(row)
        tokens.changed(session)
        return {"service": render_service(req, row)}


def update(req: Request, service_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "service", FIELDS, change=True)
    checks.same_id(value, service_id)
    known, extra = checks.split(value, FIELDS)
    with req.cloud.db.write() as session:
        row = _changeable(session, service_id)
        row.type = known.get("type", row.type)
        row.name = known.get("name", row.name) or ""
        row.enabled = known.get("enabled", row.enabled)
        row.extra = row.extra | extra
        tokens.changed(session)
        return {"service": render_service(req, row)}


def delete(req: Request, service_id: str) -> None:
    """With its endpoints, and whatever refers to it and them."""
    with req.cloud.db.write() as session:
        row = _changeable(session, service_id)
        limits.check_unused(session, "service", RegisteredLimit.service_id, [service_id])
        endpoints = list(session.scalars(sa.select(Endpoint.id).where(Endpoint.service_id == service_id)))
        endpoint_filter.forget_endpoints(session, endpoints)
        endpoint_policy.forget_services(session, [service_id])
        session.execute(sa.delete(Endpoint).where(Endpoint.service_id == service_id))
        session.delete(row)
        tokens.changed(session)


def get_service(session: Session, service_id: str) -> ServiceRow:
    row = catalog.find_service(session, service_id)
    if row is None:
        raise not_found("service", service_id)
    return row


def _changeable(session: Session, service_id: str) -> CatalogService:
    if get_service(session, service_id).own:
        raise Forbidden(
            f"Service {service_id} is part of this cloud: it is made from the settings and can't be changed."
        )
    return get(session, CatalogService, service_id, "service")
