"""Policies that are kept for others to fetch, and their associations with endpoints (OS-ENDPOINT-POLICY)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.identity import catalog, checks, endpoint_policy
from onestack.identity.api.common import collection, filters, get, link, store, window
from onestack.identity.api.endpoints import get_endpoint, render_endpoint
from onestack.identity.api.services import get_service
from onestack.identity.dialect import conflict
from onestack.identity.models import Region
from onestack.identity.models_catalog import NONE, PolicyAssociation, PolicyDocument

FIELDS: dict[str, checks.Check] = {"blob": checks.text(maximum=1 << 20), "type": checks.text(maximum=255)}


def render_policy(req: Request, row: PolicyDocument) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "type": row.type,
        "blob": row.blob,
        "links": {"self": link(req, "policies", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    query = sa.select(PolicyDocument).where(*filters(req, {"type": PolicyDocument.type}))
    with req.cloud.db.read() as session:
        rows, following = window(req, session.scalars(query.order_by(PolicyDocument.type, PolicyDocument.id)).all())
        return collection(req, "policies", [render_policy(req, row) for row in rows], following)


def show(req: Request, policy_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"policy": render_policy(req, _get(session, policy_id))}


def create(req: Request) -> dict[str, Any]:
    given = req.body.get("policy", {})
    checks.checked_as_of_old(given, checks.members(FIELDS, ("blob", "type")))
    value = checks.normalized(given)
    known, extra = checks.split(value, FIELDS)
    row = PolicyDocument(id=req.cloud.ids.hex(), type=known["type"], blob=known["blob"], extra=extra)
    with req.cloud.db.write() as session:
        session.add(row)
        return {"policy": render_policy(req, row)}


def update(req: Request, policy_id: str) -> dict[str, Any]:
    value = req.body.get("policy", {})
    checks.checked_as_of_old(value, checks.members(FIELDS, least=1))
    if value.get("id", policy_id) != policy_id:
        raise BadRequest("Cannot change policy ID")
    known, extra = checks.split(value, FIELDS)
    with req.cloud.db.write() as session:
        row = _get(session, policy_id)
        row.type = known.get("type", row.type)
        row.blob = known.get("blob", row.blob)
        row.extra = row.extra | extra
        return {"policy": render_policy(req, row)}


def delete(req: Request, policy_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_get(session, policy_id))


def _get(session: Session, policy_id: str) -> PolicyDocument:
    return get(session, PolicyDocument, policy_id, "policy")


# Associations: with an endpoint, with a service, or with a service in a region.


def of_endpoint(req: Request, endpoint_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = endpoint_policy.effective(session, get_endpoint(req, session, endpoint_id))
        if found is None:
            raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")
        return {"policy": render_policy(req, _get(session, found))}


def endpoints(req: Request, policy_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        _get(session, policy_id)
        rows = endpoint_policy.endpoints_of(session, policy_id, catalog.endpoints(session, req.cloud.settings))
    found = [render_endpoint(req, row) for row in rows]
    for endpoint in found:
        del endpoint["region"]  # Keystone has the older name of region_id everywhere but here
    return collection(req, "endpoints", found)


def check(req: Request, policy_id: str, **where: str) -> None:
    with req.cloud.db.read() as session:
        row = session.get(PolicyAssociation, _place(req, session, policy_id, where))
        if row is None or row.policy_id != policy_id:
            raise NotFound("Could not find policy association.")


def associate(req: Request, policy_id: str, **where: str) -> None:
    """In the place of any other policy that was associated there."""
    with req.cloud.db.write() as session:
        endpoint_id, service_id, region_id = _place(req, session, policy_id, where)
        row = PolicyAssociation(
            endpoint_id=endpoint_id, service_id=service_id, region_id=region_id, policy_id=policy_id
        )  # fmt: skip
        session.merge(row)
        store(session, None, conflict("policy association", "Duplicate entry"))


def dissociate(req: Request, policy_id: str, **where: str) -> None:
    """Nothing is said of an association that wasn't there."""
    with req.cloud.db.write() as session:
        row = session.get(PolicyAssociation, _place(req, session, policy_id, where))
        if row is not None and row.policy_id == policy_id:
            session.delete(row)


def _place(req: Request, session: Session, policy_id: str, where: dict[str, str]) -> endpoint_policy.Place:
    """The key of an association; everything that it names must be there. Raises NotFound."""
    _get(session, policy_id)
    if "endpoint_id" in where:
        get_endpoint(req, session, where["endpoint_id"])
    if "service_id" in where:
        get_service(session, where["service_id"])
    if "region_id" in where:
        get(session, Region, where["region_id"], "region")
    return where.get("endpoint_id", NONE), where.get("service_id", NONE), where.get("region_id", NONE)
