"""Durable work. One row is the queue entry, the audit trail and the body of os-instance-actions, all in one.

A handler writes the row in the transaction that changes the object. A worker of the server claims it under a lease
and runs its function from the start; each step ensures its effect, so running again after a crash is safe. Work on a
file that one of several nodes has (node.py) carries that node's name, and waits for it. Work of a
hypervisor is not claimed here: the row carries the host, the agent sees it in the object's spec and reports on it.
There is at most one unfinished operation for an object.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

import sqlalchemy as sa
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite
from sqlalchemy import dialects
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.cloud import Cloud
from onestack.core.db import Base, Json, on_commit
from onestack.core.errors import Fault

log = logging.getLogger(__name__)

TOPIC = "operations"
LEASE_SECONDS = 30.0
POLL_SECONDS = 2.0  # the bound on what a lost wake-up can cost

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"


class Operation(Base):
    """A piece of work. `finished_at` is None as long as it is owed."""

    __tablename__ = "operations"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(64))  # "create", "reboot": os-instance-actions' names
    object_type: Mapped[str] = mapped_column(sa.String(32))  # "server"
    object_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str | None] = mapped_column(sa.String(64))
    user_id: Mapped[str | None] = mapped_column(sa.String(64))
    request_id: Mapped[str] = mapped_column(sa.String(64), default="")
    args: Mapped[Any] = mapped_column(Json, default=dict)
    host: Mapped[str | None] = mapped_column(sa.String(255))  # None: the server's own work
    node: Mapped[str | None] = mapped_column(sa.String(64))  # whose servers alone can do it; None: any server's
    state: Mapped[str] = mapped_column(sa.String(16), default=QUEUED)
    stage: Mapped[str] = mapped_column(sa.String(64), default="")  # task_state shows it
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(sa.String(64))
    lease_until: Mapped[datetime.datetime | None]
    message: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]
    finished_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        sa.Index(
            "uq_operations_unfinished", "object_id", unique=True,
            sqlite_where=sa.text("finished_at IS NULL"), postgresql_where=sa.text("finished_at IS NULL"),
        ),
        sa.Index("ix_operations_object", "object_id", "created_at"),
        sa.Index("ix_operations_owed", "state", "host", "created_at"),
    )  # fmt: skip


class OperationEvent(Base):
    """One step of an operation. Recording the same step again replaces it: a step is run again after a crash."""

    __tablename__ = "operation_events"

    operation_id: Mapped[str] = mapped_column(sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True)
    event: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    host: Mapped[str | None] = mapped_column(sa.String(255))
    started_at: Mapped[datetime.datetime]
    finished_at: Mapped[datetime.datetime | None]
    result: Mapped[str | None] = mapped_column(sa.String(16))
    message: Mapped[str | None] = mapped_column(sa.Text)


def enqueue(
    session: Session,
    cloud: Cloud,
    *,
    action: str,
    object_type: str,
    object_id: str,
    project_id: str | None = None,
    user_id: str | None = None,
    request_id: str = "",
    args: dict[str, Any] | None = None,
    host: str | None = None,
    node: str | None = None,
    stage: str = "",
) -> Operation:
    """Owe a piece of work. The caller has made sure (`unfinished`) that the object has none, in this transaction."""
    now = cloud.clock.now()
    operation = Operation(
        id=cloud.ids.uuid(), action=action, object_type=object_type, object_id=object_id, project_id=project_id,
        user_id=user_id, request_id=request_id, args=args or {}, host=host, node=node, stage=stage, state=QUEUED,
        attempts=0, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(operation)
    if host is None:
        on_commit(session, lambda: cloud.wakeups.notify(TOPIC))
    return operation


def unfinished(session: Session, object_id: str) -> Operation | None:
    """The operation that is owed for an object, if any."""
    return session.scalars(
        sa.select(Operation).where(Operation.object_id == object_id, Operation.finished_at.is_(None))
    ).first()


def finish(session: Session, cloud: Cloud, operation: Operation, *, error: str | None = None) -> None:
    """Close an operation: done, or failed with `error`."""
    now = cloud.clock.now()
    operation.state = FAILED if error is not None else DONE
    operation.message = error
    operation.finished_at = operation.updated_at = now
    operation.lease_owner = operation.lease_until = None


def withdraw(session: Session, cloud: Cloud, object_id: str, error: str) -> bool:
    """What is owed for an object is owed no more, unless somebody is at it: who is finds out by itself."""
    query = sa.select(Operation).where(Operation.object_id == object_id, Operation.finished_at.is_(None))
    operation = session.scalars(query.with_for_update()).first()
    if operation is None:
        return False
    leased = operation.lease_until is not None and operation.lease_until >= cloud.clock.now()
    if operation.state == RUNNING and leased:
        return False
    finish(session, cloud, operation, error=error)
    return True


def hand_over(session: Session, cloud: Cloud, operation: Operation, host: str, stage: str) -> None:
    """The rest of the operation is the work of `host`'s agent."""
    operation.host = host
    operation.stage = stage
    operation.state = QUEUED
    operation.lease_owner = operation.lease_until = None
    operation.updated_at = cloud.clock.now()


