"""Services: /os-services. Each hypervisor is a nova-compute; this process is the scheduler and the conductor.

Source: the compute API reference, "Compute services". A service is named by a number before 2.53, by a UUID since.
"""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import aggregates, availability, hosts, schema
from onestack.compute.models import Host, Stray
from onestack.core.clock import micros
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.placement import public as placement

COMPUTE = "nova-compute"
OURS = ("nova-scheduler", "nova-conductor")  # what the server itself does
_FIRST = len(OURS)  # before the numbers of the hypervisors


def number_of(host: Host) -> int:
    """The id before 2.53 of a hypervisor's service."""
    return host.number + _FIRST


def index(req: Request) -> dict[str, Any]:
    host, binary = req.get("host") or None, req.get("binary") or None
    found = [
        row for row in everything(req)
        if (host is None or row["host"] == host) and (binary is None or row["binary"] == binary)
    ]  # fmt: skip
    return {"services": found}


def everything(req: Request) -> list[dict[str, Any]]:
    """Every service as the request's microversion shows it."""
    with req.cloud.db.read() as session:
        known = list(session.scalars(sa.select(Host).order_by(Host.number)))
        zones = availability.zones(session, [host.hostname for host in known])
    rows = [_ours(req, number, binary) for number, binary in enumerate(OURS, 1)]
    return rows + [render_host(req, host, zones[host.hostname]) for host in known]


def render_host(req: Request, host: Host, zone: str) -> dict[str, Any]:
    up = hosts.is_up(host, req.cloud.clock.now())
    body: dict[str, Any] = {
        "id": number_of(host) if req.version < (2, 53) else host.id,
        "binary": COMPUTE,
        "host": host.hostname,
        "zone": zone,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if up else "down",
        "updated_at": micros(host.seen_at),
        "disabled_reason": host.disabled_reason,
    }
    if req.version >= (2, 11):
        body["forced_down"] = host.forced_down
    return body


def _ours(req: Request, number: int, binary: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": number if req.version < (2, 53) else own_uuid(req, binary),
        "binary": binary,
        "host": req.cloud.settings.hostname,
        "zone": availability.INTERNAL,
        "status": "enabled",
        "state": "up",
        "updated_at": micros(req.cloud.clock.now()),
        "disabled_reason": None,
    }
    if req.version >= (2, 11):
        body["forced_down"] = False
    return body


def own_uuid(req: Request, binary: str) -> str:
    """The same at each start, without a row."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{binary}.{req.cloud.settings.hostname}"))


def act(req: Request, service: str) -> dict[str, Any]:
    """PUT /os-services/{enable | disable | disable-log-reason | force-down}, before 2.53."""
    fields: dict[str, schema.Check] = {
        "host": schema.fqdn, "binary": schema.string(255, 1), "disabled_reason": schema.string(255, 1),
    }  # fmt: skip
    forcing = req.version >= (2, 11)
    if forcing:
        fields["forced_down"] = schema.boolean
    values = schema.obj(fields, ("host", "binary"), req.version)("", req.body)
    req.authorize()
    if service not in ("enable", "disable", "disable-log-reason", *(("force-down",) if forcing else ())):
        raise NotFound("Unknown action")
    if service == "disable-log-reason" and "disabled_reason" not in values:
        raise BadRequest("Missing disabled reason field")
    if service == "force-down" and "forced_down" not in values:
        raise BadRequest("Missing forced_down field")
    reason = values.get("disabled_reason") if service == "disable-log-reason" else None
    with req.cloud.db.write() as session:
        host = _by_name(session, values["host"], values["binary"])
        if service == "force-down":
            _change(session, req, host, {"forced_down": values["forced_down"]})
        else:
            status = "enabled" if service == "enable" else "disabled"
            _change(session, req, host, {"status": status, "disabled_reason": reason})
    body = {"host": values["host"], "binary": values["binary"]}
    if service == "force-down":
        return {"service": {**body, "forced_down": host.forced_down}}
    body["status"] = "disabled" if host.disabled else "enabled"
    if reason is not None:
        body["disabled_reason"] = reason
    return {"service": body}


def update(req: Request, service: str) -> dict[str, Any]:
    """PUT /os-services/{uuid}, since 2.53."""
    fields = {
        "status": schema.one_of("enabled", "disabled"), "disabled_reason": schema.string(255, 1),
        "forced_down": schema.boolean,
    }  # fmt: skip
    values = schema.obj(fields, (), req.version)("", req.body)
    _check_uuid(service)
    req.authorize()
    with req.cloud.db.write() as session:
        host = _by_id(session, req, service, "Service {} could not be found.")
        if values.get("status") == "enabled" and "disabled_reason" in values:
            raise BadRequest("Specifying 'disabled_reason' with status 'enabled' is invalid.")
        if "status" not in values and "forced_down" not in values:
            raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
        _change(session, req, host, values)
        zone = availability.zones(session, [host.hostname])[host.hostname]
        return {"service": render_host(req, host, zone)}


def delete(req: Request, service: str) -> Response:
    """Forget a hypervisor that will not come back; if its agent does say hello again, it is a new one."""
    if req.version >= (2, 53):
        _check_uuid(service)
    elif not (service.removeprefix("-").isascii() and service.removeprefix("-").isdigit()):
        raise BadRequest("Invalid input received: id must be an integer")
    with req.cloud.db.write() as session:
        host = _by_id(session, req, service)
        if aggregates.occupied(session, [host.hostname]):
            raise Conflict(
                "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
            )
        aggregates.forget_host(session, host.hostname)
        session.execute(sa.delete(Stray).where(Stray.hostname == host.hostname))
        placement.remove_provider(session, host.id)
        session.delete(host)
    return Response()


def _change(session: Session, req: Request, host: Host, values: dict[str, Any]) -> None:
    if "status" in values:
        host.disabled = values["status"] == "disabled"
        host.disabled_reason = values.get("disabled_reason") if host.disabled else None
    if "forced_down" in values:
        host.forced_down = values["forced_down"]
    host.updated_at = req.cloud.clock.now()
    session.flush()


def _by_name(session: Session, hostname: str, binary: str) -> Host:
    if binary != COMPUTE:
        raise _not_compute(binary)
    host = session.scalars(sa.select(Host).where(Host.hostname == hostname)).first()
    if host is None:
        raise NotFound(f"Host '{hostname}' is not mapped to any cell")
    return host


def _by_id(session: Session, req: Request, service: str, missing: str = "Service {} not found.") -> Host:
    if req.version < (2, 53):
        number = int(service) if len(service) < 19 else 0  # more than a column holds is nobody's
        if 1 <= number <= _FIRST:
            raise _not_compute(OURS[number - 1])
        host = session.get(Host, number - _FIRST)
    else:
        for binary in OURS:
            if service == own_uuid(req, binary):
                raise _not_compute(binary)
        host = session.scalars(sa.select(Host).where(Host.id == service)).first()
    if host is None:
        raise NotFound(missing.format(service))
    return host


def _not_compute(binary: str) -> BadRequest:
    return BadRequest(f"Updating a {binary} service is not supported. Only nova-compute services can be updated.")


def _check_uuid(service: str) -> None:
    if not schema.is_uuid(service):
        raise BadRequest(f"Invalid uuid {service}")
