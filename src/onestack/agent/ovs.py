"""Ports on the integration bridge, through ovs-vsctl(8).

`--no-wait` everywhere: what matters is that the database says so; ovs-vswitchd follows when it can, and the network
service learns from OVN when a port is up. So a dead ovs-vswitchd never holds anybody up.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass

from onestack.agent.drivers.base import Unavailable
from onestack.agent.programs import ProgramFailed, run

SNAPSHOT_SECONDS = 2.0


@dataclass(frozen=True)
class Interface:
    """One row of the Interface table."""

    name: str
    external_ids: dict[str, str]


class OpenVSwitch:
    """`database` as `unix:PATH`. All methods raise Unavailable."""

    def __init__(self, database: str, bridge: str) -> None:
        self._database = database
        self.bridge = bridge
        self._lock = threading.Lock()
        self._snapshot: dict[str, Interface] = {}
        self._taken = float("-inf")

    def plug(self, device: str, external_ids: dict[str, str]) -> None:
        """Add the device to the bridge under these external ids."""
        columns = [f"external_ids:{key}={json.dumps(value)}" for key, value in external_ids.items()]
        self._run("--may-exist", "add-port", self.bridge, device, "--", "set", "Interface", device, *columns)

    def unplug(self, devices: list[str]) -> None:
        """Take devices off their bridges; those that are on none are no error."""
        arguments: list[str] = []
        for device in devices:
            arguments += ["--", "--if-exists", "del-port", device]
        if arguments:
            self._run(*arguments[1:])

    def interfaces(self, fresh: bool = False) -> dict[str, Interface]:
        """All interfaces by name; up to two seconds old unless `fresh`."""
        with self._lock:
            if fresh or time.monotonic() - self._taken > SNAPSHOT_SECONDS:
                text = self._vsctl("--format=json", "--columns=name,external_ids", "list", "Interface")
                self._snapshot = {row.name: row for row in map(_interface, json.loads(text or "{}").get("data", []))}
                self._taken = time.monotonic()
            return self._snapshot

    def userspace(self) -> bool:
        """Whether packets are moved in user space: then checksums can't be left to the other side."""
        return self._vsctl("get", "Bridge", self.bridge, "datapath_type").strip().strip('"') == "netdev"

    def _run(self, *arguments: str) -> None:
        self._vsctl(*arguments)
        with self._lock:
            self._taken = float("-inf")

    def _vsctl(self, *arguments: str) -> str:
        try:
            return run(["ovs-vsctl", f"--db={self._database}", "--no-wait", "--timeout=10", *arguments], 15.0)
        except ProgramFailed as error:
            raise Unavailable(f"Open vSwitch of the host does not do its work ({error.text}).") from error


def _interface(row: list) -> Interface:
    """OVSDB's JSON (RFC 7047 5.1): a map is ["map", [[key, value], …]]."""
    name, external_ids = row
    return Interface(name, dict(external_ids[1]))