def record(
    session: Session,
    cloud: Cloud,
    operation_id: str,
    event: str,
    *,
    started_at: datetime.datetime | None = None,
    finished_at: datetime.datetime | None = None,
    result: str | None = None,
    host: str | None = None,
    message: str | None = None,
) -> None:
    """Write down a step; the same step again replaces what was there."""
    session.flush()
    session.connection().execute(
        _record(cloud.db.sqlite),
        {
            "operation_id": operation_id, "event": event, "host": host, "started_at": started_at or cloud.clock.now(),
            "finished_at": finished_at, "result": result, "message": message,
        },
    )  # fmt: skip


@cache
def _record(sqlite: bool) -> sa.Executable:
    table = OperationEvent.__table__
    insert: Any = (dialects.sqlite if sqlite else dialects.postgresql).insert(table)
    more = ("host", "started_at", "finished_at", "result", "message")
    return insert.on_conflict_do_update(
        index_elements=[table.c.operation_id, table.c.event], set_={name: insert.excluded[name] for name in more}
    )


class Busy(Exception):
    """Raised by an operation's function when it can't go on yet; it is run again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


class Runner:
    """Runs one kind of operation: `run` does the work (it opens its own transactions), `failed` records a failure
    on the object. Both are called with the cloud and the operation's id, and may be called again after a crash."""

    def __init__(
        self, run: Callable[[Cloud, str], None], failed: Callable[[Cloud, Session, Operation, Exception], None]
    ) -> None:
        self.run = run
        self.failed = failed


