"""v2.0's catalog, its services (OS-KSADM) and its endpoints, each of which is up to three of v3's."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.identity import catalog, checks, tokens
from onestack.identity.api import endpoints, services
from onestack.identity.api.v2.common import admin, part
from onestack.identity.dialect import expecting, not_found
from onestack.identity.engine import engine
from onestack.identity.models import Endpoint, Region
from onestack.identity.tokens import Token

_URLS = {f"{interface}url": interface for interface in catalog.INTERFACES}
_FIELDS: dict[str, checks.Check] = {
    "service_id": checks.ID,
    "region": checks.text(0, 255, null=True),
    "enabled": checks.flag(),
    **dict.fromkeys(_URLS, checks.text(0, 225, null=True, pattern=r"^$|^[a-zA-Z0-9+.%$()_-]+:.+")),
}


def service_catalog(req: Request, token: Token) -> list[dict[str, Any]]:
    """The catalog of a token: one entry for each service, one endpoint for each of its regions."""
    found = []
    own = {row.id: row for row in catalog.own_services()}
    for service in engine(req).tokens.catalog(token.user.id, token.payload.project_id):
        regions: dict[str, dict[str, Any]] = {}
        for endpoint in service["endpoints"]:
            shown = regions.setdefault(endpoint["region"], {"id": endpoint["id"], "region": endpoint["region"]})
            url = endpoint["url"]
            if service["id"] in own and service["type"] == "identity":
                # Clients of v2.0 append /tenants and the like to what they find here.
                url = url.removesuffix("/v3") + "/v2.0"
            shown.setdefault(f"{endpoint['interface']}URL", url)  # a second one of its kind has no place here
        found.append(
            {"type": service["type"], "name": service["name"], "endpoints": list(regions.values()),
             "endpoints_links": []}
        )  # fmt: skip
    return found


# Services


def _service_view(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key != "links"}


def list_services(req: Request) -> dict[str, Any]:
    admin(req)
    return {"OS-KSADM:services": [_service_view(shown) for shown in services.index(req)["services"]]}


def show_service(req: Request, service_id: str) -> dict[str, Any]:
    admin(req)
    return {"OS-KSADM:service": _service_view(services.show(req, service_id)["service"])}


def create_service(req: Request) -> dict[str, Any]:
    admin(req)
    req.body = {"service": part(req.body, "OS-KSADM:service")}
    return {"OS-KSADM:service": _service_view(services.create(req)["service"])}


def delete_service(req: Request, service_id: str) -> None:
    admin(req)
    services.delete(req, service_id)


# Endpoints


def list_endpoints(req: Request) -> dict[str, Any]:
    """Those that were made here keep their id; v3's of one service and region make one, with its public one's id."""
    admin(req)
    with req.cloud.db.read() as session:
        legacy = {
            row.id: row.legacy_endpoint_id
            for row in session.execute(
                sa.select(Endpoint.id, Endpoint.legacy_endpoint_id).where(Endpoint.legacy_endpoint_id.is_not(None))
            )
        }
        rows = catalog.endpoints(session, req.cloud.settings)
    groups: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key = legacy.get(row.id)
        group = groups.setdefault(
            key or (row.service_id, row.region_id),
            {"service_id": row.service_id, "region": row.region_id, "enabled": row.enabled},
        )
        group[f"{row.interface}url"] = row.url
        if key is not None:
            group["id"] = key
        elif row.interface == "public":
            group["id"] = row.id
    return {"endpoints": [group for group in groups.values() if "id" in group]}


def create_endpoint(req: Request) -> dict[str, Any]:
    """Up to three rows, which a common id holds together."""
    admin(req)
    given = part(req.body, "endpoint")
    for name in ("publicurl", "service_id"):
        if not given.get(name):
            raise expecting(name, "endpoint")
    value = checks.checked({"endpoint": given}, "endpoint", _FIELDS)
    urls = {interface: value[name].strip() for name, interface in _URLS.items() if value.get(name)}
    for url in urls.values():
        endpoints.check_url(url)
    extra = {key: item for key, item in value.items() if key not in _FIELDS and key not in ("id", "links")}
    enabled = value.get("enabled", True)
    with req.cloud.db.write() as session:
        endpoints.check_service(session, value["service_id"])
        region = value.get("region")
        if region is not None and session.get(Region, region) is None:
            session.add(Region(id=region))
        legacy_id = req.cloud.ids.hex()
        for interface, url in urls.items():
            session.add(
                Endpoint(
                    id=req.cloud.ids.hex(), legacy_endpoint_id=legacy_id, service_id=value["service_id"],
                    interface=interface, region_id=region, url=url, enabled=enabled, extra=extra,
                )
            )  # fmt: skip
        tokens.changed(session)
    shown = extra | {"id": legacy_id, "service_id": value["service_id"], "region": region, "enabled": enabled}
    return {"endpoint": shown | {f"{interface}url": urls.get(interface) for interface in catalog.INTERFACES}}


def delete_endpoint(req: Request, endpoint_id: str) -> None:
    admin(req)
    with req.cloud.db.write() as session:
        rows = _of(session, endpoint_id)
        if not rows:
            endpoints.changeable(req, session, endpoint_id)
            raise not_found("endpoint", endpoint_id)
        for row in rows:
            session.delete(row)
        tokens.changed(session)


def _of(session: Session, legacy_id: str) -> list[Endpoint]:
    return list(session.scalars(sa.select(Endpoint).where(Endpoint.legacy_endpoint_id == legacy_id)))
