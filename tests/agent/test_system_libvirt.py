"""The agent on real libvirt and QEMU (TCG): needs root. Open vSwitch is its database alone, in a scratch directory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from onestack import wire
from onestack.engines import libvirt as engine
from tests.agent.conftest import AgentProcess
from tests.agent.stub_server import StubServer, image_spec, nic_spec, server_spec

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
BRIDGE = "br-int"


@pytest.fixture(scope="module")
def libvirt_connection():
    """To a libvirtd that whoever comes next may find running, and keep so: the product's own."""
    libvirt = pytest.importorskip("libvirt")
    engine.ensure_running()
    libvirt.registerErrorHandler(lambda *args: None, None)
    connection = libvirt.open("qemu:///system")
    yield connection
    connection.close()


def answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A guest that boots in seconds, obeys the power button and lets go of devices."""
    from onestack.guest import mini

    path = tmp_path_factory.mktemp("image") / "mini.qcow2"
    mini.build(path)
    return path.read_bytes()


class Ovs:
    def __init__(self, directory: Path) -> None:
        self.remote = f"unix:{directory}/db.sock"
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        subprocess.run(["ovsdb-tool", "create", f"{directory}/conf.db", schema], check=True)
        self.process = subprocess.Popen(
            ["ovsdb-server", f"--remote=p{self.remote}", f"--unixctl={directory}/ctl", f"{directory}/conf.db"],
            stderr=subprocess.DEVNULL,
        )
        until(lambda: answers(f"{directory}/db.sock"))
        self.vsctl("--", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev")

    def vsctl(self, *arguments: str) -> str:
        command = ["ovs-vsctl", f"--db={self.remote}", "--no-wait", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def ports(self) -> dict[str, dict[str, str]]:
        text = self.vsctl("--format=json", "--columns=name,external_ids", "list", "Interface")
        return {row[0]: dict(row[1][1]) for row in json.loads(text)["data"] if row[0] != BRIDGE}


@pytest.fixture
def ovs(tmp_path: Path) -> Iterator[Ovs]:
    found = Ovs(tmp_path)
    yield found
    found.process.terminate()
    found.process.wait(10)


@pytest.fixture
def host(state: Path, server: StubServer, ovs: Ovs, libvirt_connection) -> Iterator[AgentProcess]:
    state.chmod(0o711)
    process = AgentProcess(state, "--ovsdb", ovs.remote, hypervisor="qemu")
    process.start()
    yield process
    try:
        if process.process is not None and process.process.poll() is not None:
            process.start()
        for spec in list(server.specs.values()):
            server.operate(spec, "delete", "absent")
        server.wait(lambda: all(server.latest[name].power == "absent" for name in server.specs), 60)
    finally:
        process.stop()

        assert_nothing_left(state, ovs, libvirt_connection, server)


def assert_nothing_left(state: Path, ovs: Ovs, connection, server: StubServer) -> None:
    names = {f"instance-{server_id}" for server_id in server.specs}
    assert not names.intersection(domain.name() for domain in connection.listAllDomains())
    assert not list((state / "instances").iterdir())
    assert not [port for port in ovs.ports() if port.startswith("tap")]
    cloud = (state / "secrets" / "cloud-id").read_text().strip()
    assert not [path for path in Path("/sys/class/net").glob("tap*/ifalias") if cloud in path.read_text()]
    assert not list(Path(f"/run/onestack/{cloud[:8]}").glob("*"))


def small(server: StubServer, image: bytes, **changes) -> wire.ServerSpec:
    spec = image_spec(image, disk_format="qcow2", virtual_size=80 * 2**20)
    server.images[spec.id] = image
    return server_spec(image=spec, memory_mb=128, **changes)


def console(server: StubServer, spec: wire.ServerSpec) -> str:
    question = wire.Question(id=os.urandom(8).hex(), kind="console_output", server_id=spec.id)
    return server.ask(question).body.get("output", "")


def wait_for_boot(server: StubServer, spec: wire.ServerSpec, seconds: float = 120.0) -> None:
    until(lambda: "sshd is up" in console(server, spec), seconds)


def qemu_pid(spec: wire.ServerSpec) -> int:
    for path in Path("/run/libvirt/qemu").glob("*.pid"):
        if path.stem == f"instance-{spec.id}":
            return int(path.read_text())
    raise AssertionError("no QEMU")


def done(status: wire.ServerStatus, power: str) -> None:
    assert (status.operation_state, status.power) == ("done", power), status


def test_life_of_a_real_server(server, host, image, ovs, state) -> None:
    disks = [
        wire.DiskSpec(kind="root", index=0, size_gb=1),
        wire.DiskSpec(kind="ephemeral", index=0, size_gb=1),
        wire.DiskSpec(kind="swap", index=0, size_mb=64),
    ]
    spec = server.operate(small(server, image, disks=disks, config_drive=True), "create", "running")
    done(server.settle(spec, 60), "running")
    port = ovs.ports()["tap" + spec.nics[0].port_id[:11]]
    assert port["iface-id"] == spec.nics[0].port_id
    assert port["attached-mac"] == spec.nics[0].mac
    wait_for_boot(server, spec)
    figures = server.ask(wire.Question(id="d", kind="diagnostics", server_id=spec.id)).body
    assert (figures["state"], figures["num_disks"], figures["num_nics"]) == ("running", 4, 1)
    done(server.settle(server.operate(spec, "pause", "paused"), 30), "paused")
    done(server.settle(server.operate(spec, "unpause", "running"), 30), "running")
    done(server.settle(server.operate(spec, "suspend", "suspended"), 60), "suspended")
    done(server.settle(server.operate(spec, "resume", "running"), 60), "running")
    soft = server.settle(server.operate(spec, "reboot", "running", type="SOFT"), 120)
    done(soft, "running")
    assert "destroy" not in [step.event for step in soft.steps], "the guest obeyed the power button"
    hard = server.settle(server.operate(spec, "reboot", "running", type="HARD"), 60)
    assert [step.event for step in hard.steps] == ["destroy", "plug_interfaces", "define", "start"]
    stop = server.settle(server.operate(spec, "stop", "stopped", timeout=1), 60)
    done(stop, "shutdown")
    assert stop.steps[-1].event == "destroy", "it was still booting, so the plug was pulled"
    done(server.settle(server.operate(spec, "start", "running"), 60), "running")


def test_interfaces_come_and_go_while_it_runs(server, host, image, ovs) -> None:
    spec = server.operate(small(server, image), "create", "running")
    done(server.settle(spec, 60), "running")
    wait_for_boot(server, spec)
    second = nic_spec()
    both = msgspec.structs.replace(spec, nics=[*spec.nics, second])
    done(server.settle(server.operate(both, "attach_interface", "running"), 30), "running")
    assert "tap" + second.port_id[:11] in ovs.ports()
    done(server.settle(server.operate(spec, "detach_interface", "running"), 60), "running")
    assert "tap" + second.port_id[:11] not in ovs.ports()
    assert not Path(f"/sys/class/net/tap{second.port_id[:11]}").exists()


def test_qemu_killed(server, host, image, libvirt_connection) -> None:
    spec = server.operate(small(server, image, nics=[]), "create", "running")
    done(server.settle(spec, 60), "running")
    server.statuses.clear()
    os.kill(qemu_pid(spec), signal.SIGKILL)
    server.wait(lambda: server.statuses and server.statuses[-1].power == "shutdown", 30)
    done(server.settle(server.operate(spec, "start", "running"), 60), "running")


@pytest.mark.parametrize("pause", [0.0, 0.3, 1.0, 2.5])
def test_qemu_killed_during_a_reboot(server, host, image, pause) -> None:
    spec = server.operate(small(server, image), "create", "running")
    done(server.settle(spec, 60), "running")
    wait_for_boot(server, spec)
    reboot = server.operate(spec, "reboot", "running", type="SOFT")
    time.sleep(pause)
    until(lambda: list(Path("/run/libvirt/qemu").glob(f"instance-{spec.id}.pid")))
    with contextlib.suppress(ProcessLookupError):  # it ends just now by itself
        os.kill(qemu_pid(spec), signal.SIGKILL)
    status = server.ended(reboot, 60)
    assert status.operation_state == "done", status
    until(lambda: server.latest[spec.id].power in ("running", "shutdown"))
    if server.latest[spec.id].power == "shutdown":  # it was killed after the reboot had ended
        assert pause == 2.5, server.statuses


def test_many_creates_at_once_fetch_the_image_once(server, host, image, state) -> None:
    first = small(server, image)
    specs = [first, *(server_spec(image=first.image) for _ in range(3))]
    specs = [server.operate(spec, "create", "running") for spec in specs]
    for spec in specs:
        done(server.settle(spec, 60), "running")
    assert (state / "agent.log").read_text().count("bytes in") == 1


@pytest.mark.parametrize("pause", [0.0, 0.2, 0.4, 0.7, 1.2, 2.0])
def test_agent_killed_during_create_and_delete(server, host, image, pause) -> None:
    spec = server.operate(small(server, image, config_drive=True), "create", "running")
    time.sleep(pause)
    host.kill()
    host.start()
    done(server.settle(spec, 60), "running")
    pid = qemu_pid(spec)
    reboot = server.operate(spec, "reboot", "running", type="HARD")
    time.sleep(pause)
    host.kill()
    host.start()
    done(server.settle(reboot, 60), "running")
    assert qemu_pid(spec) != pid
    gone = server.operate(spec, "delete", "absent")
    time.sleep(pause / 4)
    host.kill()
    host.start()
    done(server.settle(gone, 60), "absent")


def test_restart_of_the_agent_does_not_disturb(server, host, image) -> None:
    spec = server.operate(small(server, image, nics=[]), "create", "running")
    done(server.settle(spec, 60), "running")
    pid = qemu_pid(spec)
    assert host.stop() == 0
    host.start()
    server.statuses.clear()
    server.wait(lambda: any(s.id == spec.id and s.power == "running" for s in server.statuses), 30)
    assert qemu_pid(spec) == pid
    assert server.hosts[socket.gethostname()].servers == [spec.id]
    assert host.rss_mb() < 60


def test_hostile_and_broken_images(server, host, state, tmp_path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"s" * 65536)
    evil = tmp_path / "evil.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", evil], check=True)
    data = evil.read_bytes()
    spec = image_spec(data, disk_format="qcow2", virtual_size=65536)
    server.images[spec.id] = data
    status = server.settle(server.operate(server_spec(image=spec, nics=[]), "create", "running"), 60)
    assert (status.operation_state, status.power) == ("failed", "absent")
    assert status.fault is not None
    assert "refers to another file" in status.fault.message
    spec = image_spec(b"x" * 4096, os_hash_value=hashlib.sha512(b"y").hexdigest())
    server.images[spec.id] = b"x" * 4096
    status = server.settle(server.operate(server_spec(image=spec, nics=[]), "create", "running"), 60)
    assert status.fault is not None
    assert "Upload the image again" in status.fault.message
    missing = server.settle(server.operate(server_spec(image=image_spec(b"z"), nics=[]), "create", "running"), 60)
    assert missing.fault is not None
    assert "no longer has data" in missing.fault.message
    assert not list((state / "cache").iterdir())


@pytest.mark.parametrize(
    "properties", [{"hw_machine_type": "q35"}, {"hw_video_model": "none", "hw_pointer_model": "usbtablet"}]
)
def test_properties_of_the_image(server, host, image, properties) -> None:
    spec = small(server, image, config_drive=True)
    assert spec.image is not None
    spec.image.properties.update(properties)
    spec = server.operate(spec, "create", "running")
    done(server.settle(spec, 60), "running")
    both = msgspec.structs.replace(spec, nics=[*spec.nics, nic_spec()])
    done(server.settle(server.operate(both, "attach_interface", "running"), 30), "running")


def test_a_network_of_the_host_gets_its_metadata_port(server, host, ovs) -> None:
    from tests.agent.test_system_metadata import network

    spec = network()
    server.network(spec)
    until(lambda: [row.get("iface-id") for row in ovs.ports().values()] == [spec.metadata_port_id])
    server.network(msgspec.structs.replace(spec, present=False))
    until(lambda: not ovs.ports())


def test_vnc_and_serial_sockets(server, host, image, state, libvirt_connection) -> None:
    """The streams that `console_stream` would carry."""
    from onestack.agent.drivers.libvirt.consoles import console_socket

    spec = server.operate(small(server, image, nics=[]), "create", "running")
    done(server.settle(spec, 60), "running")
    domain = libvirt_connection.lookupByUUIDString(spec.id)
    with socket.socket(socket.AF_UNIX) as vnc:
        vnc.connect(console_socket(domain, "vnc"))
        assert vnc.recv(12).startswith(b"RFB 003.")
    with socket.socket(socket.AF_UNIX) as serial:
        serial.connect(console_socket(domain, "serial"))
