"""The whole agent as a process, against a small server, with the fake hypervisor."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from onestack import wire
from tests.agent.conftest import AgentProcess
from tests.agent.stub_server import StubServer, nic_spec, server_spec


def guest(state: Path, server_id: str) -> dict | None:
    file = state / "fake-hypervisor" / f"{server_id}.json"
    return json.loads(file.read_text()) if file.exists() else None


def test_life_of_a_server(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    status = server.settle(spec)
    assert (status.operation_state, status.power, status.revision) == ("done", "running", spec.revision)
    assert [step.event for step in status.steps] == ["create_disks", "plug_interfaces", "define", "start"]
    assert all(step.result == "Success" and step.finish is not None for step in status.steps)
    for action, desired in (
        ("stop", "stopped"), ("start", "running"), ("pause", "paused"), ("unpause", "running"),
        ("suspend", "suspended"), ("resume", "running"),
    ):  # fmt: skip
        status = server.settle(server.operate(spec, action, desired))
        assert (status.operation_state, status.power) == (
            "done", {"stopped": "shutdown"}.get(desired, desired)
        ), action  # fmt: skip
    gone = server.operate(spec, "delete", "absent")
    status = server.settle(gone)
    assert (status.operation_state, status.power) == ("done", "absent")
    assert guest(state, spec.id) is None
    time.sleep(0.3)  # it blocks in its next question for work
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 3.0


def test_two_hundred_creates_at_once_pass_at_50_a_second(server: StubServer, agent: AgentProcess) -> None:
    agent.start()
    server.wait(lambda: server.hosts)
    began = time.monotonic()
    specs = [server.operate(server_spec(), "create", "running") for _ in range(200)]
    for spec in specs:
        assert server.ended(spec).operation_state == "done"
    took = time.monotonic() - began
    assert took < 4.0
    assert server.posts < 200, "statuses are sent together"


def test_a_reboot_is_not_repeated_after_a_crash(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    reboot = server.operate(spec, "reboot", "running", type="HARD")
    status = server.ended(reboot)
    assert [step.event for step in status.steps] == ["destroy", "plug_interfaces", "define", "start"]
    agent.kill()
    server.statuses.clear()
    agent.start()
    status = server.ended(reboot)  # the server never cleared it: its result is reported once more
    assert (status.operation_state, status.power, status.steps) == ("done", "running", [])


def test_a_soft_reboot_shuts_down_first(server: StubServer, agent: AgentProcess) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    status = server.settle(server.operate(spec, "reboot", "running", type="SOFT"), 30)
    assert [step.event for step in status.steps] == ["shutdown", "plug_interfaces", "define", "start"]


def test_fail_as_told(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(metadata={"fake:fail": "start"}), "create", "running")
    status = server.settle(spec)
    assert (status.operation_state, status.power) == ("failed", "absent")
    assert status.fault is not None
    assert "fail at start" in status.fault.message
    assert (status.steps[-1].event, status.steps[-1].result) == ("start", "Error")
    assert guest(state, spec.id) is None, "a failed create leaves nothing"
    gone = server.settle(server.operate(spec, "delete", "absent"))
    assert (gone.operation_state, gone.power) == ("done", "absent")


def test_a_delete_that_fails_goes_on_until_it_succeeds(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    failing = msgspec.structs.replace(spec, metadata={"fake:fail": "undefine"})
    gone = server.operate(failing, "delete", "absent")
    assert server.ended(gone).operation_state == "failed"
    server.want(msgspec.structs.replace(gone, metadata={}, operation=None))
    server.wait(lambda: guest(state, spec.id) is None and server.latest[spec.id].power == "absent")


def test_slow_as_told_and_many_at_once(server: StubServer, agent: AgentProcess) -> None:
    agent.start()
    server.wait(lambda: server.hosts)
    began = time.monotonic()
    specs = [server.operate(server_spec(metadata={"fake:delay": "create=1"}), "create", "running") for _ in range(40)]
    for spec in specs:
        server.ended(spec)
    assert 1.0 <= time.monotonic() - began < 5.0, "a delay holds no thread"


def test_newest_spec_wins_over_a_slow_operation(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(metadata={"fake:delay": "create=600"}), "create", "running")
    server.wait(lambda: spec.id in server.latest)
    gone = server.settle(server.operate(spec, "delete", "absent"))
    assert (gone.operation_state, gone.power) == ("done", "absent")


def test_interfaces_follow_the_spec(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    second = nic_spec()
    both = msgspec.structs.replace(spec, nics=[*spec.nics, second])
    status = server.settle(server.operate(both, "attach_interface", "running"))
    assert [step.event for step in status.steps] == ["attach_interface"]
    found = guest(state, spec.id)
    assert found is not None
    assert found["nics"] == [nic.port_id for nic in both.nics]
    status = server.settle(server.operate(spec, "detach_interface", "running"))
    assert [step.event for step in status.steps] == ["detach_interface"]


def test_server_away_and_back(server: StubServer, agent: AgentProcess) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    server.stop()
    stop = server.operate(spec, "stop", "stopped")
    server.start()
    assert server.ended(stop).power == "shutdown"


def test_a_server_that_answers_500_is_asked_again(server: StubServer, agent: AgentProcess) -> None:
    troubles = {"/v1/hello": 2, "/v1/work": 2, "/v1/status": 2}

    def broken(path: str) -> int | None:
        if troubles.get(path, 0):
            troubles[path] -= 1
            return 500
        return None

    server.broken = broken
    agent.start()
    assert server.ended(server.operate(server_spec(), "create", "running")).operation_state == "done"
    assert not any(troubles.values())


def test_found_guests_are_named_and_only_absent_deletes(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    agent.kill()
    del server.specs[spec.id]  # the server has lost it
    server.statuses.clear()
    agent.start()
    server.wait(lambda: any(s.id == spec.id and s.revision == 0 and s.power == "running" for s in server.statuses))
    assert [host.servers for host in server.hosts.values()] == [[spec.id]]
    assert guest(state, spec.id) is not None
    server.want(wire.ServerSpec(id=spec.id, revision=0, name="", desired="absent"))
    server.wait(lambda: server.latest[spec.id].power == "absent")
    assert guest(state, spec.id) is None


def test_many_hosts(state: Path, server: StubServer, agent: AgentProcess) -> None:
    (state / "onestack.toml").write_text("[compute]\nfake_hosts = 30\n")
    agent.start()
    server.wait(lambda: len(server.hosts) == 30)
    assert sorted(server.hosts)[:2] == ["fake-0001", "fake-0002"]
    spec = server.operate(server_spec(host="fake-0007"), "create", "running")
    server.settle(spec)
    agent.kill()
    server.hosts.clear()
    agent.start()
    server.wait(lambda: len(server.hosts) == 30)
    assert [name for name, host in server.hosts.items() if host.servers] == ["fake-0007"]


def test_a_second_agent_is_refused(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    server.wait(lambda: server.hosts)
    second = AgentProcess(state)
    second.start()
    assert second.process is not None
    assert second.process.wait(10) == 1


def test_questions(server: StubServer, agent: AgentProcess) -> None:
    agent.start()
    spec = server.operate(server_spec(), "create", "running")
    server.settle(spec)
    answer = server.ask(wire.Question(id="q1", kind="console_output", server_id=spec.id, args={"length": 1}))
    assert (answer.ok, answer.body) == (True, {"output": "power state: running\n"})
    answer = server.ask(wire.Question(id="q2", kind="diagnostics", server_id=spec.id))
    assert answer.body["num_nics"] == 1
    answer = server.ask(wire.Question(id="q3", kind="console_stream", server_id=spec.id, args={"stream_id": "x"}))
    assert not answer.ok
    answer = server.ask(wire.Question(id="q4", kind="horoscope", server_id=spec.id))
    assert "horoscope" in answer.error
    answer = server.ask(wire.Question(id="q5", kind="console_output", server_id="../../etc/passwd"))
    assert not answer.ok


def test_a_strange_id_is_not_touched(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    server.operate(server_spec(id="../../../tmp/evil"), "create", "running")
    good = server.operate(server_spec(), "create", "running")
    server.ended(good)
    assert "../../../tmp/evil" not in server.latest


@pytest.mark.parametrize("step", ["create_disks", "plug_interfaces", "define", "start"])
@pytest.mark.parametrize("action", ["create", "reboot", "delete"])
def test_killed_at_a_step_it_converges(
    server: StubServer, agent: AgentProcess, state: Path, action: str, step: str
) -> None:
    """The guest's file is put back to how each step leaves it, as if the agent had died right after that step."""
    spec = server.operate(server_spec(), "create", "running")
    assert spec.operation is not None
    halves = {
        "create_disks": {"power": "absent", "disks": True, "nics": [], "mark": ""},
        "plug_interfaces": {"power": "absent", "disks": True, "nics": [], "mark": ""},
        "define": {"power": "shutdown", "disks": True, "nics": [spec.nics[0].port_id], "mark": "?"},
        "start": {"power": "running", "disks": True, "nics": [spec.nics[0].port_id], "mark": "?"},
    }
    desired = "absent" if action == "delete" else "running"
    if action != "create":
        spec = server.operate(spec, action, desired)
        assert spec.operation is not None
    half = {**halves[step], "host": "", "mark": spec.operation.id}
    (state / "fake-hypervisor").mkdir()
    (state / "fake-hypervisor" / f"{spec.id}.json").write_text(json.dumps(half))
    agent.start()
    status = server.ended(spec)
    assert (status.operation_state, status.power) == ("done", desired)
    if desired == "absent":
        assert guest(state, spec.id) is None


def test_killed_at_random_it_converges(server: StubServer, agent: AgentProcess, state: Path) -> None:
    agent.start()
    server.wait(lambda: server.hosts)
    specs = [server.operate(server_spec(metadata={"fake:delay": "0.05"}), "create", "running") for _ in range(50)]
    for pause in (0.02, 0.06, 0.12):
        time.sleep(pause)
        agent.kill()
        agent.start()
    for spec in specs:
        assert server.settle(spec).power == "running"
    deletes = [server.operate(spec, "delete", "absent") for spec in specs]
    for pause in (0.02, 0.06, 0.12):
        time.sleep(pause)
        agent.kill()
        agent.start()
    for spec in deletes:
        assert server.settle(spec).power == "absent"
    assert list((state / "fake-hypervisor").glob("*.json")) == []
