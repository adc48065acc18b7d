"""Endpoints of the catalog; like services, the cloud's own can only be read."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden
from onestack.core.http import Request
from onestack.identity import catalog, checks, endpoint_filter, tokens
from onestack.identity.api.common import collection, get, link, select, window
from onestack.identity.catalog import EndpointRow
from onestack.identity.dialect import check_length, expecting, not_found
from onestack.identity.models import Endpoint, Region

FIELDS: dict[str, checks.Check] = {
    "enabled": checks.flag(),
    "interface": checks.choice("admin", "internal", "public"),
    "region_id": checks.text(null=True),
    "region": checks.text(null=True),
    "service_id": checks.text(),
    "url": checks.URL,
    "name": checks.text(),
    "description": checks.DESCRIPTION,
}
_KNOWN = ("enabled", "interface", "region_id", "region", "service_id", "url")
QUERY: dict[str, checks.Check] = {"interface": FIELDS["interface"]}
# Older clients say `region`, which Keystone doesn't know any more.
_FILTERS = {"interface": "interface", "service_id": "service_id", "region_id": "region_id", "region": "region_id"}


def render_endpoint(req: Request, row: EndpointRow | Endpoint) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "service_id": row.service_id,
        "interface": row.interface,
        "region": row.region_id,
        "region_id": row.region_id,
        "url": row.url,
        "enabled": row.enabled,
        "links": {"self": link(req, "endpoints", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    with req.cloud.db.read() as session:
        found = select(req, catalog.endpoints(session, req.cloud.settings), _FILTERS)
    rows, following = window(req, found)
    return collection(req, "endpoints", [render_endpoint(req, row) for row in rows], following)


def show(req: Request, endpoint_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"endpoint": render_endpoint(req, get_endpoint(req, session, endpoint_id))}


def create(req: Request) -> dict[str, Any]:
    required = ("interface", "service_id", "url")
    value = checks.normalized(
        checks.checked(req.body, "endpoint", FIELDS | {"id": checks.text()}, required, alone=True)
    )
    known, extra = checks.split(value, _KNOWN)
    check_url(known["url"])
    with req.cloud.db.write() as session:
        check_service(session, known["service_id"])
        row = Endpoint(
            id=req.cloud.ids.hex(), service_id=known["service_id"], interface=known["interface"],
            region_id=_region(session, known), url=known["url"].strip(), enabled=known.get("enabled", True),
            extra=extra,
        )  # fmt: skip
        session.add(row)
        tokens.changed(session)
        return {"endpoint": render_endpoint(req, row)}


def update(req: Request, endpoint_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "endpoint", FIELDS, change=True, alone=True)
    checks.same_id(value, endpoint_id)
    known, extra = checks.split(value, _KNOWN)
    with req.cloud.db.write() as session:
        row = changeable(req, session, endpoint_id)
        if "service_id" in known:
            check_service(session, known["service_id"])
            row.service_id = known["service_id"]
        if "url" in known:
            check_url(known["url"])
            row.url = known["url"].strip()
        if "region" in known or "region_id" in known:
            row.region_id = _region(session, known)
        row.interface = known.get("interface", row.interface)
        row.enabled = known.get("enabled", row.enabled)
        row.extra = row.extra | extra
        tokens.changed(session)
        return {"endpoint": render_endpoint(req, row)}


def delete(req: Request, endpoint_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(changeable(req, session, endpoint_id))
        endpoint_filter.forget_endpoints(session, [endpoint_id])
        tokens.changed(session)


def _region(session: Session, known: dict[str, Any]) -> str | None:
    """`region_id` must exist; the older `region` makes the region where it is missing."""
    region_id = known.get("region_id")
    if region_id is not None:
        if session.get(Region, region_id) is None:
            raise expecting("endpoint region_id", "region table")
        return str(region_id)
    name = known.get("region")
    if name is not None and session.get(Region, name) is None:
        check_length("id", name, 255)
        session.add(Region(id=name, description=""))
    return name


def check_service(session: Session, service_id: str) -> None:
    if catalog.find_service(session, service_id) is None:
        raise expecting("endpoint service_id", "service table")


def check_url(url: str) -> None:
    if not catalog.usable(url):
        raise BadRequest(f"Cannot create an endpoint with an invalid URL: {url}.")


def get_endpoint(req: Request, session: Session, endpoint_id: str) -> EndpointRow:
    row = catalog.find_endpoint(session, req.cloud.settings, endpoint_id)
    if row is None:
        raise not_found("endpoint", endpoint_id)
    return row


def changeable(req: Request, session: Session, endpoint_id: str) -> Endpoint:
    if get_endpoint(req, session, endpoint_id).own:
        raise Forbidden(
            f"Endpoint {endpoint_id} is part of this cloud: it is made from the settings and can't be changed."
        )
    return get(session, Endpoint, endpoint_id, "endpoint")
