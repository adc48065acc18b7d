"""What agents report becomes of servers: a batch of statuses is one transaction.

Nothing here trusts an agent with more than the servers of its own hosts, and a status may come twice or late.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import hosts, servers, snapshots, spec
from onestack.compute.models import Server, Stray
from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.operations import Operation, OperationEvent
from onestack.wire import SNAPSHOTS, ServerStatus, StepEvent

_MOST_STEPS = 200  # of one operation: an agent gone mad must not fill the database
_LONGEST_MESSAGE = 4000


def process(session: Session, cloud: Cloud, hostnames: Sequence[str], reported: Iterable[ServerStatus]) -> None:
    """Take in `reported` from the agent of `hostnames`."""
    statuses = list(reported)
    ids = {status.id for status in statuses}
    query = sa.select(Server).where(Server.id.in_(ids), Server.host.in_(hostnames), Server.deleted_at.is_(None))
    rows = {row.id: row for row in session.scalars(query.with_for_update())}
    owed = spec.unfinished(session, rows)
    _record_steps(session, owed, statuses)
    for status in statuses:
        server = rows.get(status.id)
        if server is None or server.host is None:
            if status.power == "absent":
                _forget_stray(session, hostnames, status.id)
            continue
        operation = owed.get(status.id)
        if operation is not None and operation.finished_at is not None:
            operation = None
        _take(session, cloud, server, operation, status)


def _take(session: Session, cloud: Cloud, server: Server, operation: Operation | None, status: ServerStatus) -> None:
    server.power = status.power
    if server.desired == "absent":
        if status.power == "absent" and status.revision >= server.revision:
            if operation is not None:
                operations.finish(session, cloud, operation)
            servers.gone(session, cloud, server)
        return
    if operation is None:
        _outside(session, cloud, server, status)
    elif operation.id == status.operation_id:
        if status.operation_state == "running":
            operation.state = operations.RUNNING
            operation.updated_at = cloud.clock.now()
            if operation.action in SNAPSHOTS:
                snapshots.taken(operation)
        elif status.operation_state == "done" and operation.action in SNAPSHOTS:
            operations.finish(session, cloud, operation)
            snapshots.ended(session, cloud, operation)
            server.updated_at = cloud.clock.now()
            _outside(session, cloud, server, status)
        elif status.operation_state == "done":
            _done(session, cloud, server, operation)
        elif status.operation_state == "failed":
            _failed(session, cloud, server, operation, status)


def _outside(session: Session, cloud: Cloud, server: Server, status: ServerStatus) -> None:
    """No operation is under way: what the guest has become is what is wanted from now on."""
    wanted = servers.DESIRED_BY_POWER.get(status.power)
    if wanted is None or server.launched_at is None or status.power == server.settled:
        return
    server.settled = status.power
    server.updated_at = cloud.clock.now()
    if server.desired != wanted:
        server.desired = wanted
        hosts.touch(session, cloud, server)


def _done(session: Session, cloud: Cloud, server: Server, operation: Operation) -> None:
    now = cloud.clock.now()
    operations.finish(session, cloud, operation)
    server.settled = server.power
    server.updated_at = now
    if operation.action in ("create", "rebuild"):
        server.launched_at = now
    if operation.action in ("create", "rebuild", "reboot", "stop", "start"):
        server.error = False
        server.fault_code = server.fault_message = server.fault_details = server.fault_at = None


def _failed(session: Session, cloud: Cloud, server: Server, operation: Operation, status: ServerStatus) -> None:
    """A create or rebuild leaves the server in ERROR; after anything else it is what its power says."""
    message = status.fault.message if status.fault else "The host could not do it."
    details = status.fault.details if status.fault else ""
    operations.finish(session, cloud, operation, error=message[:_LONGEST_MESSAGE])
    snapshots.ended(session, cloud, operation)
    server.updated_at = cloud.clock.now()
    if operation.action in ("create", "rebuild"):
        servers.fail(session, cloud, server, message[:_LONGEST_MESSAGE], details[:_LONGEST_MESSAGE])
        if operation.action == "create" and status.power == "absent":
            hostname = server.host
            servers.let_go(session, cloud, server)
            if hostname is not None:
                hosts.advance(session, cloud, hostname)
            return
    if status.power != "pending":
        server.settled = status.power
        server.desired = servers.DESIRED_BY_POWER[status.power]
    hosts.touch(session, cloud, server)


def _forget_stray(session: Session, hostnames: Sequence[str], server_id: str) -> None:
    session.execute(sa.delete(Stray).where(Stray.hostname.in_(hostnames), Stray.server_id == server_id))


def _record_steps(session: Session, owed: dict[str, Operation], statuses: Iterable[ServerStatus]) -> None:
    """The steps of operations under way, each once: what was there of the same name is replaced."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for status in statuses:
        operation = owed.get(status.id)
        if operation is None or operation.id != status.operation_id:
            continue
        for step in status.steps[:_MOST_STEPS]:
            row = _event(operation, step)
            earlier = rows.get((operation.id, row["event"]))
            if earlier is not None:
                row["started_at"] = earlier["started_at"]
            rows[(operation.id, row["event"])] = row
    if not rows:
        return
    ids = {operation_id for operation_id, _event_name in rows}
    names = {name for _operation_id, name in rows}
    session.execute(
        sa.delete(OperationEvent)
        .where(OperationEvent.operation_id.in_(ids), OperationEvent.event.in_(names))
        .execution_options(synchronize_session=False)
    )
    session.execute(sa.insert(OperationEvent), list(rows.values()))


def _event(operation: Operation, step: StepEvent) -> dict[str, Any]:
    return {
        "operation_id": operation.id,
        "event": step.event[:255],
        "host": operation.host,
        "started_at": _time(step.start),
        "finished_at": None if step.finish is None else _time(step.finish),
        "result": step.result,
        "message": step.message[:_LONGEST_MESSAGE] or None,
    }


def _time(seconds: float) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(tzinfo=None)
    except (OverflowError, OSError, ValueError):
        return datetime.datetime(1970, 1, 1)
