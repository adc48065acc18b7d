"""Registered limits: the defaults of resources that services count."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core.http import Request
from onestack.identity import checks, limits
from onestack.identity.api.common import collection, filters, link, store, window
from onestack.identity.dialect import conflict
from onestack.identity.models_limits import NONE, RegisteredLimit

FIELDS: dict[str, checks.Check] = {
    "service_id": checks.uuid_like,
    "region_id": checks.REGION,
    "resource_name": checks.NAME,
    "default_limit": checks.whole(-1, 0x7FFFFFFF),
    "description": checks.SHORT_DESCRIPTION,
}
COLUMNS = {
    "service_id": RegisteredLimit.service_id,
    "region_id": RegisteredLimit.region_id,
    "resource_name": RegisteredLimit.resource_name,
}


def render_registered_limit(req: Request, row: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": row.id,
        "service_id": row.service_id,
        "region_id": row.region_id or None,
        "resource_name": row.resource_name,
        "default_limit": row.default_limit,
        "description": row.description,
        "links": {"self": link(req, "registered_limits", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    checks.query(req, {name: FIELDS[name] for name in COLUMNS})
    query = sa.select(RegisteredLimit).where(*filters(req, COLUMNS))
    with req.cloud.db.read() as session:
        found = session.scalars(query.order_by(RegisteredLimit.resource_name, RegisteredLimit.id)).all()
        rows, following = window(req, found)
        return collection(req, "registered_limits", [render_registered_limit(req, row) for row in rows], following)


def show(req: Request, registered_limit_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = limits.get(session, RegisteredLimit, registered_limit_id)
        return {"registered_limit": render_registered_limit(req, row)}


def create(req: Request) -> dict[str, Any]:
    required = ("service_id", "resource_name", "default_limit")
    values = checks.checked_list(req.body, "registered_limits", FIELDS, required)
    with req.cloud.db.write() as session:
        limits.check_references(session, values, "registered_limit")
        rows = [
            RegisteredLimit(
                id=req.cloud.ids.hex(), service_id=value["service_id"], region_id=value.get("region_id") or NONE,
                resource_name=value["resource_name"], default_limit=value["default_limit"],
                description=value.get("description"),
            )
            for value in values
        ]  # fmt: skip
        session.add_all(rows)
        store(session, None, conflict("registered_limit", "Duplicate entry"))
        return {"registered_limits": [render_registered_limit(req, row) for row in rows]}


def update(req: Request, registered_limit_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "registered_limit", FIELDS, closed=True, alone=True)
    with req.cloud.db.write() as session:
        limits.check_references(session, [value], "registered_limit")
        row = limits.get(session, RegisteredLimit, registered_limit_id)
        limits.check_unreferenced(session, row)
        row.service_id = value.get("service_id", row.service_id)
        row.region_id = value.get("region_id", row.region_id) or NONE
        row.resource_name = value.get("resource_name", row.resource_name)
        row.default_limit = value.get("default_limit", row.default_limit)
        row.description = value.get("description", row.description)
        store(session, None, conflict("registered_limit", "Duplicate entry"))
        return {"registered_limit": render_registered_limit(req, row)}


def delete(req: Request, registered_limit_id: str) -> None:
    with req.cloud.db.write() as session:
        row = limits.get(session, RegisteredLimit, registered_limit_id)
        limits.check_unreferenced(session, row)
        session.delete(row)
        store(session, None, limits.referenced(row))
