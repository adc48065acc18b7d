"""Never stuck, with real VMs: server, agent and QEMU are killed at every step of what is done to a server.

The cloud's supervisor rests meanwhile: server and agent run under the test's control (tests/doomed.py), on the same
state and engines. tests/test_crashes_fake.py has the whole matrix of the server; here its points are sampled.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.cli import layout
from onestack.engines import paths
from tests.crashing import MOST_POINTS, Doom, User
from tests.system import leftovers
from tests.system.cloud import SystemCloud
from tests.system.waiting import until


class Doomed:
    """The cloud, a user who asks again, and a way to die."""

    def __init__(self, cloud: SystemCloud, doom: Doom) -> None:
        self.cloud, self.doom = cloud, doom
        self.user = User(doom.settings, guest_dies=lambda: doom.kind == "qemu")
        self.network = self.user.api.get("network", "/networks?name=demo-net")["networks"][0]["id"]
        self.image = self.user.api.get("image", "/images?name=onestack-mini")["images"][0]["id"]
        flavors = self.user.api.get("compute", "/flavors")["flavors"]
        self.flavor = next(one["id"] for one in flavors if one["name"] == "m1.nano")

    def create(self) -> str:
        server = self.user.create(self.network, self.flavor, self.image)
        self.runs(server)
        return server

    def runs(self, server: str) -> None:
        """It has a QEMU. One that died in the moment when the operation ended is the guest's own death: it is seen, and
        the server can be started."""
        until(lambda: self.cloud.qemu_pid(server) or self.user.show(server)["status"] == "SHUTOFF", 30, "a QEMU")
        if not self.cloud.qemu_pid(server):
            assert self.user.guest_dies()
            self.user.wait(server, "SHUTOFF")
            self.user.api.post("compute", f"/servers/{server}/action", {"os-start": None})
            self.user.wait(server, "ACTIVE")
            assert self.cloud.qemu_pid(server)

    def delete(self, server: str) -> None:
        """Nothing is left of it, and the quotas have what it used."""
        before = self.user.used()
        ports = list(until(lambda: self.user.interfaces(server), 30))
        self.user.delete(server)
        leftovers.wait_for_none(self.cloud, server, ports)
        held = {"totalInstancesUsed": 1, "totalCoresUsed": 1, "totalRAMUsed": 128, "ports": len(ports)}
        after = {name: number - held[name] for name, number in before.items()}
        until(lambda: self.user.used() == after, 30, f"usage of {after}")

    def life(self) -> None:
        self.delete(self.create())

    def reboot(self, server: str) -> None:
        self.user.reboot(server)
        self.runs(server)

    def come_and_go(self, server: str) -> None:
        self.runs(server)
        port = self.user.attach(server, self.network)
        until(lambda: self.has(server, port), 30, "the domain has the interface")
        self.user.detach(server, port)
        until(lambda: not self.has(server, port), 120, "the domain has let go of it")
        until(lambda: not leftovers.of_ports(self.cloud, [port]), 30, "nothing is left of the port")

    def has(self, server: str, port: str) -> bool:
        import libvirt

        connection = libvirt.openReadOnly("qemu:///system")
        try:
            return f"tap{port[:11]}" in connection.lookupByUUIDString(server).XMLDesc()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def doomed(cloud: SystemCloud) -> Iterator[Doomed]:
    if paths.systemd():
        pytest.skip("systemd's units would start their own server and agent")
    settings = cloud.settings
    pid = cloud.pid("server")
    environment = environment_of(pid)
    python = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    directory = Path(tempfile.mkdtemp(prefix="onestack-doom-", dir="/var/tmp"))
    directory.chmod(0o755)
    for name in ("supervisor", "agent", "server"):
        cloud.kill(cloud.pid(name), signal.SIGTERM)
    doom = Doom(settings, directory, [python, "-P"], {"server": layout.USER})
    try:
        doom.start(environment)
        yield Doomed(cloud, doom)
    finally:
        doom.stop()
        shutil.rmtree(directory)
        cloud.onestack("up", "--no-boot")


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


@pytest.fixture(scope="module")
def server(doomed: Doomed) -> Iterator[str]:
    """Booted, so that it lets go of interfaces."""
    made = doomed.create()
    path = f"/servers/{made}/action"

    def booted() -> bool:
        answer: Any = doomed.user.api.post("compute", path, {"os-getConsoleOutput": {}})
        return "boot done" in answer["output"]

    until(booted, 120, "the guest has booted", 1.0)
    yield made
    doomed.delete(made)


def test_the_agent_dies_in_create_and_delete(doomed: Doomed) -> None:
    wanted = ["before create_disks", "after plug_interfaces", "after define", "after start",
              "before destroy", "after undefine", "before delete_disks"]  # fmt: skip
    doomed.doom.at_every_point("agent", doomed.life, wanted=wanted)


def test_qemu_dies_in_create_and_delete(doomed: Doomed) -> None:
    doomed.doom.at_every_point("qemu", doomed.life, wanted=["after start", "before destroy"])


@pytest.mark.parametrize("kind", ["agent", "qemu"])
def test_it_dies_while_an_interface_comes_and_goes(doomed: Doomed, server: str, kind: str) -> None:
    # A guest that boots again does not let go of an interface, and is asked again and again.
    most = {"qemu": 10}.get(kind, MOST_POINTS)
    wanted = ["before attach_interface", "after attach_interface", "before detach_interface"]
    doomed.doom.at_every_point(kind, lambda: doomed.come_and_go(server), most=most, wanted=wanted)
    doomed.runs(server)


@pytest.mark.parametrize("kind", ["agent", "qemu"])
def test_it_dies_in_a_reboot(doomed: Doomed, server: str, kind: str) -> None:
    wanted = ["before destroy", "after start", *(["after define"] if kind == "agent" else [])]
    doomed.doom.at_every_point(kind, lambda: doomed.reboot(server), wanted=wanted)


@pytest.mark.parametrize("kind", ["agent", "qemu", "server"])
def test_it_dies_while_an_image_is_made(doomed: Doomed, server: str, kind: str) -> None:
    """A guest that dies meanwhile stays off, as it would at any other time; the image is one of its disk."""

    def image() -> None:
        doomed.runs(server)
        doomed.user.delete_image(doomed.user.snapshot(server))
        left = [file.name for file in doomed.cloud.settings.path("instances", server).glob("copy-*")]
        assert not left

    # Before or after it: how often a step is repeated varies.
    wanted = {"agent": (" copy_disk", " upload_image"), "qemu": (" copy_disk",), "server": ("committed ",)}
    doomed.doom.at_every_point(kind, image, step=3 if kind == "server" else 1, wanted=wanted[kind])
    doomed.runs(server)


def test_the_server_dies_in_create_and_delete(doomed: Doomed) -> None:
    """Each third point: an API's commit, a claim, a schedule, OVN's rows, what the agent reports."""
    doomed.doom.at_every_point("server", doomed.life, step=3, wanted=["before the commit of ", "committed "])
