"""A hypervisor that keeps power states and nothing else: for users of the APIs, for tests, for scale.

Each server is one small JSON file in `<state>/fake-hypervisor`, so an agent that restarts finds its guests again, as on
a real host. It can play many hosts (`compute.fake_hosts`): fake-0001, fake-0002 … An image of a server is an empty disk
of its size, sent to the server as any host sends it.

Server metadata tells it to misbehave:

    fake:delay   seconds that each operation takes ("2.5"), or per action ("create=3,reboot=0.5")
    fake:fail    names of steps that fail, separated by commas ("start", "attach_interface,destroy")
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from onestack.agent import names, qcow2
from onestack.agent.client import Client
from onestack.agent.drivers.base import Context, NoConsole, Observed, Step, StepFailed
from onestack.agent.snapshots import Delivery
from onestack.config import Settings
from onestack.wire import HostReport, NetworkSpec, Power, ServerSpec

VCPUS, MEMORY_MB, DISK_GB = 64, 256 * 1024, 8 * 1024  # of each host that it plays
VERSION = 1000000  # 1.0.0
GIB = 1 << 30

POWER_AFTER: dict[str, Power] = {
    "start": "running",
    "unpause": "running",
    "pause": "paused",
    "suspend": "suspended",
    "destroy": "shutdown",
    "shutdown": "shutdown",
    "discard_saved_state": "shutdown",
}


class FakeDriver:
    def __init__(self, settings: Settings, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = settings.path("fake-hypervisor")
        self._copies = self._root / "copies"  # <server id>.<operation id>
        self._delivery = Delivery(client)
        count = settings.compute.fake_hosts
        self.hostnames = [settings.hostname] if count == 1 else [f"fake-{number:04d}" for number in range(1, count + 1)]
        self._clock = clock
        self._began: dict[str, float] = {}  # operation id → when its delay began
        self._lock = threading.Lock()
        self._changed: Callable[[str], None] = lambda server_id: None

    def start(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._copies.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        """There is nothing to let go of."""

    def hosts(self) -> list[HostReport]:
        guests: dict[str, list[dict[str, Any]]] = {name: [] for name in self.hostnames}
        for server_id in self.found():
            guest = self._read(server_id)
            if guest is not None:
                guests.get(guest["host"], guests[self.hostnames[0]]).append({**guest, "id": server_id})
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [self._host(name, on_host, boot_id) for name, on_host in guests.items()]

    def _host(self, hostname: str, guests: list[dict[str, Any]], boot_id: str) -> HostReport:
        return HostReport(
            hostname=hostname,
            hypervisor_type="fake",
            virt_type="fake",
            hypervisor_version=VERSION,
            vcpus=VCPUS,
            memory_mb=MEMORY_MB,
            disk_gb=DISK_GB,
            memory_used_mb=sum(guest.get("memory_mb", 0) for guest in guests),
            disk_free_gb=DISK_GB,
            cpu_info={
                "arch": "x86_64",
                "model": "fake",
                "vendor": "OneStack",
                "topology": {"cells": 1, "sockets": 1, "cores": VCPUS, "threads": 1},
                "features": [],
            },
            host_ip="127.0.0.1",
            boot_id=boot_id,
            running_vms=sum(guest["power"] in ("running", "paused") for guest in guests),
            servers=[guest["id"] for guest in guests],
        )

    def found(self) -> list[str]:
        return [entry.removesuffix(".json") for entry in os.listdir(self._root) if entry.endswith(".json")]

    def observe(self, spec: ServerSpec) -> Observed:
        guest = self._read(spec.id)
        copies = self._copies_of(spec.id)
        if guest is None:
            return Observed(leftovers=bool(copies))
        operation = spec.operation
        return Observed(
            copies=bool(copies),
            copied=operation is not None and self._copy(spec.id, operation.id) in copies,
            delivered=operation is not None and self._delivery.over(operation.id),
            power=cast(Power, guest["power"]),
            disks=guest["disks"],
            leftovers=True,
            nics=frozenset(guest["nics"]),
            mark=guest["mark"],
        )

    def run(self, step: Step, context: Context) -> float:
        spec = context.spec
        left = self._delay_left(spec)
        if left > 0:
            return left
        if step.name in [name.strip() for name in spec.metadata.get("fake:fail", "").split(",")]:
            raise StepFailed(
                f"The fake hypervisor was told to fail at {step.name}. Remove fake:fail from the server's metadata."
            )
        if step.name == "delete_disks":
            self._discard_copies(spec.id)
            self._path(spec.id).unlink(missing_ok=True)
            return 0.0
        if step.name == "discard_copy":
            self._discard_copies(spec.id)
            return 0.0
        if step.name in ("copy_disk", "upload_image"):
            self._snapshot(step, context)
            return 0.0
        guest = self._read(spec.id)
        if guest is None:
            if spec.desired == "absent":
                return 0.0
            guest = {"host": spec.host, "power": "absent", "disks": False, "nics": [], "mark": ""}
        self._apply(guest, step, spec)
        self._write(spec.id, guest)
        if step.name == "shutdown":
            self._changed(spec.id)  # these guests power off at once
        return 0.0

    def _apply(self, guest: dict[str, Any], step: Step, spec: ServerSpec) -> None:
        if step.name in POWER_AFTER:
            guest["power"] = POWER_AFTER[step.name]
        elif step.name == "create_disks":
            guest["disks"] = True
        elif step.name == "define":
            guest["nics"] = [nic.port_id for nic in spec.nics]
            guest["memory_mb"] = spec.memory_mb
            guest["mark"] = spec.operation.id if spec.operation else guest["mark"]
            if guest["power"] == "absent":
                guest["power"] = "shutdown"
        elif step.name == "attach_interface":
            guest["nics"] = [*guest["nics"], step.port_id]
        elif step.name == "detach_interface":
            guest["nics"] = [port for port in guest["nics"] if port != step.port_id]
        elif step.name == "undefine":
            guest["power"] = "absent"

    def _snapshot(self, step: Step, context: Context) -> None:
        spec = context.spec
        assert spec.operation is not None
        operation, copy = spec.operation.id, self._copy(spec.id, spec.operation.id)
        if step.name == "upload_image":
            self._delivery.send(operation, copy, context.cancelled)
        elif self._delivery.wanted(operation):
            size = max((disk.size_gb for disk in spec.disks if disk.kind == "root"), default=0) * GIB
            part = copy.with_name(copy.name + ".part")
            part.write_bytes(qcow2.empty(size or (spec.image.virtual_size if spec.image else 0) or GIB))
            part.replace(copy)

    def _copy(self, server_id: str, operation_id: str) -> Path:
        return self._copies / f"{names.checked(server_id)}.{names.checked(operation_id)}"

    def _copies_of(self, server_id: str) -> list[Path]:
        return list(self._copies.glob(f"{names.checked(server_id)}.*"))

    def _discard_copies(self, server_id: str) -> None:
        for copy in self._copies_of(server_id):
            copy.unlink(missing_ok=True)

    def _delay_left(self, spec: ServerSpec) -> float:
        """What is left of `fake:delay` for the operation, counted from its first step."""
        if spec.operation is None:
            return 0.0
        seconds = _delay(spec.metadata.get("fake:delay", ""), spec.operation.action)
        if seconds <= 0:
            return 0.0
        now = self._clock()
        with self._lock:
            if len(self._began) > 10_000:
                self._began.clear()
            began = self._began.setdefault(spec.operation.id, now)
        return began + seconds - now

    def networks(self, specs: Iterable[NetworkSpec]) -> None:
        """No network is plugged anywhere."""

    def tidy(self) -> None:
        """Nothing is cached."""

    def console_output(self, server_id: str, length: int) -> str:
        guest = self._read(server_id)
        if guest is None:
            raise NoConsole("the server has no console yet")
        lines = [
            f"fake guest {server_id}",
            f"memory: {guest.get('memory_mb', 0)} MiB",
            f"network interfaces: {len(guest['nics'])}",
            "boot: done",
            f"power state: {guest['power']}",
        ]
        return "\n".join(lines[-length:] if length > 0 else lines) + "\n"

    def console_socket(self, server_id: str, kind: str) -> str:
        raise NoConsole("guests of the fake hypervisor have no screen")

    def diagnostics(self, server_id: str) -> dict[str, Any]:
        guest = self._read(server_id)
        if guest is None or guest["power"] not in ("running", "paused"):
            raise NoConsole("the server is not running")
        return {
            "state": guest["power"],
            "driver": "libvirt",  # one of the names that the API knows; clients' schemas insist on them
            "hypervisor": "fake",
            "hypervisor_os": "fake",
            "uptime": 0,
            "num_cpus": 0,
            "num_nics": len(guest["nics"]),
            "num_disks": 0,
            "cpu_details": [],
            "nic_details": [],
            "disk_details": [],
            "memory_details": {"maximum": guest.get("memory_mb", 0), "used": 0},
            "config_drive": False,
        }

    def _path(self, server_id: str) -> Path:
        return self._root / f"{names.checked(server_id)}.json"

    def _read(self, server_id: str) -> dict[str, Any] | None:
        try:
            return json.loads(self._path(server_id).read_text())
        except FileNotFoundError:
            return None

    def _write(self, server_id: str, guest: dict[str, Any]) -> None:
        path = self._path(server_id)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(guest))
        part.replace(path)


def _delay(text: str, action: str) -> float:
    """Seconds for `action`; what can't be read is no delay."""
    for item in text.split(","):
        name, equals, value = item.rpartition("=")
        if equals and name.strip() != action:
            continue
        try:
            return float(value)
        except ValueError:
            continue
    return 0.0
