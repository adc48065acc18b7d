"""What `up` and `boot` print at the end: how to reach things, and how to stop."""

from __future__ import annotations

import os

from onestack.cli import demo
from onestack.config import Settings


def command(settings: Settings, words: str) -> str:
    """A command line for this very cloud, as the user would type it."""
    launcher = os.environ.get("ONESTACK_LAUNCHER", "onestack")
    checkout = os.environ.get("ONESTACK_CHECKOUT", "")
    if checkout and os.getcwd() == checkout:
        launcher = "./onestack"
    from onestack import config

    sudo = "sudo " if os.environ.get("SUDO_USER") and os.geteuid() == 0 else ""
    state = "" if settings.state == config.default_state() else f" --state {settings.state}"
    return f"{sudo}{launcher}{state} {words}"


def of_vm(settings: Settings, vm: demo.Vm) -> str:
    sudo = "sudo " if os.environ.get("SUDO_USER") and os.geteuid() == 0 else ""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    lines = [f"The VM {vm.name} has the floating IP {vm.address}"]
    if not vm.reachable and settings.hypervisor != "fake":
        lines[0] += ", but does not answer SSH yet (see its console)"
    if settings.hypervisor != "fake":
        lines.append(f"  ssh      {sudo}ssh -i {demo.key_file(settings)} {options} {demo.LOGIN}@{vm.address}")
    if vm.console:
        lines.append(f"  console  {vm.console}")
    return "\n".join(lines)


def after_up(settings: Settings, vm: demo.Vm | None) -> str:
    lines = ["", f"OneStack is up ({settings.hypervisor}): {settings.url('identity')}/v3", ""]
    if vm:
        lines += [of_vm(settings, vm), ""]
    launcher = command(settings, "openrc")
    lines += [
        f"  clouds.yaml  {settings.path('clouds.yaml')}   (clouds `onestack`, the admin, and `demo`)",
        f"  openrc       {settings.path('openrc-admin')}, {settings.path('openrc-demo')}",
        f'  a shell      eval "$({launcher})" && openstack server list --all-projects',
        f"  look         {command(settings, 'status')}",
        f"  stop         {command(settings, 'down')}   (VMs and data stay)",
    ]
    return "\n".join(lines)
