"""The table of states, each (state, action) of it."""

from __future__ import annotations

import itertools

import pytest

from onestack.compute import state
from onestack.core.errors import Conflict

LIVING = {"active", "stopped", "paused", "suspended"}

# Written down again by hand, from Nova's guards: the table must say the same.
ALLOWED_WHEN_IDLE = {
    "building": {"delete"},
    "active": {"stop", "reboot_soft", "reboot_hard", "pause", "suspend", "rebuild", "attach_interface",
               "detach_interface", "changePassword", "get_diagnostics"},
    "stopped": {"start", "reboot_hard", "rebuild", "attach_interface", "detach_interface"},
    "paused": {"unpause", "reboot_hard", "attach_interface", "detach_interface"},
    "suspended": {"resume", "reboot_hard"},
    "error": {"stop", "reboot_hard", "rebuild"},
    "deleted": set(),
}  # fmt: skip
FOR_THE_LIVING = {"update_server_metadata", "delete_server_metadata", "update_tag", "delete_tag"}
GROUPS = {"addSecurityGroup", "removeSecurityGroup"}


@pytest.mark.parametrize(("vm", "action"), list(itertools.product(state.VM_STATES, state.RULES)))
def test_idle_servers(vm, action):
    expected = action in ALLOWED_WHEN_IDLE[vm]
    expected |= vm in LIVING and action in FOR_THE_LIVING
    expected |= vm in LIVING | {"error"} and action in GROUPS
    expected |= vm in LIVING and action in ("createImage", "createBackup")
    expected |= vm != "deleted" and action == "delete"
    assert state.allowed(action, vm, None) == expected


@pytest.mark.parametrize(
    ("action", "task"), list(itertools.product(state.RULES, [task for task in state.TASK_STATES if task]))
)
def test_busy_servers(action, task):
    always = {"delete", "update_tag", "delete_tag", "addSecurityGroup", "removeSecurityGroup", "get_diagnostics"}
    replaced = {"rebooting", "rebooting_hard", "pausing", "unpausing", "suspending", "resuming"}
    expected = action in always or (action == "reboot_hard" and task in replaced)
    assert any(state.allowed(action, vm, task) for vm in state.VM_STATES) == expected


@pytest.mark.parametrize("power", state.POWER_NUMBERS)
def test_every_power_is_some_vm_state(power):
    vm = state.vm_state(deleted=False, error=False, launched=True, settled=power)
    assert power in state.SETTLED_AT[vm]
    assert state.vm_state(deleted=False, error=False, launched=False, settled=power) == "building"
    assert state.vm_state(deleted=False, error=True, launched=True, settled=power) == "error"
    assert state.vm_state(deleted=True, error=True, launched=True, settled=power) == "deleted"


@pytest.mark.parametrize(("vm", "task"), list(itertools.product(state.VM_STATES, state.TASK_STATES)))
def test_every_pair_has_a_status(vm, task):
    assert state.status(vm, task).isupper()


def test_statuses_that_tasks_change():
    assert state.status("active", "rebooting") == "REBOOT"
    assert state.status("active", "rebooting_hard") == "HARD_REBOOT"
    assert state.status("stopped", "rebooting_hard") == "SHUTOFF"
    assert state.status("error", "rebuilding") == "REBUILD"
    assert state.status("active", "deleting") == "ACTIVE"


def test_tasks_of_operations():
    assert state.task_state(None, None, None) is None
    assert state.task_state("create", "", {}) == "scheduling"
    assert state.task_state("create", "spawning", {}) == "spawning"
    assert state.task_state("reboot", "", {"type": "SOFT"}) == "rebooting"
    assert state.task_state("reboot", "", {"type": "HARD"}) == "rebooting_hard"
    assert state.task_state("attach_interface", "", {}) is None
    assert state.task_state("createImage", "", {}) == "image_snapshot_pending"
    assert state.task_state("createImage", "image_uploading", {}) == "image_uploading"
    assert state.task_state("createBackup", "", {}) == "image_backup"


def test_words():
    with pytest.raises(Conflict, match="Cannot 'stop' instance s1 while it is in vm_state stopped"):
        state.check("stop", "s1", "stopped", None)
    with pytest.raises(Conflict, match="Cannot 'reboot' instance s1 while it is in task_state powering-off"):
        state.check("reboot_soft", "s1", "active", "powering-off")
