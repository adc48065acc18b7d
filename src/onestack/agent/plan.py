"""From how a server must be and how it is to the next steps. Pure: no clock, no I/O, no memory.

What disturbs a guest and can't be seen afterwards (a reboot) leaves a mark: the id of the operation, written into the
domain *before* the guest is started again. With it, a second run after a crash converges without another reboot.

States and ways between them:

    desired \\ power   absent          shutdown      running          paused        suspended
    running           build, start    start         -                unpause       start (restores)
    stopped           build           -             ask, destroy     destroy       discard the saved state
    paused            build, start    start, pause  pause            -             start, pause
    suspended         build, start    start, save   save             save          -
    absent            leftovers go    delete        delete           delete        delete

An image of a server (wire.SNAPSHOTS) is made in whatever state the guest is, and leaves it there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onestack.agent.drivers.base import Observed, Step
from onestack.wire import SNAPSHOTS, OperationSpec, ServerSpec

# Operations that may make disks. With any other a missing disk is an error: a fresh one would hide the loss of data.
BUILDS = frozenset({"create", "rebuild", "evacuate", "unshelve"})

SHUTDOWN_SECONDS = 60  # what a guest gets by default to power itself off; Nova's shutdown_timeout
ASK_AGAIN_SECONDS = 10  # a guest that is still booting drops the power button's event


@dataclass(frozen=True)
class Plan:
    """Steps to run now, in order. None and no `wait`: converged. `wait`: look again after so many seconds."""

    steps: list[Step] = field(default_factory=list)
    wait: float = 0.0
    fault: str = ""


def plan(spec: ServerSpec, observed: Observed, now: float) -> Plan:
    """What to do next. `spec.operation` is None when there is none or when it has ended; `now` in seconds."""
    if spec.desired == "absent":
        return _delete(observed)
    operation = spec.operation
    if operation is not None and operation.action in SNAPSHOTS:
        return _snapshot(observed)
    if observed.copies:  # of an operation that was ended before it was through
        return Plan([Step("discard_copy")])
    if operation is None:
        return _idle(spec, observed)
    if operation.action == "reboot" and observed.mark != operation.id:
        return _reboot(spec, operation, observed, now)
    if spec.desired == "stopped":
        return _stopped(spec, operation, observed, now)
    return _up(spec, operation, observed)


def _delete(observed: Observed) -> Plan:
    if observed.power == "absent" and not observed.leftovers:
        return Plan()
    return Plan([Step("destroy"), Step("undefine"), Step("unplug_interfaces"), Step("delete_disks")])


def _snapshot(observed: Observed) -> Plan:
    if observed.delivered:
        return Plan([Step("discard_copy")] if observed.copies else [])
    if observed.copied:
        return Plan([Step("upload_image")])
    if not observed.disks:
        return Plan(fault="The disks of the server are no longer on its host, so there is nothing to make an image of.")
    return Plan([Step("copy_disk")])


def _idle(spec: ServerSpec, observed: Observed) -> Plan:
    """Outside an operation power is the guest's own business; interfaces and definition are kept as they must be."""
    if observed.power == "absent":
        if not observed.disks:
            return Plan()
        return Plan([Step("plug_interfaces"), Step("define")])
    return Plan(_interfaces(spec, observed))


def _interfaces(spec: ServerSpec, observed: Observed) -> list[Step]:
    wanted = {nic.port_id for nic in spec.nics}
    steps = [Step("detach_interface", port) for port in sorted(observed.nics - wanted)]
    if observed.unplugged & wanted:
        steps.append(Step("plug_interfaces"))
    steps += [Step("attach_interface", nic.port_id) for nic in spec.nics if nic.port_id not in observed.nics]
    if observed.strays:  # of a detach whose domain died, or was defined anew, before its device was taken away
        steps.append(Step("unplug_strays"))
    return steps


def _build(spec: ServerSpec, operation: OperationSpec, observed: Observed) -> Plan:
    """The steps that make a server that is off ready to start; the fault when its disks are lost."""
    steps: list[Step] = []
    if not observed.disks:
        if operation.action not in BUILDS:
            return Plan(
                fault="The disks of the server are no longer on its host, so it cannot be started. "
                "Delete the server, or restore its disks from a backup on the host."
            )
        if spec.image is not None:
            steps.append(Step("fetch_image"))
        steps.append(Step("create_disks"))
    return Plan([*steps, Step("plug_interfaces"), Step("define")])


def _up(spec: ServerSpec, operation: OperationSpec, observed: Observed) -> Plan:
    """Desired running, paused or suspended."""
    power = observed.power
    if power == spec.desired:
        return Plan([] if power == "suspended" else _interfaces(spec, observed))
    last = {"running": [], "paused": [Step("pause")], "suspended": [Step("suspend")]}[spec.desired]
    if power == "running":
        return Plan(_interfaces(spec, observed) + last)
    if power == "paused":
        if spec.desired == "suspended":
            return Plan(last)
        return Plan([Step("unpause"), *_interfaces(spec, observed)])
    if power == "suspended":
        return Plan([Step("plug_interfaces"), Step("start"), *last])
    build = _build(spec, operation, observed)
    return build if build.fault else Plan([*build.steps, Step("start"), *last])


def _stopped(spec: ServerSpec, operation: OperationSpec, observed: Observed, now: float) -> Plan:
    power = observed.power
    if power == "running":
        return _shut_down(spec, operation, observed, now)
    if power == "paused":  # a paused guest can't hear the request
        return Plan([Step("destroy")])
    if power == "suspended":
        return Plan([Step("discard_saved_state")])
    if power in ("absent", "pending"):
        return _build(spec, operation, observed)
    return Plan(_interfaces(spec, observed))


def _reboot(spec: ServerSpec, operation: OperationSpec, observed: Observed, now: float) -> Plan:
    soft = str(operation.args.get("type", "HARD")).upper() == "SOFT"
    if soft and observed.power == "running":
        return _shut_down(spec, operation, observed, now)
    build = _build(spec, operation, observed)
    if build.fault:
        return build
    steps = [Step("destroy")] if observed.power in ("running", "paused", "crashed") else []
    if observed.power == "suspended":
        steps.append(Step("discard_saved_state"))
    return Plan([*steps, *build.steps, Step("start")])


def _shut_down(spec: ServerSpec, operation: OperationSpec, observed: Observed, now: float) -> Plan:
    """Ask the guest, wait for it, and pull the plug when its time is over."""
    limit = shutdown_seconds(spec, operation)
    if observed.asked is None and limit > 0:
        return Plan([Step("shutdown")], wait=min(ASK_AGAIN_SECONDS, limit))
    left = limit if observed.asked is None else observed.asked + limit - now
    if left <= 0:
        return Plan([Step("destroy")])
    return Plan([Step("shutdown")], wait=min(ASK_AGAIN_SECONDS, left))


def shutdown_seconds(spec: ServerSpec, operation: OperationSpec) -> float:
    """How long the guest may take: the operation's word, else the image's os_shutdown_timeout, else the default."""
    candidates = [operation.args.get("timeout")]
    if spec.image is not None:
        candidates.append(spec.image.properties.get("os_shutdown_timeout"))
    for value in candidates:
        try:
            if value is not None:
                return min(max(float(value), 0.0), 3600.0)
        except (TypeError, ValueError):
            continue
    return float(SHUTDOWN_SECONDS)
