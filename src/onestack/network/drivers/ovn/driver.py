"""The network driver for OVN."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from onestack.config import Settings
from onestack.network.drivers import base
from onestack.network.drivers.ovn import northbound, ovsdb, plan, rows, southbound
from onestack.network.drivers.ovn.ovsdb import Conflict, Refused
from onestack.network.drivers.ovn.schema import Piece

log = logging.getLogger(__name__)

_TRIES = 8
_WORLD_SECONDS = 60.0


class OvnDriver:
    """A `base.Driver` on OVN's databases.

    `northbound`, `southbound`: `unix:PATH` or `tcp:HOST:PORT`, several members of a cluster separated by commas.
    `cloud`: marks the rows that are ours. Nothing is connected before the first call.
    """

    def __init__(self, northbound_db: str, southbound_db: str, cloud: str, timeout: float = 10.0) -> None:
        self._northbound_db, self._southbound_db = northbound_db, southbound_db
        self._cloud = cloud
        self._northbound = ovsdb.Client(northbound_db, northbound.DATABASE, timeout)
        self._southbound = ovsdb.Client(southbound_db, southbound.DATABASE, timeout)
        self._lock = threading.Lock()
        self._watcher: southbound.Watcher | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> OvnDriver:
        """On the databases of this cloud's own OVN. All the servers of a region use the same mark."""
        run = settings.path("run")
        return cls(f"unix:{run}/ovnnb_db.sock", f"unix:{run}/ovnsb_db.sock", settings.region)

    # --- apply ------------------------------------------------------------------------------------------------

    def apply(self, changes: base.Changes) -> None:
        pieces, failed = self._pieces(changes)
        if changes.ports:
            pieces.insert(0, rows.foundation(self._cloud))
        for kind, id in sorted(changes.gone):
            try:
                pieces.append(rows.gone(kind, id))
            except ValueError as error:
                failed[f"{kind}:{id}"] = str(error)
        with self._lock:
            failed |= self._ensure(pieces)
        if failed:
            raise base.ObjectsFailed(failed)

    def _pieces(self, world: base.World) -> tuple[list[Piece], dict[str, str]]:
        pieces, failed = [], {}
        for kind, item in base.described(world):
            try:
                pieces.append(rows.piece(self._cloud, kind, item))
            except (ValueError, TypeError) as error:
                failed[f"{kind}:{item.id}"] = f"can't be expressed in OVN: {error}"
        return pieces, failed

    def _ensure(self, pieces: list[Piece]) -> dict[str, str]:
        """Make some pieces as wanted; returns what failed and why."""
        if not pieces:
            return {}
        try:
            return self._attempt(pieces)
        except Refused as error:
            # Perhaps something else has taken a name that must be unique: that shows when everything is read.
            log.warning("OVN refused a change, trying with a full reading: %s", error)
        try:
            return self._attempt(pieces, everything=True)
        except Refused as error:
            return self._one_by_one(pieces, error)

    def _one_by_one(self, pieces: list[Piece], error: Refused) -> dict[str, str]:
        """One bad object must not hold up the others of its batch."""
        if len(pieces) == 1:
            return {pieces[0].key: str(error)}
        half = len(pieces) // 2
        failed: dict[str, str] = {}
        # The first half holds the parents of the second one.
        for part in (pieces[:half], pieces[half:]):
            try:
                failed |= self._attempt(part)
            except Refused as again:
                failed |= self._one_by_one(part, again)
        return failed

    def _attempt(self, pieces: list[Piece], *, everything: bool = False) -> dict[str, str]:
        problem = Conflict("")
        for _ in range(_TRIES):
            if everything:
                observed = northbound.read_all(self._northbound, _WORLD_SECONDS)
            else:
                observed = northbound.read(self._northbound, pieces)
            steps = plan.make(observed, pieces, self._cloud, world=False)
            try:
                northbound.write(self._northbound, steps)
            except Conflict as error:
                problem = error
                continue
            return steps.failed
        raise base.EngineUnavailable(f"the northbound database changes all the time: {problem}")

    # --- reconcile --------------------------------------------------------------------------------------------

    def reconcile(self, load: Callable[[], base.World]) -> base.Report:
        with self._lock:
            problem: Exception = Conflict("")
            for _ in range(_TRIES):
                observed = northbound.read_all(self._northbound, _WORLD_SECONDS)
                world = load()
                try:
                    return self._repair(observed, world)
                except Conflict as error:
                    problem = error
        raise base.EngineUnavailable(f"the northbound database changes all the time: {problem}")

    def _repair(self, observed: plan.Observed, world: base.World) -> base.Report:
        pieces, failed = self._pieces(world)
        pieces.insert(0, rows.foundation(self._cloud))
        steps = plan.make(observed, pieces, self._cloud, world=True, spared=frozenset(failed))
        repairs, failed = tuple(steps.repairs), failed | steps.failed
        try:
            northbound.write(self._northbound, steps, _WORLD_SECONDS)
        except Refused as error:
            log.error("OVN refused the repair as a whole: %s", error)
            failed |= self._one_by_one(pieces, error)
        for line in repairs:
            log.info("reconcile: %s", line)
        return base.Report(objects=sum(1 for _ in base.described(world)), repairs=repairs, failed=failed)

    # --- the rest ---------------------------------------------------------------------------------------------

    def watch(self, callback: base.PortCallback) -> None:
        self._unwatch()
        self._watcher = southbound.Watcher(self._southbound_db, callback)
        self._watcher.start()

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def chassis(self) -> tuple[base.Chassis, ...]:
        return southbound.chassis(self._southbound)

    def look(self) -> base.Health:
        problems = [
            ovsdb.probe(self._northbound_db, northbound.DATABASE),
            ovsdb.probe(self._southbound_db, southbound.DATABASE),
        ]
        reason = "; ".join(problem for problem in problems if problem)
        return base.Health(ok=not reason, reason=reason)

    def close(self) -> None:
        self._unwatch()
        self._northbound.close()
        self._southbound.close()
