"""What a hypervisor has and how much of it is given away, from the host's report and placement. Queries are constant
in number whatever the number of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Host, Server
from onestack.core.operations import Operation
from onestack.placement import public as placement

_PROC = Path("/proc")


@dataclass
class Figures:
    """MiB of memory, GiB of disk; `used` includes what the operator reserved for the host itself."""

    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    local_gb: int
    local_gb_used: int
    disk_available_least: int
    running_vms: int
    current_workload: int

    def body(self) -> dict[str, int]:
        return {
            "vcpus": self.vcpus,
            "memory_mb": self.memory_mb,
            "local_gb": self.local_gb,
            "vcpus_used": self.vcpus_used,
            "memory_mb_used": self.memory_mb_used,
            "local_gb_used": self.local_gb_used,
            "free_ram_mb": self.memory_mb - self.memory_mb_used,
            "free_disk_gb": self.local_gb - self.local_gb_used,
            "disk_available_least": self.disk_available_least,
            "current_workload": self.current_workload,
            "running_vms": self.running_vms,
        }


def figures(session: Session, hosts: Sequence[Host]) -> dict[str, Figures]:
    """Host id → its figures."""
    stocks = placement.stock_of(session, None, [host.id for host in hosts])
    names = [host.hostname for host in hosts]
    servers = _count(session, names, busy=False)
    busy = _count(session, names, busy=True)
    found = {}
    for host in hosts:
        stock = stocks.get(host.id, ("", {}))[1]
        taken = {name: one.used + one.reserved for name, one in stock.items()}
        found[host.id] = Figures(
            vcpus=host.vcpus, vcpus_used=taken.get("VCPU", 0), memory_mb=host.memory_mb,
            memory_mb_used=taken.get("MEMORY_MB", 0), local_gb=host.disk_gb, local_gb_used=taken.get("DISK_GB", 0),
            disk_available_least=host.disk_free_gb, running_vms=servers.get(host.hostname, 0),
            current_workload=busy.get(host.hostname, 0),
        )  # fmt: skip
    return found


def servers_on(session: Session, hostnames: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Hostname → the servers there, as `servers` of a hypervisor shows them."""
    query = (
        sa.select(Server.id, Server.name, Server.host)
        .where(Server.host.in_(hostnames), Server.deleted_at.is_(None))
        .order_by(Server.created_at, Server.id)
    )
    found: dict[str, list[dict[str, str]]] = {}
    for row in session.execute(query):
        found.setdefault(str(row.host), []).append({"name": row.name, "uuid": row.id})
    return found


def uptime(host: Host, now: str) -> str | None:
    """What `uptime` says on the host, when the host is the machine of this process; None otherwise. `now`: 13:54:09."""
    try:
        if not host.boot_id or (_PROC / "sys/kernel/random/boot_id").read_text().strip() != host.boot_id:
            return None
        minutes = int(float((_PROC / "uptime").read_text().split()[0])) // 60
        load = ", ".join((_PROC / "loadavg").read_text().split()[:3])
    except OSError:
        return None
    days, hours = minutes // 1440, minutes // 60 % 24
    since = f"{hours}:{minutes % 60:02}" if hours else f"{minutes % 60} min"
    if days:
        since = f"{days} day{'s' if days > 1 else ''}, {since}"
    return f" {now} up {since},  0 users,  load average: {load}"


def _count(session: Session, hostnames: Sequence[str], *, busy: bool) -> dict[str, int]:
    query = (
        sa.select(Server.host, sa.func.count())
        .where(Server.host.in_(hostnames), Server.deleted_at.is_(None))
        .group_by(Server.host)
    )
    if busy:
        query = query.join(Operation, Operation.object_id == Server.id).where(Operation.finished_at.is_(None))
    return {str(host): number for host, number in session.execute(query)}
