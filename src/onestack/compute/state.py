"""What a server's states are, and which actions they allow. Pure: no clock, no database.

Nothing here is stored. From what is desired and observed, and the operation under way, follow Nova's four words:

    vm_state      what the server has become: building, active, stopped, paused, suspended, error, deleted
    task_state    what is being done to it: the operation and how far it is; None when there is none
    power_state   what the hypervisor last said: 0 none, 1 running, 3 paused, 4 shutdown, 6 crashed, 7 suspended
    status        what users see, from vm_state and task_state

    vm_state    allowed (task_state None unless said otherwise)
    building    delete, lock; what doesn't touch the guest
    active      stop, reboot, pause, suspend, rebuild, interfaces, images of it, metadata, tags
    stopped     start, reboot HARD, rebuild, interfaces, images of it, metadata, tags
    paused      unpause, reboot HARD, interfaces, images of it, metadata, tags
    suspended   resume, reboot HARD, images of it, metadata, tags
    error       stop, reboot HARD, rebuild; delete
    deleted     nothing

Reboot HARD is also allowed while another reboot, a pause, unpause, suspend or resume is under way: it replaces it.
Delete is always allowed and replaces anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from onestack.core.errors import Conflict

POWER_NUMBERS = {
    "pending": 0, "absent": 0, "running": 1, "paused": 3, "shutdown": 4, "crashed": 6, "suspended": 7,
}  # fmt: skip

VM_STATES = ("building", "active", "stopped", "paused", "suspended", "error", "deleted")

# The power that a guest has settled at → vm_state.
_BY_POWER = {"running": "active", "paused": "paused", "suspended": "suspended", "shutdown": "stopped",
             "crashed": "stopped", "pending": "active", "absent": "stopped"}  # fmt: skip
SETTLED_AT = {"active": ("running", "pending"), "paused": ("paused",), "suspended": ("suspended",),
              "stopped": ("shutdown", "crashed", "absent")}  # fmt: skip

# What an operation shows as task_state: its name's, or its stage (the first one until it has any), or nothing.
_TASKS = {
    "start": "powering-on", "stop": "powering-off", "pause": "pausing", "unpause": "unpausing",
    "suspend": "suspending", "resume": "resuming", "delete": "deleting", "rebuild": "rebuilding",
}  # fmt: skip
STAGES = {
    "create": ("scheduling", "spawning"),
    "createImage": ("image_snapshot_pending", "image_snapshot", "image_pending_upload", "image_uploading"),
    "createBackup": ("image_backup", "image_pending_upload", "image_uploading"),
}  # fmt: skip
_STAGES = dict.fromkeys(stage for stages in STAGES.values() for stage in stages)
TASK_STATES = (None, *_STAGES, "rebooting", "rebooting_hard", *_TASKS.values())

_STATUS = {
    "building": "BUILD", "active": "ACTIVE", "stopped": "SHUTOFF", "paused": "PAUSED", "suspended": "SUSPENDED",
    "error": "ERROR", "deleted": "DELETED",
}  # fmt: skip
_STATUS_BY_TASK = {
    ("active", "rebooting"): "REBOOT",
    ("active", "rebooting_hard"): "HARD_REBOOT",
    ("active", "rebuilding"): "REBUILD",
    ("stopped", "rebuilding"): "REBUILD",
    ("error", "rebuilding"): "REBUILD",
}
# Those that Nova knows and this service never shows: a filter by them is valid and finds nothing.
OTHER_STATUSES = frozenset(
    ("PASSWORD", "MIGRATING", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "RESCUE", "SOFT_DELETED", "SHELVED",
     "SHELVED_OFFLOADED")
)  # fmt: skip


class Rule(NamedTuple):
    """In which vm_states and task_states an action is allowed."""

    vm_states: frozenset[str]
    task_states: frozenset[str | None] = frozenset((None,))


def _rule(*vm_states: str, tasks: tuple[str | None, ...] = (None,)) -> Rule:
    return Rule(frozenset(vm_states), frozenset(tasks))


_ANY_TASK = TASK_STATES
_LIVING = ("active", "stopped", "paused", "suspended")
_HARD_OVER = (None, "rebooting", "rebooting_hard", "pausing", "unpausing", "suspending", "resuming")

# Names are those in Nova's refusals.
RULES: dict[str, Rule] = {
    "start": _rule("stopped"),
    "stop": _rule("active", "error"),
    "reboot_soft": _rule("active"),
    "reboot_hard": _rule("active", "stopped", "paused", "suspended", "error", tasks=_HARD_OVER),
    "pause": _rule("active"),
    "unpause": _rule("paused"),
    "suspend": _rule("active"),
    "resume": _rule("suspended"),
    "rebuild": _rule("active", "stopped", "error"),
    "createImage": _rule(*_LIVING),
    "createBackup": _rule(*_LIVING),
    "attach_interface": _rule("active", "paused", "stopped"),
    "detach_interface": _rule("active", "paused", "stopped"),
    "changePassword": _rule("active"),
    "get_diagnostics": _rule("active", tasks=_ANY_TASK),
    "update_server_metadata": _rule(*_LIVING),
    "delete_server_metadata": _rule(*_LIVING),
    "update_tag": _rule(*_LIVING, tasks=_ANY_TASK),
    "delete_tag": _rule(*_LIVING, tasks=_ANY_TASK),
    "addSecurityGroup": _rule(*_LIVING, "error", tasks=_ANY_TASK),
    "removeSecurityGroup": _rule(*_LIVING, "error", tasks=_ANY_TASK),
    "delete": _rule("building", "active", "stopped", "paused", "suspended", "error", tasks=_ANY_TASK),
}

_SAID = {"reboot_soft": "reboot", "reboot_hard": "reboot"}


def vm_state(*, deleted: bool, error: bool, launched: bool, settled: str) -> str:
    if deleted:
        return "deleted"
    if error:
        return "error"
    if not launched:
        return "building"
    return _BY_POWER[settled]


def task_state(action: str | None, stage: str | None, args: Mapping[str, Any] | None) -> str | None:
    """`action`, `stage`, `args` of the unfinished operation; None without one."""
    if action is None:
        return None
    if action in STAGES:
        return stage or STAGES[action][0]
    if action == "reboot":
        return "rebooting" if (args or {}).get("type") == "SOFT" else "rebooting_hard"
    return _TASKS.get(action)


def status(vm: str, task: str | None) -> str:
    return _STATUS_BY_TASK.get((vm, task or "")) or _STATUS[vm]


def allowed(action: str, vm: str, task: str | None) -> bool:
    rule = RULES[action]
    return vm in rule.vm_states and task in rule.task_states


def check(action: str, server_id: str, vm: str, task: str | None) -> None:
    """Raise Conflict in Nova's words unless `action` is allowed."""
    rule = RULES[action]
    said = _SAID.get(action, action)
    if vm not in rule.vm_states:
        raise Conflict(f"Cannot '{said}' instance {server_id} while it is in vm_state {vm}")
    if task not in rule.task_states:
        raise Conflict(f"Cannot '{said}' instance {server_id} while it is in task_state {task}")
