"""Regions: names for places, in a tree."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.identity import catalog, checks, endpoint_policy, limits
from onestack.identity.api.common import collection, filters, get, link, page, store
from onestack.identity.dialect import check_length, conflict
from onestack.identity.models import Region
from onestack.identity.models_limits import RegisteredLimit

_CHANGEABLE: dict[str, checks.Check] = {
    "id": checks.REGION,
    "description": checks.SHORT_DESCRIPTION,
    "parent_region_id": checks.REGION,
}
FIELDS = _CHANGEABLE | {"id": checks.text(0, 255, null=True)}  # of what is new it may be empty: one is made up
QUERY: dict[str, checks.Check] = {"parent_region_id": checks.REGION}


def render_region(req: Request, row: Region) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "description": row.description,
        "parent_region_id": row.parent_region_id,
        "links": {"self": link(req, "regions", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY, closed=True)
    with req.cloud.db.read() as session:
        conditions = filters(req, {"parent_region_id": Region.parent_region_id})
        rows, following = page(req, session, Region, conditions, order="id")
    return collection(req, "regions", [render_region(req, row) for row in rows], following)


def show(req: Request, region_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"region": render_region(req, get(session, Region, region_id, "region"))}


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "region", FIELDS))
    return _create(req, value, value.get("id") or req.cloud.ids.hex())


def create_with_id(req: Request, region_id: str) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "region", FIELDS))
    if "id" in value and value["id"] != region_id:
        raise BadRequest(f'Conflicting region IDs specified: "{region_id}" != "{value["id"]}"')
    return _create(req, value, region_id)


def _create(req: Request, value: dict[str, Any], region_id: str) -> dict[str, Any]:
    known, extra = checks.split(value, FIELDS)
    check_length("id", region_id, 255)
    with req.cloud.db.write() as session:
        parent = known.get("parent_region_id")
        if parent is not None:
            get(session, Region, parent, "region")
        row = Region(id=region_id, description=known.get("description") or "", parent_region_id=parent, extra=extra)
        store(session, row, _same_id(region_id))
        return {"region": render_region(req, row)}


def update(req: Request, region_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "region", _CHANGEABLE, change=True, alone=True)
    checks.same_id(value, region_id)
    known, extra = checks.split(value, FIELDS)
    with req.cloud.db.write() as session:
        row = get(session, Region, region_id, "region")
        if "parent_region_id" in known:
            _check_parent(session, region_id, known["parent_region_id"])
            row.parent_region_id = known["parent_region_id"]
        row.description = known.get("description", row.description) or ""
        row.extra = row.extra | extra
        return {"region": render_region(req, row)}


def _check_parent(session: Session, region_id: str, parent: str | None) -> None:
    above = parent
    while above is not None:
        if above == region_id:
            raise BadRequest(f"The specified parent region {parent} would create a circular region hierarchy.")
        above = get(session, Region, above, "region").parent_region_id


def delete(req: Request, region_id: str) -> None:
    with req.cloud.db.write() as session:
        row = get(session, Region, region_id, "region")
        gone = _with_children(session, region_id)
        if any(endpoint.region_id in gone for endpoint in catalog.endpoints(session, req.cloud.settings)):
            raise Forbidden(
                f"Unable to delete region {region_id} because it or its child regions have associated endpoints."
            )
        limits.check_unused(session, "region", RegisteredLimit.region_id, gone)
        endpoint_policy.forget_regions(session, gone)
        session.execute(sa.delete(Region).where(Region.id.in_(gone - {row.id})))
        session.delete(row)


def _with_children(session: Session, region_id: str) -> set[str]:
    found, level = {region_id}, {region_id}
    while level:
        level = set(session.scalars(sa.select(Region.id).where(Region.parent_region_id.in_(level)))) - found
        found |= level
    return found


def _same_id(region_id: str) -> Conflict:
    return conflict("region", f"Duplicate ID, {region_id}.")
