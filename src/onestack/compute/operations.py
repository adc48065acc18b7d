"""The server's own part of operations: choosing a host for a new server.

`create` begins here: a host that is up, enabled, in the right zone and has room is claimed, the ports are bound to
it, and the rest is its agent's work. Creates that wait are scheduled together in one transaction; if something is
refused for one of them, each is done alone.
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
        try:
            self._run(cloud, operation_id, BATCH)
        except Fault:
            # Something was refused for one of them, and with it the whole transaction: this one is done alone, so that
            # the refusal meets only whom it is for.
            self._run(cloud, operation_id, 1)

    def _run(self, cloud: Cloud, operation_id: str, most: int) -> None:
        with cloud.db.write() as session:
            owed = _owed(session, cloud, operation_id, most)
            if not owed:
                return
            query = sa.select(Server).where(Server.id.in_([operation.object_id for operation in owed]))
            rows = {row.id: row for row in session.scalars(query)}
            known = list(session.scalars(sa.select(Host)))
            now = cloud.clock.now()
            if known and not any(hosts.is_up(host, now) for host in known) and self._just_started(cloud):
                raise Busy(1.0)
            planner = Planner(session, cloud, known)
            for operation in owed:
                self._schedule(session, cloud, operation, rows[operation.object_id], planner)

    def _just_started(self, cloud: Cloud) -> bool:
        return cloud.clock.monotonic() - self._started < PATIENCE_SECONDS

    def _schedule(self, session: Session, cloud: Cloud, operation: Operation, server: Server, planner: Planner) -> None:
        started = cloud.clock.now()
        placed = planner.place(server)
        if placed.host is None:
            details = "\n".join(f"{name}: {reason}" for name, reason in sorted(placed.refused.items()))
            self._give_up(session, cloud, operation, server, NO_VALID_HOST, details or "There are no hosts.", started)
            return
        hostname = placed.host.hostname
        network.bind(session, cloud, server.id, hostname)
        server.host = hostname
        hosts.touch(session, cloud, server)
        operations.hand_over(session, cloud, operation, hostname, "spawning")
        operations.record(
            session, cloud, operation.id, "schedule", started_at=started, finished_at=cloud.clock.now(),
            result="Success", host=hostname,
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


class Planner:
    """Finds hosts for the servers of one transaction. Hosts are ranked once for each size of server; what counts is
    placement's claim, which looks again."""

    def __init__(self, session: Session, cloud: Cloud, known: list[Host]) -> None:
        self._session = session
        self._now = cloud.clock.now()
        self._known = known
        self._zones = availability.zones(session, [host.hostname for host in known])
        self._free: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}

    def place(self, server: Server) -> Placed:
        """Claim room on one of the hosts: the one that its server group likes best, then the freest."""
        refused: dict[str, str] = {}
        rules = server_groups.rules_of(self._session, server)
        eligible: dict[str, Host] = {}
        for host in self._known:
            reason = _why_not(server, host, self._zones[host.hostname], self._now) or rules.why_not(host.hostname)
            if reason:
                refused[host.hostname] = reason
            else:
                eligible[host.id] = host
        wanted = servers.resources(server)
        free = self._candidates(wanted)

        def order(uuid: str) -> tuple[int, int, float]:
            return -rules.weight(eligible[uuid].hostname), -free[uuid], random.random()

        for uuid in sorted(eligible.keys() & free.keys(), key=order):
            if placement.claim(self._session, server.id, server.project_id, server.user_id, uuid, wanted):
                free[uuid] -= server.ram
                return Placed(eligible[uuid], {})
            del free[uuid]
        full = placement.refusals(self._session, wanted)
        for host in eligible.values():
            refused[host.hostname] = full.get(host.hostname, "its resources were taken meanwhile")
        return Placed(None, refused)

    def _candidates(self, wanted: dict[str, int]) -> dict[str, int]:
        """Provider → its free memory, of those that have room for `wanted` as far as is known."""
        key = tuple(sorted(wanted.items()))
        if key not in self._free:
            self._free[key] = {
                uuid: stocks["MEMORY_MB"].free if "MEMORY_MB" in stocks else 0
                for uuid, _name, stocks in placement.candidates(self._session, wanted)
            }
        return self._free[key]


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


def _owed(session: Session, cloud: Cloud, operation_id: str, most: int) -> list[Operation]:
    """The claimed operation, and creates that nobody has claimed yet. Empty when it was ended meanwhile."""
    mine = session.get(Operation, operation_id, with_for_update=True)
    if mine is None or mine.finished_at is not None or mine.host is not None:
        return []
    if most == 1:
        return [mine]
    more = session.scalars(
        sa.select(Operation)
        .where(
            Operation.object_type == servers.OBJECT, Operation.action == "create", Operation.finished_at.is_(None),
            Operation.host.is_(None), Operation.state == operations.QUEUED, Operation.id != operation_id,
            sa.or_(Operation.lease_until.is_(None), Operation.lease_until <= cloud.clock.now()),
        )
        .order_by(Operation.created_at)
        .limit(most - 1)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    return [mine, *more]
