"""An engine that moves nothing: it keeps what it is told and says that bound ports are up.

It ships with the product (`up --hypervisor fake`), for people who need only the APIs, and for tests. It is as strict
as the real one about what must be there before what, and can be told to be slow (`delay`, seconds for each call) and
to fail (`fail`).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from onestack.network.drivers import base

log = logging.getLogger(__name__)


_WITHOUT_EFFECT = ("network:floatingip", "network:distributed")


class FakeDriver:
    """A `base.Driver` in memory. `objects` holds the descriptions by (kind, id)."""

    def __init__(self, hosts: tuple[str, ...] = (), delay: float = 0.0) -> None:
        self.hosts = hosts
        self.delay = delay
        self.objects: dict[tuple[base.Kind, str], Any] = {}
        self._failures: dict[str, str] = {}
        self._down = ""
        self._lock = threading.Lock()
        self._events: queue.Queue[tuple[str, bool, str | None] | None] = queue.Queue()
        self._callback: base.PortCallback | None = None
        self._thread: threading.Thread | None = None

    def fail(self, key: str, reason: str = "told to fail") -> None:
        """Refuse the object `key` ("port:<id>") until `heal`."""
        self._failures[key] = reason

    def disconnect(self, reason: str = "told to be unreachable") -> None:
        """Raise EngineUnavailable from every call until `heal`."""
        self._down = reason

    def heal(self) -> None:
        self._failures.clear()
        self._down = ""

    def apply(self, changes: base.Changes) -> None:
        with self._lock:
            self._work()
            for kind, gone in sorted(changes.gone):
                self._remove(kind, gone)
            failed = self._put(changes)
        if failed:
            raise base.ObjectsFailed(failed)

    def reconcile(self, load: Callable[[], base.World]) -> base.Report:
        with self._lock:
            self._work()
            before = dict(self.objects)
            world = load()
            wanted = {(kind, item.id): item for kind, item in base.described(world)}
            repairs = [f"{kind} {id} is surplus" for kind, id in before if (kind, id) not in wanted]
            repairs += [f"{kind} {id} is missing" for kind, id in wanted if (kind, id) not in before]
            repairs += [f"{key[0]} {key[1]} differs" for key in wanted if key in before and before[key] != wanted[key]]
            for kind, id in before:
                if (kind, id) not in wanted:
                    self._remove(kind, id)
            return base.Report(objects=len(wanted), repairs=tuple(repairs), failed=self._put(world))

    def watch(self, callback: base.PortCallback) -> None:
        with self._lock:
            self._callback = callback
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="network-events", daemon=True)
                self._thread.start()
            for port in list(self.objects.values()):
                if isinstance(port, base.Port) and _is_up(port):
                    self._events.put((port.id, True, port.host))

    def chassis(self) -> tuple[base.Chassis, ...]:
        self._work()
        with self._lock:
            bound = {item.host for item in self.objects.values() if isinstance(item, base.Port) and item.host}
        return tuple(
            base.Chassis(name=host, hostname=host, physical_networks=("public",))
            for host in sorted({*self.hosts, *bound})
        )

    def look(self) -> base.Health:
        return base.Health(ok=not self._down, reason=self._down)

    def close(self) -> None:
        """Delivers what was reported before, then ends. Must not be called from the callback."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(5)
            self._thread = None

    def _work(self) -> None:
        if self.delay:
            time.sleep(self.delay)
        if self._down:
            raise base.EngineUnavailable(self._down)

    def _put(self, world: base.World) -> dict[str, str]:
        failed = {}
        for kind, item in base.described(world):
            reason = self._failures.get(f"{kind}:{item.id}") or self._lacking(item)
            if reason:
                failed[f"{kind}:{item.id}"] = reason
                continue
            before = self.objects.get((kind, item.id))
            self.objects[kind, item.id] = item
            if isinstance(item, base.Port):
                self._report(before, item)
        return failed

    def _lacking(self, item: Any) -> str:
        """Why an object can't be made yet: a parent that is not there."""
        needed: list[tuple[base.Kind, str]] = []
        if isinstance(item, base.Port) and item.device_owner not in _WITHOUT_EFFECT:
            needed.append(("network", item.network_id))
            if not item.device_owner.startswith("network:"):
                needed += [("subnet", fixed.subnet_id) for fixed in item.fixed_ips if fixed.dhcp]
                groups = item.security_group_ids if item.port_security_enabled else ()
                needed += [("security_group", group) for group in groups]
        elif isinstance(item, base.FloatingIp) and item.router_id and item.fixed_ip_address:
            needed.append(("router", item.router_id))
        for key in needed:
            found = self.objects.get(key)
            if found is None:
                return f"{key[0]} {key[1]} is not there"
            if isinstance(found, base.Subnet) and not base.serves_dhcp(found):
                return f"{key[0]} {key[1]} has no DHCP"
        return ""

    def _remove(self, kind: base.Kind, id: str) -> None:
        before = self.objects.pop((kind, id), None)
        if isinstance(before, base.Port):
            self._report(before, None)

    def _report(self, before: base.Port | None, after: base.Port | None) -> None:
        if self._callback is None:
            return  # `watch` starts with all ports that are up
        was = before is not None and _is_up(before)
        if after is not None and _is_up(after):
            if before is None or not was or before.host != after.host:
                self._events.put((after.id, True, after.host))
        elif was and before is not None:
            self._events.put((before.id, False, None))

    def _deliver(self) -> None:
        while (event := self._events.get()) is not None:
            callback = self._callback
            try:
                if callback is not None:
                    callback(*event)
            except Exception:
                log.exception("port %s: the callback failed", event[0])


def _is_up(port: base.Port) -> bool:
    """A guest's port is up where it is bound and enabled, as if its interface were plugged the moment it is bound."""
    return bool(port.host) and port.admin_state_up and not port.device_owner.startswith("network:")
