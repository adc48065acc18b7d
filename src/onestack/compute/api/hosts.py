"""Hosts as clients before 2.43 see them: /os-hosts. Source: the compute API reference, "Hosts"."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import hypervisors, schema
from onestack.compute.api import services
from onestack.compute.models import Host, Server
from onestack.core.errors import BadRequest, NotFound, NotImplementedHere
from onestack.core.http import Request


def index(req: Request) -> dict[str, Any]:
    """Those that are enabled. A filter by service, which the reference speaks of, is ignored by Nova's query schema."""
    zone = req.get("zone")
    found = [
        {"host_name": row["host"], "service": row["binary"].removeprefix("nova-"), "zone": row["zone"]}
        for row in services.everything(req)
        if row["status"] == "enabled" and (not zone or row["zone"] == zone)
    ]
    return {"hosts": found}


def show(req: Request, hostname: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        host = _load(session, hostname)
        have = hypervisors.figures(session, [host])[host.id]
        per_project = list(session.execute(
            sa.select(
                Server.project_id, sa.func.sum(Server.vcpus), sa.func.sum(Server.ram),
                sa.func.sum(Server.disk + Server.ephemeral),
            )
            .where(Server.host == hostname, Server.deleted_at.is_(None))
            .group_by(Server.project_id)
            .order_by(Server.project_id)
        ))  # fmt: skip
    rows = [
        ("(total)", have.vcpus, have.memory_mb, have.local_gb),
        ("(used_now)", have.vcpus_used, have.memory_mb_used, have.local_gb_used),
        ("(used_max)", *(sum(int(row[column]) for row in per_project) for column in (1, 2, 3))),
        *((row[0], int(row[1]), int(row[2]), int(row[3])) for row in per_project),
    ]
    return {
        "host": [
            {"resource": {"host": hostname, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}}
            for project, cpu, memory, disk in rows
        ]
    }


def update(req: Request, hostname: str) -> dict[str, Any]:
    switch = schema.one_of("enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE")
    fields: dict[str, schema.Check] = {"status": switch, "maintenance_mode": switch}
    values = {name: value.lower() for name, value in schema.obj(fields, (), req.version)("", req.body).items()}
    if not values:
        raise BadRequest(f"{req.body!r} is not valid under any of the given schemas")
    req.authorize()
    with req.cloud.db.write() as session:
        host = _load(session, hostname)
        if "maintenance_mode" in values:
            raise NotImplementedHere("The requested functionality is not supported.")
        host.disabled = values["status"] == "disable"
        host.disabled_reason = None
        host.updated_at = req.cloud.clock.now()
    return {"host": hostname, "status": f"{values['status']}d"}


def power(req: Request, hostname: str) -> dict[str, Any]:
    """startup, shutdown, reboot: a hypervisor is not switched from here."""
    with req.cloud.db.read() as session:
        _load(session, hostname)
    raise NotImplementedHere("The requested functionality is not supported.")


def _load(session: Session, hostname: str) -> Host:
    found = session.scalars(sa.select(Host).where(Host.hostname == hostname)).first()
    if found is None:
        raise NotFound(f"Host '{hostname}' is not mapped to any cell")
    return found
