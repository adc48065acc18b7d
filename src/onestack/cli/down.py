"""`onestack down`: the control plane ends; VMs go on running, and everything is there again after `up`."""

from __future__ import annotations

import argparse
import os

from onestack.cli import layout, programs
from onestack.cli.problems import Problem
from onestack.cli.progress import Step
from onestack.cli.settings import existing
from onestack.engines import libvirt


def run(options: argparse.Namespace) -> int:
    settings = existing(options)
    if os.stat(settings.path("supervisor")).st_uid != os.geteuid():
        raise Problem(f"the cloud in {settings.state} is another user's", "the same command with sudo")
    with layout.alone(settings), Step("Stopping"):
        stopped = programs.stop(settings)
        stopped += programs.stop_machine(settings)
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    guests = len(libvirt.guests()) if programs.real(settings) else 0
    if guests:
        running = "1 VM of this machine goes" if guests == 1 else f"{guests} VMs of this machine go"
        print(f"{running} on running; `up` finds what is there again.")
    return 0
