"""Images of real guests: QEMU's own copy while they run, qemu-img's when they are off, killed in the middle of both."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from onestack import wire
from tests.agent.stub_server import StubServer
from tests.agent.test_system_libvirt import (
    done,
    host,
    image,
    libvirt_connection,
    ovs,
    qemu_pid,
    small,
    until,
    wait_for_boot,
)

libvirt = pytest.importorskip("libvirt")
pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
__all__ = ["host", "image", "libvirt_connection", "ovs"]  # fixtures
MIB = 2**20


@pytest.fixture
def spec(server: StubServer, host, image) -> wire.ServerSpec:
    disks = [wire.DiskSpec(kind="root", index=0, size_gb=1), wire.DiskSpec(kind="ephemeral", index=1, size_gb=1)]
    made = server.operate(small(server, image, nics=[], disks=disks, config_drive=True), "create", "running")
    done(server.settle(made, 60), "running")
    return made


def copies(state: Path, spec: wire.ServerSpec) -> list[str]:
    return [file.name for file in (state / "instances" / spec.id).glob("copy-*")]


def no_job(connection, spec: wire.ServerSpec) -> None:
    domain = connection.lookupByUUIDString(spec.id)
    with pytest.raises(libvirt.libvirtError) as error:
        domain.backupGetXMLDesc(0)
    assert error.value.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_BACKUP, libvirt.VIR_ERR_OPERATION_INVALID)


def sound(server: StubServer, wanted: wire.ServerSpec, folder: Path) -> Path:
    """What was sent: a qcow2 file that stands on no other."""
    assert wanted.operation is not None
    file = folder / "sent.qcow2"
    file.write_bytes(server.snapshots[wanted.operation.id])
    said = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(file)]))
    assert (said["format"], said["virtual-size"]) == ("qcow2", 2**30)
    assert "backing-filename" not in said
    subprocess.run(["qemu-img", "check", "-q", str(file)], check=True)
    return file


def fill(state: Path, spec: wire.ServerSpec, mib: int) -> None:
    """So much data into the disk of a server that is off, that a copy takes its time."""
    disk, data = state / "instances" / spec.id / "disk", state / "data"
    data.write_bytes(os.urandom(MIB) * mib)
    words = ["-f", "qcow2", "-c", f"write -q -s {data} 128M {mib}M", str(disk)]
    subprocess.run(["qemu-io", *words], check=True)
    data.unlink()


@pytest.mark.parametrize(("action", "desired", "power"), [("pause", "paused", "paused"), (None, "running", "running")])
def test_of_a_guest_that_goes_on(server, host, spec, state, libvirt_connection, action, desired, power) -> None:
    if action is None:
        wait_for_boot(server, spec)
    else:
        done(server.settle(server.operate(spec, action, desired), 30), power)
    pid = qemu_pid(spec)
    wanted = server.operate(spec, "createImage", desired)
    status = server.settle(wanted, 60)
    done(status, power)
    assert [step.event for step in status.steps] == ["copy_disk", "upload_image", "discard_copy"]
    assert qemu_pid(spec) == pid
    no_job(libvirt_connection, spec)
    assert copies(state, spec) == []
    file = sound(server, wanted, state)
    if action is not None:  # nothing was written since: it is the same disk
        disk = state / "instances" / spec.id / "disk"
        subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "qcow2", "-F", "qcow2", disk, file], check=True)


@pytest.mark.parametrize(("action", "desired", "power"), [("stop", "stopped", "shutdown"),
                                                         ("suspend", "suspended", "suspended")])  # fmt: skip
def test_of_one_that_is_off(server, host, spec, state, action, desired, power) -> None:
    done(server.settle(server.operate(spec, action, desired, timeout=0), 60), power)
    wanted = server.operate(spec, "createImage", desired)
    done(server.settle(wanted, 60), power)
    disk = state / "instances" / spec.id / "disk"
    file = sound(server, wanted, state)
    subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", disk, file], check=True)
    assert copies(state, spec) == []


def test_a_server_is_made_from_it_on_a_host_that_lost_the_base(server, host, spec, state) -> None:
    wait_for_boot(server, spec)
    wanted = server.operate(spec, "createImage", "running")
    done(server.settle(wanted, 60), "running")
    done(server.settle(server.operate(spec, "delete", "absent"), 60), "absent")
    shutil.rmtree(state / "cache")
    (state / "cache").mkdir(0o711)
    assert wanted.operation is not None
    clone = server.operate(small(server, server.snapshots[wanted.operation.id], nics=[]), "create", "running")
    assert clone.image is not None
    done(server.settle(clone, 60), "running")
    wait_for_boot(server, clone)


@pytest.mark.parametrize("power", ["running", "shutdown"])
def test_the_agent_is_killed_in_the_middle_of_the_copy(server, host, spec, state, libvirt_connection, power) -> None:
    done(server.settle(server.operate(spec, "stop", "stopped", timeout=0), 60), "shutdown")
    fill(state, spec, 300)
    if power == "running":
        done(server.settle(server.operate(spec, "start", "running"), 60), "running")
    wanted = server.operate(spec, "createImage", "running" if power == "running" else "stopped")
    for _ in range(2):
        until(lambda: any(name.endswith(".part") for name in copies(state, spec)))
        host.kill()
        host.start()
    done(server.settle(wanted, 90), power)
    sound(server, wanted, state)
    assert copies(state, spec) == []
    no_job(libvirt_connection, spec)


def test_qemu_is_killed_in_the_middle_of_the_copy(server, host, spec, state) -> None:
    done(server.settle(server.operate(spec, "stop", "stopped", timeout=0), 60), "shutdown")
    fill(state, spec, 300)
    done(server.settle(server.operate(spec, "start", "running"), 60), "running")
    wanted = server.operate(spec, "createImage", "running")
    until(lambda: any(name.endswith(".part") for name in copies(state, spec)))
    with contextlib.suppress(ProcessLookupError):
        os.kill(qemu_pid(spec), signal.SIGKILL)
    done(server.settle(wanted, 90), "shutdown")
    sound(server, wanted, state)
    assert copies(state, spec) == []


def test_an_operation_that_is_ended_leaves_neither_job_nor_file(server, host, spec, state, libvirt_connection) -> None:
    done(server.settle(server.operate(spec, "stop", "stopped", timeout=0), 60), "shutdown")
    fill(state, spec, 300)
    done(server.settle(server.operate(spec, "start", "running"), 60), "running")
    server.operate(spec, "createImage", "running")
    until(lambda: any(name.endswith(".part") for name in copies(state, spec)))
    server.want(spec)
    until(lambda: copies(state, spec) == [])
    until(lambda: libvirt_connection.lookupByUUIDString(spec.id).jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE)
    no_job(libvirt_connection, spec)
    done(server.settle(server.operate(spec, "pause", "paused"), 30), "paused")


def test_an_image_that_asks_for_a_quiet_guest(server, host, image) -> None:
    made = small(server, image, nics=[])
    assert made.image is not None
    made.image.properties["os_require_quiesce"] = "yes"
    made = server.operate(made, "create", "running")
    done(server.settle(made, 60), "running")
    status = server.settle(server.operate(made, "createImage", "running"), 60)
    assert status.operation_state == "failed"
    assert status.fault is not None
    assert "QEMU guest agent is not enabled" in status.fault.message
