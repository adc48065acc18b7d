"""The catalog: the cloud's own services, made from the settings, and those that somebody added.

Nothing of the first kind is stored, so moving a port or the host's name moves the catalog with it. Their ids are
derived from what they are, and stay the same.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.config import Settings
from onestack.identity.models import CatalogService, Endpoint

_FIELD = re.compile(r"[%$]\((\w*)\)s")
_ODD = re.compile(r"[%$]\(")  # what looks like a field and isn't one
INTERFACES = ("public", "internal", "admin")
_NAMESPACE = uuid.UUID("5f0f3b5e-6d39-4c55-9f2d-6f2f6f1d7a31")


class _Known(NamedTuple):
    name: str
    type: str
    port: str  # key of config.PORTS
    path: str
    description: str
    admin_port: str = ""


# Old Nova clients find their API version by taking the project's id off the end of the URL, so it has to be there.
KNOWN = (
    _Known("keystone", "identity", "identity", "/v3", "Identity", admin_port="identity-admin"),
    _Known("glance", "image", "image", "", "Image"),
    _Known("nova", "compute", "compute", "/v2.1/%(project_id)s", "Compute"),
    _Known("placement", "placement", "placement", "", "Placement"),
    _Known("neutron", "network", "network", "", "Networking"),
)


class ServiceRow(NamedTuple):
    """A service of either kind; `own` when it is made from the settings."""

    id: str
    type: str
    name: str
    description: str | None
    enabled: bool
    extra: dict[str, Any]
    own: bool


class EndpointRow(NamedTuple):
    id: str
    service_id: str
    interface: str
    region_id: str | None
    url: str
    enabled: bool
    extra: dict[str, Any]
    own: bool


def _derived_id(*words: str) -> str:
    return uuid.uuid5(_NAMESPACE, "/".join(words)).hex


def own_services() -> list[ServiceRow]:
    return [ServiceRow(_derived_id(k.type), k.type, k.name, k.description, True, {}, True) for k in KNOWN]


def own_endpoints(settings: Settings) -> list[EndpointRow]:
    return [
        EndpointRow(
            _derived_id(k.type, interface, settings.region), _derived_id(k.type), interface, settings.region,
            settings.url(k.admin_port if interface == "admin" and k.admin_port else k.port) + k.path, True, {}, True,
        )
        for k in KNOWN
        for interface in INTERFACES
    ]  # fmt: skip


def services(session: Session) -> list[ServiceRow]:
    rows = session.scalars(sa.select(CatalogService).order_by(CatalogService.type, CatalogService.id))
    return own_services() + [_service(row) for row in rows]


def endpoints(session: Session, settings: Settings) -> list[EndpointRow]:
    rows = session.scalars(sa.select(Endpoint).order_by(Endpoint.service_id, Endpoint.id))
    return own_endpoints(settings) + [_endpoint(row) for row in rows]


def find_service(session: Session, service_id: str) -> ServiceRow | None:
    """A service of either kind."""
    own = next((row for row in own_services() if row.id == service_id), None)
    row = None if own is not None else session.get(CatalogService, service_id)
    return own if row is None else _service(row)


def find_endpoint(session: Session, settings: Settings, endpoint_id: str) -> EndpointRow | None:
    """An endpoint of either kind."""
    own = next((row for row in own_endpoints(settings) if row.id == endpoint_id), None)
    row = None if own is not None else session.get(Endpoint, endpoint_id)
    return own if row is None else _endpoint(row)


def _service(row: CatalogService) -> ServiceRow:
    return ServiceRow(row.id, row.type, row.name, row.description, row.enabled, row.extra, False)


def _endpoint(row: Endpoint) -> EndpointRow:
    return EndpointRow(
        row.id, row.service_id, row.interface, row.region_id, row.url, row.enabled, row.extra, False
    )  # fmt: skip


def load(session: Session, settings: Settings) -> list[tuple[ServiceRow, list[EndpointRow]]]:
    """Enabled services with their enabled endpoints, URLs still templates."""
    by_service: dict[str, list[EndpointRow]] = {}
    for endpoint in endpoints(session, settings):
        if endpoint.enabled:
            by_service.setdefault(endpoint.service_id, []).append(endpoint)
    return [(service, by_service.get(service.id, [])) for service in services(session) if service.enabled]


def render(
    loaded: list[tuple[ServiceRow, list[EndpointRow]]],
    user_id: str,
    project_id: str | None,
    only: frozenset[str] | None = None,
) -> list[dict[str, Any]]:
    """The catalog of a token. An endpoint that needs a project's id is left out where the token has none.

    `only`: ids of the endpoints that the project sees; services without any are left out then.
    """
    found = []
    for service, rows in loaded:
        shown: list[dict[str, Any]] = []
        for row in rows:
            if only is not None and row.id not in only:
                continue
            url = expand(row.url, user_id, project_id)
            if url is not None:
                shown.append(
                    {"id": row.id, "interface": row.interface, "region_id": row.region_id, "region": row.region_id,
                     "url": url}
                )  # fmt: skip
        if shown or only is None:
            found.append({"endpoints": shown, "id": service.id, "type": service.type, "name": service.name})
    return found


def expand(url: str, user_id: str, project_id: str | None) -> str | None:
    """`url` with `%(project_id)s` and `$(tenant_id)s` and the like filled in; None when it can't be.

    Only the names are looked for: a format specification of somebody's own could ask for a gigabyte of spaces.
    """
    if "(" not in url:
        return url
    values: dict[str, str | None] = {"user_id": user_id, "project_id": project_id, "tenant_id": project_id}
    found = [values.get(name) for name in _FIELD.findall(url)]
    if None in found or _ODD.search(_FIELD.sub("", url)):
        return None
    return _FIELD.sub(lambda match: values[match[1]] or "", url)


def usable(url: str) -> bool:
    """Whether the substitutions in `url` are among those that exist."""
    return expand(url, "u", "p") is not None
