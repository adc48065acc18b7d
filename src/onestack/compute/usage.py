"""How long servers ran, and what of: the arithmetic of os-simple-tenant-usage. Hours are fractions."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import state
from onestack.compute.models import Server
from onestack.core import paging
from onestack.core.clock import micros
from onestack.core.errors import BadRequest

COLUMNS: tuple[Any, ...] = (
    Server.id, Server.name, Server.project_id, Server.flavor_name, Server.vcpus, Server.ram, Server.disk,
    Server.ephemeral, Server.launched_at, Server.terminated_at, Server.deleted_at, Server.error, Server.settled,
)  # fmt: skip
_ORDER = {"project_id": Server.project_id, "launched_at": Server.launched_at, "id": Server.id}
_SORTS = [("project_id", "asc"), ("launched_at", "asc"), ("id", "asc")]


def ran(
    session: Session, start: datetime.datetime, stop: datetime.datetime, project_id: str | None,
    *, limit: int | None = None, marker: str | None = None,
) -> list[Any]:  # fmt: skip
    """The servers that ran at some time from `start` to `stop`, deleted ones too, by project and start. Raises
    BadRequest when there is no server `marker`."""
    query = _select().where(
        Server.launched_at < stop, sa.or_(Server.terminated_at.is_(None), Server.terminated_at > start)
    )
    if project_id is not None:
        query = query.where(Server.project_id == project_id)
    values = None
    if marker is not None:
        found = session.execute(
            sa.select(Server.project_id, Server.launched_at, Server.id).where(
                Server.id == marker, sa.true() if project_id is None else Server.project_id == project_id
            )
        ).first()
        if found is None:
            raise BadRequest(f"Marker {marker} could not be found.")
        values = dict(found._mapping)
    return list(session.execute(paging.paginate(query, _ORDER, _SORTS, marker=values, limit=limit)))


def _select() -> sa.Select[Any]:
    return sa.select(*COLUMNS)


def by_project(
    rows: Iterable[Any], start: datetime.datetime, stop: datetime.datetime, now: datetime.datetime, *, detailed: bool
) -> list[dict[str, Any]]:
    """One tenant_usage for each project among `rows`, in their order."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = found.setdefault(
            row.project_id,
            {
                "tenant_id": row.project_id, "start": micros(start), "stop": micros(stop), "total_hours": 0.0,
                "total_local_gb_usage": 0.0, "total_memory_mb_usage": 0.0, "total_vcpus_usage": 0.0,
                "server_usages": [],
            },
        )  # fmt: skip
        one = of_server(row, start, stop, now)
        hours = one["hours"]
        entry["server_usages"].append(one)
        entry["total_hours"] += hours
        entry["total_local_gb_usage"] += one["local_gb"] * hours
        entry["total_memory_mb_usage"] += one["memory_mb"] * hours
        entry["total_vcpus_usage"] += one["vcpus"] * hours
    if not detailed:
        for entry in found.values():
            del entry["server_usages"]
    return list(found.values())


def of_server(row: Any, start: datetime.datetime, stop: datetime.datetime, now: datetime.datetime) -> dict[str, Any]:
    begin, end = max(row.launched_at, start), min(row.terminated_at or stop, stop)
    vm = state.vm_state(deleted=row.deleted_at is not None, error=row.error, launched=True, settled=row.settled)
    return {
        "instance_id": row.id,
        "name": row.name,
        "tenant_id": row.project_id,
        "flavor": row.flavor_name,
        "vcpus": row.vcpus,
        "memory_mb": row.ram,
        "local_gb": row.disk + row.ephemeral,
        "hours": max((end - begin).total_seconds(), 0.0) / 3600,
        "uptime": int(((row.terminated_at or now) - row.launched_at).total_seconds()),
        "started_at": micros(row.launched_at),
        "ended_at": micros(row.terminated_at),
        "state": "terminated" if row.terminated_at is not None else vm,
    }
