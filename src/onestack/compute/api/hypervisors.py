"""Hypervisors: /os-hypervisors. Named by a number before 2.53, by a UUID since; without figures from 2.88 on.

Source: the compute API reference, "Hypervisors".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import hosts, hypervisors, links, schema
from onestack.compute.api import services
from onestack.compute.models import Host
from onestack.core.errors import BadRequest, NotFound, NotImplementedHere
from onestack.core.http import Request


def index(req: Request) -> dict[str, Any]:
    return _list(req, detail=False)


def detail(req: Request) -> dict[str, Any]:
    return _list(req, detail=True)


def show(req: Request, hypervisor_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        host = _load(session, req, hypervisor_id)
        return {"hypervisor": _render(req, session, [host], detail=True, servers=_with_servers(req))[0]}


def uptime(req: Request, hypervisor_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        host = _load(session, req, hypervisor_id)
        body = _brief(req, host)
    if body["state"] != "up":
        raise BadRequest(f"Compute service of {host.hostname} is unavailable at this time.")
    text = _uptime(req, host)
    if text is None:
        raise NotImplementedHere("The requested functionality is not supported.")
    return {"hypervisor": {**body, "uptime": text}}


def statistics(req: Request) -> dict[str, Any]:
    """The sum over the enabled hypervisors."""
    total: dict[str, int] = dict.fromkeys(
        ("count", "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb",
         "free_disk_gb", "disk_available_least", "current_workload", "running_vms"), 0,
    )  # fmt: skip
    with req.cloud.db.read() as session:
        known = list(session.scalars(sa.select(Host).where(Host.disabled.is_(False))))
        for figures in hypervisors.figures(session, known).values():
            for name, value in figures.body().items():
                total[name] += value
    total["count"] = len(known)
    return {"hypervisor_statistics": total}


def search(req: Request, hypervisor_id: str) -> dict[str, Any]:
    """GET /os-hypervisors/{part of a hostname}/search, before 2.53."""
    return _search(req, hypervisor_id, servers=False)


def servers(req: Request, hypervisor_id: str) -> dict[str, Any]:
    """GET /os-hypervisors/{part of a hostname}/servers, before 2.53."""
    return _search(req, hypervisor_id, servers=True)


def _search(req: Request, pattern: str, *, servers: bool) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = _matching(session, pattern)
        return {"hypervisors": _render(req, session, found, detail=False, servers=servers)}


def _matching(session: Session, pattern: str) -> list[Host]:
    query = sa.select(Host).where(Host.hostname.contains(pattern, autoescape=True)).order_by(Host.number)
    found = list(session.scalars(query))
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _list(req: Request, *, detail: bool) -> dict[str, Any]:
    pattern = req.get("hypervisor_hostname_pattern") if req.version >= (2, 53) else None
    paged = req.version >= (2, 33)
    if pattern is not None and (req.get("limit") is not None or req.get("marker")):
        raise BadRequest(
            "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
        )
    size = links.limit(req) if paged else 0
    with req.cloud.db.read() as session:
        if pattern is not None:
            found = _matching(session, pattern)
        else:
            query = sa.select(Host).order_by(Host.number)
            marker = req.get("marker") if paged else None
            if marker is not None:
                query = query.where(Host.number > _marker(session, marker))
            found = list(session.scalars(query.limit(size) if paged else query))
        body = {"hypervisors": _render(req, session, found, detail=detail, servers=_with_servers(req))}
    if not paged or pattern is not None:
        return body
    last = str(body["hypervisors"][-1]["id"]) if found else None
    path = "os-hypervisors/detail" if detail else "os-hypervisors"
    return links.with_next(body, "hypervisors", links.next_links(req, path, len(found), size, last))


def _marker(session: Session, marker: str) -> int:
    """A UUID or, in every version, a number."""
    query = sa.select(Host.number).where(Host.id == marker)
    if marker.isascii() and marker.isdigit() and len(marker) < 19:
        query = sa.select(Host.number).where(Host.number == int(marker))
    found = session.scalar(query)
    if found is None:
        raise BadRequest(f"marker [{marker}] not found")
    return found


def _load(session: Session, req: Request, hypervisor_id: str) -> Host:
    """Raises NotFound, and BadRequest for what can't be an id since 2.53."""
    if req.version >= (2, 53):
        if not schema.is_uuid(hypervisor_id):
            raise BadRequest(f"Invalid uuid {hypervisor_id}")
        found = session.scalars(sa.select(Host).where(Host.id == hypervisor_id)).first()
    else:
        numeric = hypervisor_id.isascii() and hypervisor_id.isdigit() and len(hypervisor_id) < 19
        found = session.get(Host, int(hypervisor_id)) if numeric else None
    if found is None:
        raise NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.")
    return found


def _with_servers(req: Request) -> bool:
    return req.version >= (2, 53) and bool(req.get_bool("with_servers", False))


def _render(
    req: Request, session: Session, found: Sequence[Host], *, detail: bool, servers: bool
) -> list[dict[str, Any]]:
    figures = hypervisors.figures(session, found) if detail and req.version < (2, 88) else {}
    there = hypervisors.servers_on(session, [host.hostname for host in found]) if servers else {}
    bodies = []
    for host in found:
        body = _brief(req, host)
        if detail:
            body |= _details(req, host)
        if host.id in figures:
            cpu = host.cpu_info or {}
            body |= figures[host.id].body()
            body["cpu_info"] = cpu if req.version >= (2, 28) else msgspec.json.encode(cpu).decode()
        elif detail:
            body["uptime"] = _uptime(req, host) if body["state"] == "up" else None
        # Since 2.75 `servers` is there also when it is empty, as long as it was asked for.
        if servers and (host.hostname in there or req.version >= (2, 75)):
            body["servers"] = there.get(host.hostname, [])
        bodies.append(body)
    return bodies


def _brief(req: Request, host: Host) -> dict[str, Any]:
    up = hosts.is_up(host, req.cloud.clock.now())
    return {
        "id": host.number if req.version < (2, 53) else host.id,
        "hypervisor_hostname": host.hostname,
        "state": "up" if up else "down",
        "status": "disabled" if host.disabled else "enabled",
    }


def _details(req: Request, host: Host) -> dict[str, Any]:
    return {
        "hypervisor_type": host.hypervisor_type,
        "hypervisor_version": host.hypervisor_version,
        "host_ip": host.host_ip,
        "service": {
            "id": services.number_of(host) if req.version < (2, 53) else host.id,
            "host": host.hostname,
            "disabled_reason": host.disabled_reason,
        },
    }


def _uptime(req: Request, host: Host) -> str | None:
    return hypervisors.uptime(host, req.cloud.clock.now().strftime("%H:%M:%S"))
