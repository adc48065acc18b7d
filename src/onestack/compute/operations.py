"""The server's own part of operations: choosing a host for a new server.

`create` begins here: a host that is up, enabled, in the right zone and has room is claimed, the ports are bound to
it, and the rest is its agent's work. Creates that wait are scheduled together in one transaction, each under a
savepoint of its own: what fails for one is undone for that one alone.
"""

from __future__ import annotations

import datetime
import logging
import random
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability, hosts, server_groups, servers
from onestack.compute.models import Host, Server
from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.errors import Fault
from onestack.core.operations import Busy, Operation, Runner
from onestack.network import public as network
from onestack.placement import public as placement

log = logging.getLogger(__name__)

BATCH = 50
NO_VALID_HOST = "No valid host was found. There are not enough hosts available."
PATIENCE_SECONDS = 60.0  # after a start: agents need a moment to find their server again


class Placed(NamedTuple):
    """Where a server goes, or why it can't: host name → reason."""

    host: Host | None
    refused: dict[str, str]


class Scheduler:
    """The Runner of ("server", "create")."""

    def __init__(self, cloud: Cloud) -> None:
        self._started = cloud.clock.monotonic()

    def runner(self) -> Runner:
        return Runner(self.run, self.failed)

    def run(self, cloud: Cloud, operation_id: str) -> None:
        with cloud.db.write() as session:
            owed = _owed(session, cloud, operation_id)
            if not owed:
                return
            rows = {row.id: row for row in session.scalars(
                sa.select(Server).where(Server.id.in_([operation.object_id for operation in owed]))
            )}  # fmt: skip
            known = list(session.scalars(sa.select(Host)))
            now = cloud.clock.now()
            if known and not any(hosts.is_up(host, now) for host in known) and self._just_started(cloud):
                raise Busy(1.0)
            zones = availability.zones(session, [host.hostname for host in known])
            for operation in owed:
                self._schedule(session, cloud, operation, rows[operation.object_id], known, zones)

    def _just_started(self, cloud: Cloud) -> bool:
        return cloud.clock.monotonic() - self._started < PATIENCE_SECONDS

    def _schedule(
        self, session: Session, cloud: Cloud, operation: Operation, server: Server, known: list[Host],
        zones: dict[str, str],
    ) -> None:  # fmt: skip
        started = cloud.clock.now()
        point = session.begin_nested()
        try:
            placed = place(session, cloud, server, known, zones)
            if placed.host is not None:
                network.bind(session, cloud, server.id, placed.host.hostname)
                server.host = placed.host.hostname
                hosts.touch(session, cloud, server)
                operations.hand_over(session, cloud, operation, placed.host.hostname, "spawning")
            point.commit()
        except Fault as fault:
            point.rollback()
            session.refresh(server)
            session.refresh(operation)
            self._give_up(session, cloud, operation, server, fault.message, "", started)
            return
        if placed.host is None:
            details = "\n".join(f"{name}: {reason}" for name, reason in sorted(placed.refused.items()))
            self._give_up(session, cloud, operation, server, NO_VALID_HOST, details or "There are no hosts.", started)
            return
        operations.record(
            session, cloud, operation.id, "schedule", started_at=started, finished_at=cloud.clock.now(),
            result="Success", host=placed.host.hostname,
        )  # fmt: skip

    def _give_up(
        self, session: Session, cloud: Cloud, operation: Operation, server: Server, message: str, details: str,
        started: datetime.datetime,
    ) -> None:  # fmt: skip
        text = f"{message}\n{details}" if details else message
        operations.record(
            session, cloud, operation.id, "schedule", started_at=started, finished_at=cloud.clock.now(),
            result="Error", message=text,
        )  # fmt: skip
        operations.finish(session, cloud, operation, error=message)
        servers.let_go(session, cloud, server)
        servers.fail(session, cloud, server, message, details)

    def failed(self, cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
        """Scheduling met an unexpected error: the server says so; the log has the details."""
        server = session.get(Server, operation.object_id)
        if server is None or server.deleted_at is not None:
            return
        servers.let_go(session, cloud, server)
        servers.fail(session, cloud, server, operation.message or "Scheduling failed.", repr(error))


def place(session: Session, cloud: Cloud, server: Server, known: list[Host], zones: dict[str, str]) -> Placed:
    """Claim room on one of `known`: the one that its group likes best, then the freest."""
    refused: dict[str, str] = {}
    now = cloud.clock.now()
    eligible: dict[str, Host] = {}
    rules = server_groups.rules_of(session, server)
    for host in known:
        reason = _why_not(server, host, zones[host.hostname], now) or rules.why_not(host.hostname)
        if reason:
            refused[host.hostname] = reason
        else:
            eligible[host.id] = host
    wanted = servers.resources(server)
    ranked: list[tuple[int, int, float, str]] = []
    for uuid, _name, stocks in placement.candidates(session, wanted):
        if uuid in eligible:
            memory = stocks.get("MEMORY_MB")
            free = memory.free if memory else 0
            ranked.append((rules.weight(eligible[uuid].hostname), free, random.random(), uuid))
    for *_order, uuid in sorted(ranked, reverse=True):
        if placement.claim(session, server.id, server.project_id, server.user_id, uuid, wanted):
            return Placed(eligible[uuid], {})
    full = placement.refusals(session, wanted)
    for host in eligible.values():
        refused[host.hostname] = full.get(host.hostname, "its resources were taken meanwhile")
    return Placed(None, refused)


def _why_not(server: Server, host: Host, zone: str, now: datetime.datetime) -> str:
    if server.requested_host is not None and host.hostname != server.requested_host:
        return f"not the host that was asked for ({server.requested_host})"
    if host.disabled and server.requested_host is None:
        return "disabled" + (f": {host.disabled_reason}" if host.disabled_reason else "")
    if not hosts.is_up(host, now):
        return "down: " + ("forced" if host.forced_down else f"not heard of since {host.seen_at:%Y-%m-%d %H:%M:%S} UTC")
    if server.availability_zone is not None and server.requested_host is None and zone != server.availability_zone:
        return f"in availability zone {zone}, not {server.availability_zone}"
    return ""


def _owed(session: Session, cloud: Cloud, operation_id: str) -> list[Operation]:
    """The claimed operation, and creates that nobody has claimed yet. Empty when it was ended meanwhile."""
    mine = session.get(Operation, operation_id, with_for_update=True)
    if mine is None or mine.finished_at is not None or mine.host is not None:
        return []
    more = session.scalars(
        sa.select(Operation)
        .where(
            Operation.object_type == servers.OBJECT, Operation.action == "create", Operation.finished_at.is_(None),
            Operation.host.is_(None), Operation.state == operations.QUEUED, Operation.id != operation_id,
            sa.or_(Operation.lease_until.is_(None), Operation.lease_until <= cloud.clock.now()),
        )
        .order_by(Operation.created_at)
        .limit(BATCH - 1)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    return [mine, *more]