class Workers:
    """Threads of this process that carry out operations of the server.

    `runners` maps (object_type, action) to a Runner. A process that dies loses only its leases.
    """

    def __init__(self, cloud: Cloud, runners: dict[tuple[str, str], Runner], *, threads: int = 4) -> None:
        self.cloud = cloud
        self.runners = runners
        self.name = f"{this_process()}/{cloud.ids.uuid()[:8]}"
        self._stop = threading.Event()
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._loop, name=f"operations-{number}", daemon=True) for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._keep_leases, name="operations-leases", daemon=True))

    def start(self) -> None:
        self._free_dead_leases()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more work, and wait for what runs."""
        self._stop.set()
        self.cloud.wakeups.notify(TOPIC)
        for thread in self._threads:
            thread.join(timeout=10)

    def run_one(self) -> bool:
        """Claim and run one operation; False when none is owed. Tests call it instead of starting threads."""
        claimed = self._claim()
        if claimed is None:
            return False
        operation_id, runner = claimed
        with self._lock:
            self._running.add(operation_id)
        try:
            runner.run(self.cloud, operation_id)
        except Busy as busy:
            self._postpone(operation_id, busy.seconds)
        except Exception as error:
            if not isinstance(error, Fault):
                log.exception("operation %s failed", operation_id)
            self._fail(operation_id, runner, error)
        finally:
            with self._lock:
                self._running.discard(operation_id)
        return True

    def _loop(self) -> None:
        while not self._stop.is_set():
            seen = self.cloud.wakeups.seen(TOPIC)
            try:
                if self.run_one():
                    continue
            except Exception:
                log.exception("an operation's worker stumbled; it goes on")
                self._stop.wait(1)
            self.cloud.wakeups.wait(TOPIC, seen, POLL_SECONDS)

    def _claim(self) -> tuple[str, Runner] | None:
        now = self.cloud.clock.now()
        free = sa.or_(
            sa.and_(Operation.state == QUEUED, sa.or_(Operation.lease_until.is_(None), Operation.lease_until <= now)),
            sa.and_(Operation.state == RUNNING, Operation.lease_until < now),
        )
        kinds = sa.tuple_(Operation.object_type, Operation.action).in_(list(self.runners))
        ours = sa.or_(Operation.node.is_(None), Operation.node == self.cloud.node)
        query = (
            sa.select(Operation.id, Operation.object_type, Operation.action)
            .where(Operation.finished_at.is_(None), Operation.host.is_(None), ours, free, kinds)
            .order_by(Operation.created_at)
            .limit(1)
        )
        with self.cloud.db.read() as session:
            if session.execute(query).first() is None:
                return None
        with self.cloud.db.write() as session:
            row = session.execute(query.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            session.execute(
                sa.update(Operation)
                .where(Operation.id == row.id)
                .values(
                    state=RUNNING, attempts=Operation.attempts + 1, lease_owner=self.name,
                    lease_until=now + datetime.timedelta(seconds=LEASE_SECONDS), updated_at=now,
                )
            )  # fmt: skip
        return row.id, self.runners[(row.object_type, row.action)]

    def _postpone(self, operation_id: str, seconds: float) -> None:
        with self.cloud.db.write() as session:
            until = self.cloud.clock.now() + datetime.timedelta(seconds=seconds)
            session.execute(
                sa.update(Operation)
                .where(Operation.id == operation_id, Operation.finished_at.is_(None))
                .values(state=QUEUED, lease_owner=None, lease_until=until)
            )

    def _fail(self, operation_id: str, runner: Runner, error: Exception) -> None:
        message = error.message if isinstance(error, Fault) else "Unexpected error; the server's log has the details."
        with self.cloud.db.write() as session:
            operation = session.get(Operation, operation_id)
            if operation is None or operation.finished_at is not None:
                return
            details = message if isinstance(error, Fault) else "".join(traceback.format_exception_only(error)).strip()
            record(
                session, self.cloud, operation_id, operation.stage or operation.action, result="Error", message=details,
                started_at=operation.updated_at, finished_at=self.cloud.clock.now(),
            )  # fmt: skip
            finish(session, self.cloud, operation, error=message)
            runner.failed(self.cloud, session, operation, error)

    def _free_dead_leases(self) -> None:
        """What a process of this machine held when it was killed need not wait for its leases to run out: at the start,
        and while we run, because the dead one may have been another of several servers."""
        query = sa.select(Operation.id, Operation.lease_owner).where(
            Operation.finished_at.is_(None), Operation.state == RUNNING, Operation.lease_owner.is_not(None)
        )
        with self.cloud.db.read() as session:
            dead = [tuple(row) for row in session.execute(query) if is_dead(row.lease_owner)]
        if not dead:
            return
        with self.cloud.db.write() as session:
            session.execute(
                sa.update(Operation)
                .where(sa.tuple_(Operation.id, Operation.lease_owner).in_(dead), Operation.state == RUNNING)
                .values(state=QUEUED, lease_owner=None, lease_until=None)
            )
            on_commit(session, lambda: self.cloud.wakeups.notify(TOPIC))

    def _keep_leases(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            with self._lock:
                running = list(self._running)
            try:
                self._free_dead_leases()
                if not running:
                    continue
                with self.cloud.db.write() as session:
                    until = self.cloud.clock.now() + datetime.timedelta(seconds=LEASE_SECONDS)
                    session.execute(
                        sa.update(Operation)
                        .where(Operation.id.in_(running), Operation.lease_owner == self.name)
                        .values(lease_until=until)
                    )
            except Exception:
                log.exception("could not renew leases; they are tried again")


def this_process() -> str:
    """A name for this process that no other one ever had: boot, process id namespace, pid and start time."""
    return f"{_machine()}:{os.getpid()}:{_start_time(os.getpid())}"


def _machine() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip().replace("-", "")[:12]
    return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"


def _start_time(pid: int) -> str | None:
    """In clock ticks since boot (proc(5), field 22); None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def is_dead(owner: str) -> bool:
    """Whether a lease's owner was a process of this machine that is no more."""
    machine, _, process = owner.partition("/")[0].rpartition(":")[0].rpartition(":")
    started = owner.partition("/")[0].rpartition(":")[2]
    return machine == _machine() and process.isdigit() and _start_time(int(process)) != started
