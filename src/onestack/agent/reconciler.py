"""Makes each server be as its newest spec says: one worker per server at a time, any number of servers at once.

A server is looked at when its spec arrives, when the hypervisor says that it changed, when a step asked to be called
again, and every minute. Each look observes, plans (plan.py) and runs steps until nothing is left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from onestack.agent.drivers.base import (
    Context,
    Driver,
    Observed,
    Step,
    StepFailed,
    Superseded,
    Unavailable,
)
from onestack.agent.plan import plan
from onestack.agent.workers import Workers
from onestack.wire import SNAPSHOTS, Fault, OperationSpec, Power, ServerSpec, ServerStatus, StepEvent

log = logging.getLogger(__name__)

GIVE_UP_SECONDS = 120.0  # how long an operation waits for an engine that is away; a delete waits for ever
LONGEST_RETRY = 30.0
MOST_STARTS = 4  # of a guest that dies again and again in one operation
MOST_TRIES = 3  # of steps that say that another try may help
MOST_ROUNDS = 20  # observe, plan, run: a plan that never ends is a mistake, not work


@dataclass
class Entry:
    """What the agent remembers of one server. All of it may be lost: a restart begins from the spec and the host."""

    id: str
    spec: ServerSpec | None = None
    received: int = 0  # counts the times a spec was received
    answered: int = 0  # up to which of them a status was sent
    operation: str = ""  # id of the operation that the fields below are about
    finished: bool = False
    fault: Fault | None = None
    steps: list[StepEvent] = field(default_factory=list)
    starts: int = 0
    tries: int = 0
    away_since: float | None = None
    retry: float = 0.0
    reported: Power | None = None


class Reconciler:
    """`report` takes each status; `clock` is monotonic seconds, `wall` seconds since the epoch."""

    def __init__(
        self,
        driver: Driver,
        report: Callable[[ServerStatus], None],
        *,
        workers: int = 8,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.driver = driver
        self._report = report
        self._clock = clock
        self._wall = wall
        self._entries: dict[str, Entry] = {}
        self._workers = Workers(self._work, workers, clock)

    def stop(self) -> None:
        self._workers.stop()

    def take(self, specs: Iterable[ServerSpec]) -> None:
        """New or repeated specs. An older one than the newest known is ignored."""
        for spec in specs:
            entry = self._entries.setdefault(spec.id, Entry(spec.id))
            if entry.spec is None or spec.revision >= entry.spec.revision:
                entry.spec = spec
                entry.received += 1
                self._workers.kick(spec.id)

    def look(self, server_id: str) -> None:
        """Something may have happened to a server (""; to any). Other clouds' guests are nobody we know."""
        if not server_id:
            self.look_at_all()
        elif server_id in self._entries:
            self._workers.kick(server_id)

    def look_at_all(self) -> None:
        """The periodic full reconcile: every server that has a spec, and every one that the host has."""
        ids = set(self._entries)
        try:
            ids.update(self.driver.found())
        except Unavailable as error:
            log.warning("hypervisor away: %s", error)
        for server_id in ids:
            self._workers.kick(server_id)

    def _work(self, server_id: str) -> None:
        entry = self._entries.setdefault(server_id, Entry(server_id))
        received = entry.received  # read before the spec: better to answer one twice than never
        spec = entry.spec
        if spec is None:
            self._report_stranger(entry)
            return
        if spec.operation is not None and spec.operation.id != entry.operation:
            entry.operation = spec.operation.id
            entry.finished, entry.fault, entry.steps, entry.starts, entry.tries = False, None, [], 0, 0
            entry.away_since, entry.retry = None, 0.0
        try:
            wait = self._converge(entry, spec, received)
        except Superseded:
            self._workers.kick(server_id)
            return
        except Unavailable as error:
            self._away(entry, spec, error)
            return
        except StepFailed as error:
            if error.again and self._running(entry, spec) is not None and entry.tries < MOST_TRIES:
                entry.tries += 1
                log.warning("server %s: trying again: %s", spec.id, error.message)
                self._workers.kick(server_id, 0.3 * entry.tries)
                return
            self._failed(entry, spec, received, Fault(message=error.message, details=error.details))
            return
        except Exception as error:
            log.exception("server %s: unexpected error", server_id)
            fault = Fault(message="The host met an unexpected error; its log says more.", details=repr(error))
            self._failed(entry, spec, received, fault)
            return
        entry.away_since, entry.retry = None, 0.0
        if wait > 0:
            self._workers.kick(server_id, wait)

    def _running(self, entry: Entry, spec: ServerSpec) -> OperationSpec | None:
        """The operation of the spec, unless it has ended."""
        return None if entry.finished else spec.operation

    def _converge(self, entry: Entry, spec: ServerSpec, received: int) -> float:
        """Run steps until nothing is left: 0, or the seconds after which to go on."""
        operation = self._running(entry, spec)
        effective = spec if operation is spec.operation else msgspec.structs.replace(spec, operation=None)
        context = Context(spec=effective, cancelled=lambda: entry.spec is not spec)
        if operation is not None and not entry.steps:
            self._send(entry, spec, "pending" if operation.action == "create" else None, "running")
        for _round in range(MOST_ROUNDS):
            observed = self.driver.observe(effective)
            todo = plan(effective, observed, self._clock())
            if todo.fault:
                raise StepFailed(todo.fault)
            for step in todo.steps:
                if context.cancelled():
                    raise Superseded
                wait = self._run_step(entry, context, step)
                if wait > 0:
                    return wait
            if todo.wait > 0:
                return todo.wait
            if not todo.steps:
                self._settled(entry, spec, received, observed)
                return 0.0
        raise StepFailed(
            "The host could not bring the server to the state that was asked for.",
            f"desired {spec.desired}, still to do {todo.steps}, observed {observed}",
        )

    def _run_step(self, entry: Entry, context: Context, step: Step) -> float:
        """One step, recorded if it belongs to an operation. A step that is called again keeps its first start."""
        in_operation = context.spec.operation is not None
        if step.name == "start" and in_operation:
            entry.starts += 1
            if entry.starts > MOST_STARTS:
                raise StepFailed(
                    f"The guest was started {MOST_STARTS} times and stopped by itself each time. Look at its console "
                    "output; then start it again, or rebuild it from another image."
                )
        event = self._event(entry, step) if in_operation else StepEvent(event=step.name, start=self._wall())
        try:
            wait = self.driver.run(step, context)
        except StepFailed as error:
            event.finish, event.result, event.message = self._wall(), "Error", error.message
            raise
        except Unavailable as error:
            event.message = str(error)
            raise
        if wait <= 0:
            event.finish, event.result, event.message = self._wall(), "Success", ""
        return wait

    def _event(self, entry: Entry, step: Step) -> StepEvent:
        last = entry.steps[-1] if entry.steps else None
        if last is not None and last.event == step.name and (last.finish is None or step.name == "shutdown"):
            return last
        event = StepEvent(event=step.name, start=self._wall())
        entry.steps.append(event)
        return event

    def _settled(self, entry: Entry, spec: ServerSpec, received: int, observed: Observed) -> None:
        """Nothing is left to do: report it if it answers a spec or is news."""
        operation = self._running(entry, spec)
        power: Power = observed.power
        if operation is not None:
            entry.finished = True
        if operation is not None or entry.answered != received or entry.reported != power:
            self._send(entry, spec, power, self._ended(entry, spec))
            entry.answered = received
        if spec.desired == "absent" and entry.spec is spec:
            self._entries.pop(entry.id, None)

    def _ended(self, entry: Entry, spec: ServerSpec) -> str | None:
        if spec.operation is None or not entry.finished:
            return None
        return "failed" if entry.fault else "done"

    def _failed(self, entry: Entry, spec: ServerSpec, received: int, fault: Fault) -> None:
        """A fault ends the operation; without one it is only logged, and the next full reconcile tries again."""
        log.error("server %s: %s %s", spec.id, fault.message, fault.details)
        operation = self._running(entry, spec)
        if operation is None and spec.desired != "absent":
            if entry.answered != received:
                self._send(entry, spec, self._power(spec), self._ended(entry, spec))
                entry.answered = received
            return
        if operation is not None and operation.action == "create":
            self._clean_up(spec)
        if operation is not None and operation.action in SNAPSHOTS:
            self._discard_copy(spec)
        if operation is not None:
            entry.fault, entry.finished = fault, True
            self._send(entry, spec, self._power(spec), "failed")
            entry.answered = received
        if spec.desired == "absent":  # whatever the server makes of the fault, what must go must go
            entry.retry = min(max(entry.retry * 2, 1.0), LONGEST_RETRY)
            self._workers.kick(spec.id, entry.retry)

    def _clean_up(self, spec: ServerSpec) -> None:
        """Take away what a failed create made, so that its space and names are free at once."""
        gone = msgspec.structs.replace(spec, desired="absent", operation=None)
        try:
            for step in plan(gone, self.driver.observe(gone), self._clock()).steps:
                self.driver.run(step, Context(spec=gone))
        except (StepFailed, Unavailable) as error:
            log.warning("server %s: what its failed create left stays until it is deleted: %s", spec.id, error)

    def _discard_copy(self, spec: ServerSpec) -> None:
        """At once: a copy may be as large as the disk. What stays is removed when the server is next looked at."""
        try:
            self.driver.run(Step("discard_copy"), Context(spec=msgspec.structs.replace(spec, operation=None)))
        except (StepFailed, Unavailable) as error:
            log.warning("server %s: a copy of its disk stays for now: %s", spec.id, error)

    def _away(self, entry: Entry, spec: ServerSpec, error: Unavailable) -> None:
        """An engine is away: try again, ever more slowly, and in the end say so."""
        now = self._clock()
        if entry.away_since is None:
            entry.away_since = now
            log.warning("server %s: waiting: %s", spec.id, error)
            if self._running(entry, spec) is not None:
                self._send(entry, spec, None, "running")  # its steps say what is being waited for
        operation = self._running(entry, spec)
        if operation is not None and spec.desired != "absent" and now - entry.away_since > GIVE_UP_SECONDS:
            entry.away_since = None
            fault = Fault(message=f"{error} Ask the operator to look at the host, then try again.")
            self._failed(entry, spec, entry.received, fault)
            return
        entry.retry = min(max(entry.retry * 2, 0.25), LONGEST_RETRY if operation is None else 5.0)
        self._workers.kick(spec.id, entry.retry)

    def _report_stranger(self, entry: Entry) -> None:
        """A server of this cloud that the host has and the server has sent no spec for: only say how it is."""
        stranger = ServerSpec(id=entry.id, revision=0, name="", desired="running")
        try:
            power = self.driver.observe(stranger).power
        except (StepFailed, Unavailable) as error:
            log.warning("server %s: %s", entry.id, error)
            return
        if entry.spec is None and power != entry.reported:
            entry.reported = power
            self._report(ServerStatus(id=entry.id, revision=0, power=power))
        if power == "absent" and entry.spec is None:
            self._entries.pop(entry.id, None)

    def _power(self, spec: ServerSpec) -> Power | None:
        try:
            return self.driver.observe(spec).power
        except (StepFailed, Unavailable):
            return None

    def _send(self, entry: Entry, spec: ServerSpec, power: Power | None, state: str | None) -> None:
        """`power` None: not known now, so what was last reported stands."""
        power = power or entry.reported or "pending"
        entry.reported = power
        operation = spec.operation if state is not None else None
        self._report(
            ServerStatus(
                id=spec.id,
                revision=spec.revision,
                power=power,
                operation_id=operation.id if operation else None,
                operation_state=state if operation else None,  # type: ignore[arg-type]
                fault=entry.fault if state == "failed" else None,
                steps=[msgspec.structs.replace(step) for step in entry.steps] if operation else [],
            )
        )
