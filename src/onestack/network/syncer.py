"""The loop that makes the engine follow the tables.

Changes are noted in `network_changes` by the transactions that make them. This worker loads what is noted, in bulk,
tells the driver, and forgets a note only if its object hasn't changed again. At start, and every few minutes, the
whole world is compared. When the engine is away the notes stay, and it is tried again, less and less often.

Of several server processes one follows (core/leader.py): two could tell the engine of an object in the wrong order.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from onestack.core.cloud import Cloud
from onestack.core.leader import Leader
from onestack.network import describe, dirty, ports
from onestack.network.drivers import base
from onestack.network.models import Router

log = logging.getLogger(__name__)

BATCH = 1000
LEADER = "network-sync"
TAKE_OVER_SECONDS = 1.0  # how often a server that doesn't lead looks whether nobody does
POLL_SECONDS = 5.0  # the bound on what a lost wake-up can cost
RECONCILE_SECONDS = 300.0
FIRST_RETRY, LAST_RETRY = 0.5, 30.0
REPORTS = 500  # port reports written in one transaction


class Syncer:
    """Started and stopped with the server; tests call `run_once` and `reconcile` instead."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.chassis: tuple[base.Chassis, ...] = ()
        self.reason = ""  # what keeps the engine from following; empty: nothing
        self._leader = Leader(cloud, LEADER)
        self._watching = False
        self._resolvers = describe.resolvers(cloud.settings)
        self._stop = threading.Event()
        self._reports: queue.Queue[tuple[str, bool, str | None] | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._refused: set[str] = set()  # objects that the engine couldn't take, so that each is logged once

    @property
    def driver(self) -> base.Driver:
        driver: base.Driver = self.cloud.drivers["network"]
        return driver

    def health(self) -> base.Health:
        """Whether the engine follows, in words for `onestack status`."""
        found = self.driver.look()
        if not found.ok:
            return found
        return base.Health(ok=not self.reason, reason=self.reason)

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self._loop, name="network-sync", daemon=True),
            threading.Thread(target=self._write_reports, name="network-reports", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.cloud.wakeups.notify(dirty.TOPIC)
        self._reports.put(None)
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads = []
        self._leader.release()
        self.driver.close()

    def report(self, port_id: str, up: bool, host: str | None) -> None:
        """The driver's callback: it is written down by a thread of ours, together with others."""
        self._reports.put((port_id, up, host))

    def _loop(self) -> None:
        retry = FIRST_RETRY
        reconciled: float | None = None
        looked = time.monotonic()
        while not self._stop.is_set():
            seen = self.cloud.wakeups.seen(dirty.TOPIC)
            try:
                if not self._leader.leads():
                    reconciled = None
                    self._stop.wait(TAKE_OVER_SECONDS)
                    continue
                if not self._watching:
                    self.driver.watch(self.report)
                    self._watching = True
                if reconciled is None or time.monotonic() - reconciled > RECONCILE_SECONDS:
                    self.reconcile()
                    reconciled = time.monotonic()
                if time.monotonic() - looked > POLL_SECONDS:
                    self._look_for_chassis()
                    looked = time.monotonic()
                more = self.run_once()
                retry = FIRST_RETRY
                if not more:
                    self.cloud.wakeups.wait(dirty.TOPIC, seen, POLL_SECONDS)
                continue
            except base.ObjectsFailed as failure:
                self._note_refused(failure.failed)
            except base.DriverError as failure:
                if self.reason != str(failure):
                    log.warning("the network engine does not follow: %s", failure)
                self.reason = str(failure)
            except Exception as failure:
                log.exception("the network engine's loop stumbled; it goes on")
                self.reason = f"{type(failure).__name__}: {failure}"
            self._stop.wait(retry)
            retry = min(retry * 2, LAST_RETRY)

    def run_once(self) -> bool:
        """Tell the engine what is noted. True when there may be more. Raises what the driver raises."""
        with self.cloud.db.read() as session:
            rows = dirty.pending(session, BATCH)
            if not rows:
                if not self._refused:
                    self.reason = ""
                return False
            keys: describe.Keys = {}
            for row in rows:
                keys.setdefault(row.kind, set()).add(row.id)
            changes = describe.Describer(session, self._resolvers, self.chassis).changes(keys)
        failed: dict[str, str] = {}
        try:
            self.driver.apply(changes)
        except base.ObjectsFailed as failure:
            failed = failure.failed
        self._forget([row for row in rows if f"{row.kind}:{row.id}" not in failed])
        if failed:
            raise base.ObjectsFailed(failed)
        self.reason = ""
        self._refused.clear()
        return len(rows) == BATCH

    def reconcile(self) -> base.Report:
        """Compare everything, repair what differs; notes that are older than what was loaded are dealt with."""
        self._look_for_chassis()
        loaded: list[Sequence[Any]] = []

        def load() -> base.World:
            with self.cloud.db.read() as session:
                loaded.append(dirty.pending(session, 1_000_000))
                return describe.Describer(session, self._resolvers, self.chassis).world()

        report = self.driver.reconcile(load)
        for line in report.repairs[:50]:
            log.info("network: %s", line)
        if loaded:
            self._forget([row for row in loaded[-1] if f"{row.kind}:{row.id}" not in report.failed])
        if report.failed:
            self._note_refused(report.failed)
        else:
            self._refused.clear()
            self.reason = ""
        return report

    def _look_for_chassis(self) -> None:
        """Gateways follow the hosts: when those change, routers are described again."""
        found = self.driver.chassis()
        if found == self.chassis:
            return
        self.chassis = found
        with self.cloud.db.write() as session:
            routers = session.scalars(sa.select(Router.id).where(Router.gateway_port_id.is_not(None)))
            dirty.note(session, self.cloud, "router", routers)

    def _forget(self, rows: Sequence[Any]) -> None:
        if rows:
            with self.cloud.db.write() as session:
                dirty.done(session, rows)

    def _note_refused(self, failed: dict[str, str]) -> None:
        for key, why in failed.items():
            if key not in self._refused:
                log.warning("the network engine can't take %s: %s", key, why)
        self._refused = set(failed)
        self.reason = "; ".join(f"{key}: {why}" for key, why in sorted(failed.items())[:5])

    def _write_reports(self) -> None:
        while True:
            batch = self._next_reports()
            if batch is None:
                return
            try:
                self.write_reports(batch)
            except Exception:
                log.exception("port reports could not be written; they are tried again")
                if self._stop.wait(1):
                    return
                for item in batch:
                    self._reports.put(item)

    def _next_reports(self) -> list[tuple[str, bool, str | None]] | None:
        """What the driver reported, at least one; None at the end."""
        first = self._reports.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < REPORTS:
            try:
                item = self._reports.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._reports.put(None)
                break
            batch.append(item)
        return batch

    def write_reports(self, batch: Sequence[tuple[str, bool, str | None]]) -> None:
        """Set the ports' status. One transaction, only if something changes."""
        latest = {port_id: (up, host) for port_id, up, host in batch}
        with self.cloud.db.write() as session:
            for port_id, (up, host) in latest.items():
                ports.report(session, self.cloud, port_id, up, host)


def of(cloud: Cloud) -> Syncer:
    """The syncer of a cloud."""
    return next(worker for worker in cloud.workers if isinstance(worker, Syncer))
