"""The plan as a pure function, and a property: carrying out any plan on a model ends where the spec wants it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from onestack.agent.drivers.base import Observed, Step
from onestack.agent.plan import plan
from onestack.wire import ImageSpec, NicSpec, OperationSpec, ServerSpec

PORT = NicSpec(port_id="p1", mac="fa:16:3e:00:00:01", network_id="n1", mtu=1442)
ON = {"disks": True, "leftovers": True, "nics": frozenset({"p1"})}


def spec(desired: str = "running", action: str | None = "create", **changes) -> ServerSpec:
    operation = OperationSpec(id="op", action=action, args=changes.pop("args", {})) if action else None
    return ServerSpec(
        id="s", revision=1, name="s", nics=changes.pop("nics", [PORT]), desired=desired, operation=operation, **changes
    )


def observed(power: str, **changes) -> Observed:
    return Observed(**{"power": power, **ON, **changes})


def steps(*args, now: float = 0.0) -> list[str]:
    return [step.name for step in plan(*args, now).steps]


def test_create_from_nothing() -> None:
    image = ImageSpec(id="i", disk_format="raw", size=1, virtual_size=1, os_hash_algo="sha512", os_hash_value="")
    assert steps(spec(image=image), Observed()) == [
        "fetch_image", "create_disks", "plug_interfaces", "define", "start",
    ]  # fmt: skip
    assert steps(spec(image=image), Observed(disks=True)) == ["plug_interfaces", "define", "start"]
    assert steps(spec(), observed("running")) == []


def test_a_lost_disk_is_not_replaced_by_a_fresh_one() -> None:
    result = plan(spec(action="start"), observed("shutdown", disks=False), 0.0)
    assert not result.steps
    assert "no longer on its host" in result.fault


def test_power_belongs_to_the_guest_outside_an_operation() -> None:
    for power in ("running", "shutdown", "paused", "suspended", "crashed"):
        assert steps(spec(action=None), observed(power)) == []
    assert steps(spec(action=None), Observed()) == []
    assert steps(spec(action=None), Observed(disks=True)) == ["plug_interfaces", "define"]


def test_hard_reboot_once() -> None:
    reboot = spec(action="reboot", args={"type": "HARD"})
    assert steps(reboot, observed("running")) == ["destroy", "plug_interfaces", "define", "start"]
    assert steps(reboot, observed("shutdown", mark="op")) == ["plug_interfaces", "define", "start"]
    assert steps(reboot, observed("running", mark="op")) == []
    assert steps(reboot, observed("running", mark="older")) != []


def test_a_guest_gets_its_time_to_shut_down() -> None:
    stop = spec("stopped", "stop", args={"timeout": 30})
    first = plan(stop, observed("running"), 100.0)
    assert (first.steps, first.wait) == ([Step("shutdown")], 10)
    later = plan(stop, observed("running", asked=100.0), 125.0)
    assert (later.steps, later.wait) == ([Step("shutdown")], 5)
    assert steps(stop, observed("running", asked=100.0), now=130.0) == ["destroy"]
    assert steps(stop, observed("shutdown", asked=100.0), now=131.0) == []
    assert steps(spec("stopped", "stop", args={"timeout": 0}), observed("running")) == ["destroy"]


def test_the_image_says_how_long_its_guest_takes() -> None:
    image = ImageSpec(
        id="i", disk_format="raw", size=1, virtual_size=1, os_hash_algo="", os_hash_value="",
        properties={"os_shutdown_timeout": "7"},
    )  # fmt: skip
    assert plan(spec("stopped", "stop", image=image), observed("running"), 0.0).wait == 7
    assert plan(spec("stopped", "stop", args={"timeout": "nonsense"}), observed("running", asked=0), 55.0).wait == 5


def test_interfaces_follow_the_spec_also_outside_an_operation() -> None:
    assert plan(spec(action=None, nics=[]), observed("running"), 0).steps == [Step("detach_interface", "p1")]
    assert plan(spec(action=None), observed("running", nics=frozenset()), 0).steps == [Step("attach_interface", "p1")]
    assert steps(spec(action=None), observed("running", unplugged=frozenset({"p1"}))) == ["plug_interfaces"]


def test_devices_of_interfaces_that_are_no_more_are_taken_away() -> None:
    for action in (None, "start"):
        assert steps(spec(action=action), observed("running", strays=True)) == ["unplug_strays"]
    assert steps(spec("stopped", None), observed("shutdown", strays=True)) == ["unplug_strays"]


def test_delete_takes_everything_even_without_a_domain() -> None:
    everything = ["destroy", "undefine", "unplug_interfaces", "delete_disks"]
    assert steps(spec("absent", "delete"), observed("running")) == everything
    assert steps(spec("absent", None), Observed(leftovers=True)) == everything
    assert steps(spec("absent", "delete"), Observed()) == []


def test_an_image_is_made_whatever_the_guest_does() -> None:
    for action, power in itertools.product(("createImage", "createBackup"), ("running", "shutdown", "suspended")):
        wanted = spec(action=action)
        assert steps(wanted, observed(power)) == ["copy_disk"]
        assert steps(wanted, observed(power, copies=True)) == ["copy_disk"]
        assert steps(wanted, observed(power, copies=True, copied=True)) == ["upload_image"]
        assert steps(wanted, observed(power, copies=True, copied=True, delivered=True)) == ["discard_copy"]
        assert steps(wanted, observed(power, delivered=True)) == []
    assert "no longer on its host" in plan(spec(action="createImage"), observed("shutdown", disks=False), 0).fault


def test_a_copy_that_no_operation_wants_goes_first() -> None:
    for action, power in ((None, "running"), (None, "shutdown"), ("start", "shutdown"), ("stop", "running")):
        assert steps(spec(action=action), observed(power, copies=True)) == ["discard_copy"]
    assert steps(spec("absent", "delete"), observed("running", copies=True))[-1] == "delete_disks"


EFFECTS = {
    "start": "running", "unpause": "running", "pause": "paused", "suspend": "suspended", "destroy": "shutdown",
    "shutdown": "shutdown", "discard_saved_state": "shutdown", "undefine": "absent",
}  # fmt: skip


def carry_out(seen: Observed, step: Step, wanted: ServerSpec) -> Observed:
    """A model of a hypervisor."""
    changes: dict = {}
    if step.name in EFFECTS and not (step.name == "destroy" and seen.power == "absent"):
        changes["power"] = EFFECTS[step.name]
    elif step.name == "create_disks":
        changes["disks"] = True
    elif step.name == "define":
        changes.update(nics=frozenset(nic.port_id for nic in wanted.nics), unplugged=frozenset())
        changes["mark"] = wanted.operation.id if wanted.operation else seen.mark
        changes["power"] = "shutdown" if seen.power == "absent" else seen.power
    elif step.name == "plug_interfaces":
        changes["unplugged"] = frozenset()
    elif step.name == "attach_interface":
        changes["nics"] = seen.nics | {step.port_id}
    elif step.name == "detach_interface":
        changes["nics"] = seen.nics - {step.port_id}
    elif step.name == "unplug_strays":
        changes["strays"] = False
    elif step.name == "delete_disks":
        changes.update(disks=False, leftovers=False)
    return dataclasses.replace(seen, **changes)


ACTIONS = {
    "running": ["create", "start", "reboot", "unpause", "resume", "attach_interface"],
    "stopped": ["stop", "create"],
    "paused": ["pause"],
    "suspended": ["suspend"],
    "absent": ["delete"],
}
CASES = [
    (desired, action, power, died)
    for desired, actions in ACTIONS.items()
    for action, power, died in itertools.product(
        actions, ["absent", "shutdown", "running", "paused", "suspended", "crashed"], range(-1, 8)
    )
]


@pytest.mark.parametrize(("desired", "action", "power", "died"), CASES)
def test_every_plan_converges_also_when_qemu_dies_in_between(desired: str, action: str, power: str, died: int) -> None:
    """`died`: after how many steps QEMU is killed; -1: never."""
    wanted = spec(desired, action, args={"type": "SOFT"})
    seen = Observed(
        power=power, disks=True, leftovers=True, nics=frozenset({"p1", "old"}) if power != "absent" else frozenset()
    )
    count = 0
    for _round in range(12):
        todo = plan(wanted, seen, 0.0)
        assert not todo.fault
        if not todo.steps:
            break
        for step in todo.steps:
            seen = carry_out(seen, step, wanted)
            if count == died and seen.power in ("running", "paused"):
                seen = dataclasses.replace(seen, power="shutdown")
            count += 1
    assert seen.power == {"stopped": "shutdown"}.get(desired, desired) or (seen.power, desired) == (
        "crashed",
        "stopped",
    )
    if desired == "absent":
        assert seen == Observed(mark=seen.mark, nics=seen.nics)
    elif desired == "running":
        assert seen.nics == {"p1"}
        assert action != "reboot" or seen.mark == "op"
