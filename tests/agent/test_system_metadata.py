"""The metadata service with two networks that use the same addresses: needs root, for namespaces."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from onestack import wire
from onestack.agent.client import Client
from onestack.agent.metadata import Metadata, devices
from onestack.agent.ovs import OpenVSwitch
from tests.agent.stub_server import StubServer
from tests.agent.test_system_libvirt import BRIDGE, Ovs, ovs, until  # noqa: F401

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
GUEST = "10.0.0.5"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def network() -> wire.NetworkSpec:
    return wire.NetworkSpec(
        id=str(uuid.uuid4()),
        revision=1,
        metadata_port_id=str(uuid.uuid4()),
        mac="fa:16:3e:{:02x}:{:02x}:{:02x}".format(*os.urandom(3)),
        addresses=["10.0.0.2/24"],
    )


@pytest.fixture
def service(server: StubServer, state: Path, ovs: Ovs) -> Iterator[Metadata]:  # noqa: F811
    metadata = Metadata(OpenVSwitch(ovs.remote, BRIDGE), str(uuid.uuid4()), Client(state))
    yield metadata
    metadata.ensure([])
    metadata.stop()
    subprocess.run(["ip", "netns", "delete", metadata.namespace], check=False)


class Guest:
    """A namespace in the place of a guest, on the bridge's end of the network's device."""

    def __init__(self, spec: wire.NetworkSpec) -> None:
        self.name = f"ost-{spec.id[:8]}"
        outer = devices(spec)[0]
        ip("netns", "add", self.name)
        ip("link", "set", outer, "netns", self.name)
        ip("-n", self.name, "addr", "add", f"{GUEST}/24", "dev", outer)
        ip("-n", self.name, "link", "set", outer, "up")
        ip("-n", self.name, "route", "add", "169.254.169.254/32", "via", "10.0.0.2")

    def get(self, path: str, *options: str) -> str:
        command = ["ip", "netns", "exec", self.name, "curl", "-sm5", *options, f"http://169.254.169.254{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def remove(self) -> None:
        ip("netns", "delete", self.name)


def test_same_addresses_in_two_networks(server: StubServer, service: Metadata, ovs: Ovs) -> None:  # noqa: F811
    specs = [network(), network()]
    service.ensure(specs)
    service.ensure(specs)
    rows = ovs.ports()
    assert {row["iface-id"] for row in rows.values()} == {spec.metadata_port_id for spec in specs}
    guests = [Guest(spec) for spec in specs]
    try:
        for spec, guest in zip(specs, guests, strict=True):
            until(lambda guest=guest: guest.get("/openstack/latest/meta_data.json"))
            server.metadata.clear()
            assert f'"network":"{spec.id}"' in guest.get("/openstack/latest/meta_data.json?x=1")
            assert server.metadata == [(spec.id, GUEST, "openstack/latest/meta_data.json")]
            assert guest.get("/a/../../../status", "--path-as-is", "-w", "%{http_code}") == "404"
            assert guest.get("/", "-X", "DELETE", "-w", "%{http_code}") == "405"
            assert guest.get("/" + "a" * 9000, "-w", "%{http_code}") == "431"
        server.stop()
        assert "503" in guests[0].get("/latest", "-w", "%{http_code}")
        server.start()
        assert specs[0].id in guests[0].get("/latest")
    finally:
        for guest in guests:
            guest.remove()


def test_networks_that_are_not_wanted_go(service: Metadata, ovs: Ovs) -> None:  # noqa: F811
    first, second = network(), network()
    service.ensure([first, second])
    service.ensure([second])
    assert [row["onestack-metadata"] for row in ovs.ports().values()] == [second.id]
    assert not Path("/sys/class/net", devices(first)[0]).exists()
    assert Path("/sys/class/net", devices(second)[0]).exists()
