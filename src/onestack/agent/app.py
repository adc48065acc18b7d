"""The agent as a whole: which threads there are and what each waits for.

main        asks for work, blocking; hands specs to the reconciler, questions to the consoles
heartbeat   hello every so often, and the periodic full reconcile
networks    plugs the metadata ports that the server names
outbox      sends statuses
worker-N    one server each, made on demand
signals     waits for SIGTERM and SIGINT, and stops the others
metadata    the sockets of 169.254.169.254 (not with the fake hypervisor)
"""

from __future__ import annotations

import logging
import threading
import time

from onestack.agent.client import Client, Closed, Refused
from onestack.agent.consoles import Consoles
from onestack.agent.drivers.base import Driver, Unavailable
from onestack.agent.names import BadName, checked
from onestack.agent.outbox import Outbox
from onestack.agent.reconciler import Reconciler
from onestack.wire import NetworkSpec, ServerSpec, Welcome, Work

log = logging.getLogger(__name__)

WAIT_SECONDS = 30  # of a poll that finds nothing
EVERYTHING_SECONDS = 600.0  # how often to ask for everything, in case a message was lost on either side
RECONCILE_SECONDS = 60.0


class Agent:
    """`run` blocks until `stop` is called from another thread or a signal handler."""

    def __init__(self, driver: Driver, client: Client, *, workers: int = 8) -> None:
        self.driver = driver
        self.client = client
        self.outbox = Outbox(client)
        self.reconciler = Reconciler(driver, self.outbox.put, workers=workers)
        self.consoles = Consoles(client, driver)
        self._stopping = threading.Event()
        self._welcomed = threading.Event()
        self._networks: list[NetworkSpec] | None = None  # not told yet
        self._networks_changed = threading.Event()

    def run(self) -> None:
        self.driver.start(self.reconciler.look)
        self.outbox.start()
        threading.Thread(target=self._heartbeat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._plug_networks, name="networks", daemon=True).start()
        try:
            self._welcomed.wait()
            self._ask_for_work()
        except Closed:
            pass
        finally:
            self.reconciler.stop()
            self.driver.stop()

    def stop(self) -> None:
        """End `run` soon. Steps under way are abandoned: they will be run again by the next agent."""
        self._stopping.set()
        self.reconciler.stop()
        self.outbox.flush(1.0)
        self.outbox.stop()
        self.client.close()
        self._welcomed.set()

    def _heartbeat(self) -> None:
        last_reconcile = time.monotonic()
        try:
            while not self._stopping.is_set():
                interval = self._hello()
                if time.monotonic() - last_reconcile >= RECONCILE_SECONDS:
                    self.reconciler.look_at_all()
                    self._tidy()
                    last_reconcile = time.monotonic()
                self._stopping.wait(min(interval, RECONCILE_SECONDS))
        except Closed:
            return

    def _hello(self) -> float:
        """Say what the hosts are: seconds until the next time."""
        try:
            reports = self.driver.hosts()
        except Unavailable as error:
            log.warning("hypervisor away: %s", error)
            return 1.0
        interval = RECONCILE_SECONDS
        for report in reports:
            try:
                welcome = self.client.call("POST", "/v1/hello", report, Welcome)
            except Refused as refusal:
                log.error("host %s: the server refused its report: %s", report.hostname, refusal)
                return 5.0
            interval = float(welcome.heartbeat_seconds) if welcome else interval
            if self._stopping.is_set():
                break
        if not self._welcomed.is_set():
            log.info("registered %d host(s), the first is %s", len(reports), reports[0].hostname)
            self._welcomed.set()
        return max(interval, 1.0)

    def _ask_for_work(self) -> None:
        revision, last_full = 0, time.monotonic()
        first = True
        while not self._stopping.is_set():
            if time.monotonic() - last_full > EVERYTHING_SECONDS:
                revision, last_full = 0, time.monotonic()
            try:
                work = self.client.call(
                    "GET", f"/v1/work?after={revision}&wait={WAIT_SECONDS}", None, Work, timeout=WAIT_SECONDS + 30
                )
            except Refused as refusal:
                log.error("the server refused to give work: %s", refusal)
                self._stopping.wait(5.0)
                continue
            if work is None:
                continue
            if work.revision < revision:  # another database: begin anew
                revision = 0
                continue
            revision = work.revision
            self._take(work)
            if first:
                first = False
                self.reconciler.look_at_all()  # also what the host has and the server did not name

    def _take(self, work: Work) -> None:
        self.reconciler.take(spec for spec in work.servers if _sane(spec))
        networks = [network for network in work.networks if network.present and _sane(network)]
        if networks != self._networks:
            self._networks = networks
            self._networks_changed.set()
        for question in work.questions:
            self.consoles.ask(question)

    def _plug_networks(self) -> None:
        """A thread of its own: an Open vSwitch that hangs must hold up neither work nor heartbeat."""
        wait = RECONCILE_SECONDS
        while not self._stopping.is_set():
            self._networks_changed.wait(wait)
            self._networks_changed.clear()
            wait = RECONCILE_SECONDS
            if self._networks is None:
                continue
            try:
                self.driver.networks(self._networks)
            except Unavailable as error:
                log.warning("metadata ports have to wait: %s", error)
                wait = 2.0

    def _tidy(self) -> None:
        try:
            self.driver.tidy()
        except (OSError, Unavailable) as error:
            log.warning("cannot tidy up: %s", error)


def _sane(spec: ServerSpec | NetworkSpec) -> bool:
    """Ids become paths and names on the host, so a spec with a strange one is not touched at all."""
    try:
        checked(spec.id)
        if isinstance(spec, NetworkSpec):
            checked(spec.metadata_port_id)
            return True
        for nic in spec.nics:
            checked(nic.port_id)
        if spec.image is not None:
            checked(spec.image.id)
    except BadName as error:
        log.error("ignoring a spec from the server: %s", error)
        return False
    return True
