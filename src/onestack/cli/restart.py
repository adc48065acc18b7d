"""`onestack restart`: new settings and a new program for the servers, without a client that notices.

Of several servers one leaves after the other, each when the one before answers again: at every moment somebody
accepts. A single server is away for as long as it takes to start.
"""

from __future__ import annotations

import argparse
import os

from onestack.cli import extras, layout, programs
from onestack.cli.problems import Problem
from onestack.cli.progress import Step
from onestack.cli.settings import existing
from onestack.config import Settings
from onestack.engines import process
from onestack.engines.process import Program

READY_SECONDS = 60.0


def run(options: argparse.Namespace) -> int:
    settings = existing(options)
    if os.stat(settings.path("supervisor")).st_uid != os.geteuid():
        raise Problem(f"the cloud in {settings.state} is another user's", "the same command with sudo")
    with layout.alone(settings):
        if not any(programs.pid(one) for one in programs.servers(settings)):
            raise Problem("no server runs", "onestack up")
        # The settings may ask for more than those that the servers were started with.
        extras.ensure(settings)
        one_after_the_other(settings, programs.servers(settings))
    return 0


def one_after_the_other(settings: Settings, servers: list[Program]) -> None:
    """Raises Problem, and leaves the rest as they are, when one doesn't come back."""
    with Step("Restarting the servers") as step:
        for place, program in enumerate(servers):
            step.update(place / len(servers), program.name)
            before = programs.restart(settings, program, [other.name for other in servers[place + 1 :]])
            wait(settings, program, before)


def wait(settings: Settings, program: Program, before: int | None) -> None:
    """Until the new process accepts."""
    from onestack.server import sockets

    number = int(program.name.partition("-")[2] or 1)

    def gone() -> bool:
        return before is None or process.start_time(before) is None or programs.pid(program) != before

    def ready() -> bool:
        answer = sockets.ask(settings, number)
        return answer is not None and answer["pid"] != before and bool(answer["ready"]) and not answer["leaving"]

    if not process.wait_for(gone, program.patience, 0.05) or not process.wait_for(ready, READY_SECONDS, 0.05):
        words = process.last_line(program.log)
        raise Problem(f"{program.name} does not come back: {words}", f"see {program.log}")
