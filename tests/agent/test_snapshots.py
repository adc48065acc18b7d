"""Images of servers on the agent's side: what is copied and sent, and what is left of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from onestack.agent import qcow2
from onestack.agent.client import Client
from onestack.agent.drivers.base import StepFailed, Superseded, Unavailable
from onestack.agent.snapshots import Delivery
from onestack.image import formats
from onestack.wire import ServerSpec, ServerStatus
from tests.agent.conftest import AgentProcess
from tests.agent.stub_server import StubServer, server_spec

OPERATION = "11111111-1111-4111-8111-111111111111"
GIB = 1 << 30


def copies(state: Path) -> list[str]:
    return [file.name for file in (state / "fake-hypervisor" / "copies").iterdir()]


def booted(server: StubServer, **changes) -> ServerSpec:
    spec = server.operate(server_spec(**changes), "create", "running")
    server.settle(spec)
    return spec


def names(status: ServerStatus) -> list[str]:
    return [step.event for step in status.steps]


@pytest.mark.parametrize("size", [1, GIB, 20 * GIB, 8 << 40])
def test_an_empty_disk_is_one_for_everybody_who_reads_it(tmp_path: Path, size: int) -> None:
    file = tmp_path / "disk"
    file.write_bytes(qcow2.empty(size))
    assert formats.check(file, "qcow2") == max(size, 512)
    if shutil.which("qemu-img") is None:
        pytest.skip("QEMU's own reader is not here")
    said = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(file)]))
    assert (said["format"], said["virtual-size"]) == ("qcow2", max(size, 512))
    subprocess.run(["qemu-img", "check", "-q", str(file)], check=True)


def test_a_copy_is_made_sent_and_removed(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server)
    for desired in ("running", "stopped"):
        if desired == "stopped":
            server.settle(server.operate(spec, "stop", "stopped"))
        wanted = server.operate(spec, "createImage", desired)
        status = server.settle(wanted)
        assert status.operation_state == "done"
        assert status.power == {"stopped": "shutdown"}.get(desired, desired)
        assert names(status) == ["copy_disk", "upload_image", "discard_copy"]
        assert all(step.result == "Success" for step in status.steps)
        assert wanted.operation is not None
        assert server.snapshots[wanted.operation.id] == qcow2.empty(GIB)
        assert copies(state) == []
    assert [offer.size for _, offer in server.offers[:2]] == [None, len(qcow2.empty(GIB))]


def test_an_image_that_is_gone_is_not_even_copied(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server)
    server.broken = lambda path: 503 if path.startswith("/v1/operations") else None
    wanted = server.operate(spec, "createImage", "running")
    assert wanted.operation is not None
    server.unwanted.add(wanted.operation.id)
    server.broken = lambda path: None
    status = server.settle(wanted)
    assert (status.operation_state, names(status)) == ("done", ["copy_disk"])
    assert server.snapshots == {}
    assert copies(state) == []


def test_what_the_server_refuses_fails_with_its_words(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server)
    server.broken = lambda path: 413 if path.startswith("/v1/operations") else None
    status = server.settle(server.operate(spec, "createImage", "running"))
    assert status.operation_state == "failed"
    assert status.fault is not None
    assert "broken on purpose" in status.fault.message
    assert copies(state) == []


def test_a_step_that_fails_leaves_no_copy(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server, metadata={"fake:fail": "upload_image"})
    status = server.settle(server.operate(spec, "createImage", "running"))
    assert (status.operation_state, names(status)) == ("failed", ["copy_disk", "upload_image"])
    server.wait(lambda: copies(state) == [])


def test_a_killed_agent_goes_on_and_sends_it_once(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server)
    server.broken = lambda path: 503 if path.startswith("/v1/operations") else None
    wanted = server.operate(spec, "createImage", "running")
    server.wait(lambda: server.latest[spec.id].operation_id == wanted.operation.id)
    agent.kill()
    (state / "fake-hypervisor" / "copies" / f"{spec.id}.{wanted.operation.id}.part").write_bytes(b"half")
    server.broken = lambda path: None
    agent.start()
    assert server.settle(wanted).operation_state == "done"
    assert list(server.snapshots) == [wanted.operation.id]
    assert copies(state) == []


def test_a_copy_of_an_operation_that_was_ended_goes(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = booted(server)
    left = state / "fake-hypervisor" / "copies" / f"{spec.id}.{OPERATION}"
    left.write_bytes(b"old")
    server.want(spec)
    status = server.settle(server.operate(spec, "stop", "stopped"))
    assert status.operation_state == "done"
    assert copies(state) == []


@pytest.fixture
def delivery(server: StubServer, state: Path) -> Delivery:
    return Delivery(Client(state))


def test_a_large_file_is_never_whole_in_memory(delivery: Delivery, server: StubServer, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    with file.open("wb") as handle:
        handle.write(b"begin")
        handle.truncate(40 << 20)
    asked = []
    delivery.send(OPERATION, file, lambda: bool(asked.append(1)))
    assert len(asked) >= 40
    assert len(server.snapshots[OPERATION]) == 40 << 20
    assert delivery.over(OPERATION)


def test_an_upload_that_is_cancelled_breaks_off(delivery: Delivery, server: StubServer, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_bytes(bytes(8 << 20))
    answers = iter([False, False, True])
    with pytest.raises(Superseded):
        delivery.send(OPERATION, file, lambda: next(answers))
    assert not delivery.over(OPERATION)
    delivery.send(OPERATION, file, lambda: False)
    assert delivery.over(OPERATION)


@pytest.mark.parametrize(("status", "error"), [(404, Unavailable), (401, Unavailable), (503, Unavailable),
                                               (409, StepFailed), (415, StepFailed)])  # fmt: skip
def test_what_answers_mean(delivery: Delivery, server: StubServer, status: int, error: type[Exception]) -> None:
    server.broken = lambda path: status
    with pytest.raises(error):
        delivery.wanted(OPERATION)
    assert not delivery.over(OPERATION)
