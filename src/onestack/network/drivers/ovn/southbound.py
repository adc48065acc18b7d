"""What the hosts report: which ports are up and where, read from the southbound database as it changes.

A monitor on two tables, on a thread of its own that connects again by itself. After each connect the whole state
arrives, and only differences to what was reported before are passed on, so nothing is lost or said twice.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

from onestack.network.drivers.base import Chassis, PortCallback
from onestack.network.drivers.ovn import ovsdb

log = logging.getLogger(__name__)

DATABASE = "OVN_Southbound"

_COLUMNS = {"Chassis": ["name", "hostname"], "Port_Binding": ["logical_port", "type", "up", "chassis"]}
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 15.0  # without a word from the server it is asked whether it is still there
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)

State = tuple[bool, str | None]
_DOWN: State = (False, None)


class Bindings:
    """The state of guests' ports, derived from table updates. `take` returns what changed."""

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}  # chassis uuid → hostname
        self._rows: dict[str, tuple[str, bool, str]] = {}  # binding uuid → (port, up, chassis uuid)
        self._reported: dict[str, State] = {}

    def forget_rows(self) -> None:
        """Before the whole state arrives again."""
        self._hosts.clear()
        self._rows.clear()

    def take(self, updates: dict[str, Any], *, whole: bool = False) -> list[tuple[str, State]]:
        touched: set[str] = set(self._reported) if whole else set()
        for uuid, chassis in ovsdb.row_updates(updates, "Chassis"):
            if chassis is None:
                self._hosts.pop(uuid, None)
            else:
                self._hosts[uuid] = chassis["hostname"] or chassis["name"]
            touched |= {port for port, _, on in self._rows.values() if on == uuid}
        for uuid, row in ovsdb.row_updates(updates, "Port_Binding"):
            before = self._rows.pop(uuid, None)
            if before:
                touched.add(before[0])
            if row is not None and row["type"] == "":
                self._rows[uuid] = (row["logical_port"], row["up"] is True, _single(row["chassis"]))
                touched.add(row["logical_port"])
        return self._changes(touched)

    def _changes(self, touched: set[str]) -> list[tuple[str, State]]:
        if not touched:
            return []
        now: dict[str, State] = {}
        for port, up, chassis in self._rows.values():
            if port in touched and up and chassis in self._hosts:
                now[port] = (True, self._hosts[chassis])
        changed = []
        for port in sorted(touched):
            state = now.get(port, _DOWN)
            if self._reported.get(port, _DOWN) != state:
                changed.append((port, state))
            if state == _DOWN:
                self._reported.pop(port, None)
            else:
                self._reported[port] = state
        return changed


def _single(value: Any) -> str:
    """An optional reference: the uuid, or empty."""
    return "" if isinstance(value, frozenset) else str(value)


def chassis(client: ovsdb.Client) -> tuple[Chassis, ...]:
    """The hosts that are registered now."""
    rows = client.transact([ovsdb.select_rows("Chassis", [], ["name", "hostname", "other_config"])])[0]["rows"]
    found = []
    for row in rows:
        mappings = ovsdb.decode(row["other_config"]).get("ovn-bridge-mappings", "")
        networks = tuple(item.split(":")[0].strip() for item in mappings.split(",") if ":" in item)
        found.append(Chassis(name=row["name"], hostname=row["hostname"], physical_networks=networks))
    return tuple(sorted(found, key=lambda item: item.name))


class Watcher:
    """The thread. `connected` tells whether it hears the database now."""

    def __init__(self, remotes: str, callback: PortCallback) -> None:
        self._remotes = ovsdb.parse_remotes(remotes)
        self._where = remotes
        self._callback = callback
        self._bindings = Bindings()
        self._stop = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ovn-southbound", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread. From within the callback it ends after it."""
        self._stop.set()
        self._waker.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._session()
            except (OSError, ovsdb.Refused) as error:
                failures = 0 if self.connected.is_set() else failures + 1
                if failures in (0, 1):
                    log.warning("southbound database %s: %s", self._where, error)
            except Exception:
                log.exception("southbound database %s", self._where)
                failures += 1
            self.connected.clear()
            self._stop.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
        self._wake.close()
        self._waker.close()

    def _session(self) -> None:
        deadline = time.monotonic() + _CONNECT_SECONDS
        link = ovsdb.Link(self._remotes, deadline)
        try:
            updates = ovsdb.monitor(link, DATABASE, _COLUMNS, deadline)
            self._bindings.forget_rows()
            self._tell(self._bindings.take(updates, whole=True))
            self.connected.set()
            self._listen(link)
        finally:
            link.close()

    def _listen(self, link: ovsdb.Link) -> None:
        asked = False
        while not self._stop.is_set():
            event = link.wait(self._wake, _IDLE_SECONDS)
            if event == "timeout":
                if asked:
                    raise TimeoutError("it does not answer any more")
                link.send("echo")
                asked = True
            elif event == "data":
                message = link.receive(time.monotonic() + _IDLE_SECONDS)
                asked = False
                if message.get("method") == "update":
                    self._tell(self._bindings.take(message["params"][1]))

    def _tell(self, changes: list[tuple[str, State]]) -> None:
        for port, (up, host) in changes:
            try:
                self._callback(port, up, host)
            except Exception:
                log.exception("port %s: the callback failed", port)
