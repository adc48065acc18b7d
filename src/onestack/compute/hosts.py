"""Hypervisors: what they reported, whether they are up, and telling their agents that something changed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Host, Server, Stray
from onestack.config import Settings
from onestack.core import revision
from onestack.core.cloud import Cloud
from onestack.core.db import on_commit
from onestack.placement import public as placement
from onestack.wire import HostReport

HEARTBEAT_SECONDS = 20
DOWN_AFTER_SECONDS = 70  # three heartbeats may be lost

# Agents that play many hosts wait for this topic, the others for the one of their host.
ANY_HOST = "hosts"


def feed(hostname: str) -> str:
    """The host's change feed, and the topic of its wake-ups."""
    return f"host:{hostname}"


def is_up(host: Any, now: datetime.datetime) -> bool:
    """`host` is a Host or a row with its forced_down and seen_at."""
    return not host.forced_down and (now - host.seen_at).total_seconds() <= DOWN_AFTER_SECONDS


def up(session: Session, cloud: Cloud) -> list[Host]:
    """The hosts that are up, disabled ones included."""
    since = cloud.clock.now() - datetime.timedelta(seconds=DOWN_AFTER_SECONDS)
    return list(session.scalars(sa.select(Host).where(Host.forced_down.is_(False), Host.seen_at >= since)))


def advance(session: Session, cloud: Cloud, hostname: str) -> int:
    """The revision of this transaction in the host's feed; its agent is woken once it is committed."""
    taken: dict[str, int] = session.info.setdefault("host_revisions", {})
    if hostname not in taken:
        taken[hostname] = revision.advance(session, feed(hostname))
        on_commit(session, lambda: wake(cloud, hostname))
    return taken[hostname]


def wake(cloud: Cloud, hostname: str) -> None:
    cloud.wakeups.notify(feed(hostname))
    cloud.wakeups.notify(ANY_HOST)


def touch(session: Session, cloud: Cloud, server: Server) -> None:
    """The server's spec changed: its host's agent gets it."""
    if server.host is not None:
        server.revision = advance(session, cloud, server.host)


def greet(session: Session, cloud: Cloud, agent: str, report: HostReport) -> Host:
    """What an agent says of a host: the row, its inventory, and the servers that it should not have."""
    now = cloud.clock.now()
    host = session.scalars(sa.select(Host).where(Host.hostname == report.hostname)).first()
    if host is None:
        host = Host(id=cloud.ids.uuid(), hostname=report.hostname, created_at=now, disabled=False, forced_down=False)
        session.add(host)
    host.agent = agent
    for name in ("hypervisor_type", "virt_type", "hypervisor_version", "host_ip", "vcpus", "memory_mb",
                 "memory_used_mb", "disk_gb", "disk_used_gb", "disk_free_gb", "running_vms", "cpu_info",
                 "boot_id"):  # fmt: skip
        setattr(host, name, getattr(report, name))
    host.seen_at = host.updated_at = now
    session.flush()
    if revision.current(session, feed(host.hostname)) == 0:
        advance(session, cloud, host.hostname)  # revision 0 means "everything", which is never news to wait for
    placement.ensure_provider(session, cloud, host.id, host.hostname)
    placement.set_inventory(session, host.id, inventory(cloud.settings, report))
    _find_strays(session, cloud, report)
    return host


def seen(session: Session, cloud: Cloud, hostnames: Iterable[str]) -> None:
    """Their agent is there."""
    session.execute(
        sa.update(Host)
        .where(Host.hostname.in_(list(hostnames)))
        .values(seen_at=cloud.clock.now())
        .execution_options(synchronize_session=False)
    )


def inventory(settings: Settings, report: HostReport) -> dict[str, dict[str, float]]:
    compute = settings.compute
    reserved = min(compute.reserved_host_memory_mb, report.memory_mb - 1) if report.virt_type != "fake" else 0
    found: dict[str, dict[str, float]] = {}
    for name, total, ratio, kept in (
        ("VCPU", report.vcpus, compute.cpu_allocation_ratio, 0),
        ("MEMORY_MB", report.memory_mb, compute.ram_allocation_ratio, reserved),
        ("DISK_GB", report.disk_gb, compute.disk_allocation_ratio, 0),
    ):
        if total > 0:
            found[name] = {
                "total": total, "reserved": kept, "min_unit": 1, "max_unit": total, "step_size": 1,
                "allocation_ratio": ratio,
            }  # fmt: skip
    return found


def _find_strays(session: Session, cloud: Cloud, report: HostReport) -> None:
    """A domain that isn't bound to this host (any more) is to be removed; one that is again is not."""
    query = sa.select(Server.id).where(Server.host == report.hostname, Server.deleted_at.is_(None))
    bound = set(session.scalars(query))
    known = set(session.scalars(sa.select(Stray.server_id).where(Stray.hostname == report.hostname)))
    for server_id in sorted(set(report.servers) - bound - known):
        number = advance(session, cloud, report.hostname)
        session.add(Stray(hostname=report.hostname, server_id=server_id, revision=number))
    gone = (known - set(report.servers)) | (known & bound)
    if gone:
        session.execute(sa.delete(Stray).where(Stray.hostname == report.hostname, Stray.server_id.in_(gone)))
