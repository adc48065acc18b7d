"""Runs the real server or agent under a test's control, and kills it at exact points.

    python doomed.py server|agent DIRECTORY ARGUMENT…

A process of either kind passes points: a server before and after the commit of each write transaction and each thing
that it does with a file of an image, an agent before and after each step. While DIRECTORY/<kind>.armed holds a number
N, the N-th point from then on (of those whose name contains a word, when one is given) kills the process with SIGKILL,
and DIRECTORY/<kind>.died says which it was. It is started again at once, unarmed; it is forked from a process that has
imported everything and parsed the rules, so that a life costs no more than the program's own start. Two more kinds are
for the agent: `report`, before and after each report to the server, and `qemu`, where the N-th step at which the QEMU
of its server runs kills that.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
HERE = Path(sys.argv[2]) if __name__ == "__main__" else Path()


class Trap:
    """Counts points while it is armed."""

    def __init__(self, kind: str) -> None:
        self.armed, self.died = HERE / f"{kind}.armed", HERE / f"{kind}.died"
        self.order, self.passed, self.lock = "", 0, threading.Lock()

    def due(self, point: str) -> bool:
        """Whether this point is the one; then the trap is no longer armed."""
        with self.lock:
            try:
                order = self.armed.read_text()  # "N order word": each order has a number of its own
            except FileNotFoundError:
                return False
            if order != self.order:
                self.order, self.passed = order, 0
            number, _, word = order.split(" ", 2)
            if word not in point:
                return False
            self.passed += 1
            if self.passed < int(number):
                return False
            new = self.died.with_suffix(".new")
            new.write_text(point)
            self.armed.unlink()
            new.replace(self.died)
            return True


def prepare_server() -> Any:
    from onestack.config import Settings
    from onestack.core.db import Database, on_commit
    from onestack.server import bootstrap, build, main

    assert bootstrap
    build.services(build.cloud_of(Settings(state="/nonexistent", hypervisor="fake")))  # the rules are parsed
    trap, original = Trap("server"), Database.write

    def point(name: str) -> None:
        if trap.due(name):
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def write(self: Database) -> Any:
        caller = sys._getframe(2)
        name = f"{caller.f_globals.get('__name__', '?')}.{caller.f_code.co_name}"
        with original(self) as session:
            # The first of what follows the commit: nobody has been woken, nothing has been answered.
            on_commit(session, lambda: point(f"committed {name}"))
            yield session
            point(f"before the commit of {name}")

    Database.write = write
    _around_files(point)
    return main.main


def _around_files(point: Callable[[str], None]) -> None:
    """Points before and after all that is done with the files and objects of images."""
    from onestack.image import store
    from onestack.image.drivers.file import FileStore
    from onestack.image.drivers.s3 import S3Store

    def with_points(original: Any) -> Any:
        def run(*args: Any, **more: Any) -> Any:
            point(f"before {original.__qualname__}")
            result = original(*args, **more)
            point(f"after {original.__qualname__}")
            return result

        return run

    for owner, names in (
        (store.Staging, ("__init__", "write", "finish", "discard")), (FileStore, ("put", "delete")),
        (S3Store, ("put", "delete")), (store, ("move", "digest_of")),
    ):  # fmt: skip
        for name in names:
            setattr(owner, name, with_points(getattr(owner, name)))


def prepare_agent() -> Any:
    from onestack.agent import __main__, outbox
    from onestack.agent.drivers.fake import FakeDriver

    drivers: list[Any] = [FakeDriver]
    with contextlib.suppress(ImportError):
        from onestack.agent.drivers.libvirt.driver import LibvirtDriver

        drivers.append(LibvirtDriver)
    agent, reports, qemu = Trap("agent"), Trap("report"), Trap("qemu")

    def point(name: str, server_id: str, trap: Trap = agent) -> None:
        if trap.due(name):
            os.kill(os.getpid(), signal.SIGKILL)
        if trap is reports:
            return
        with contextlib.suppress(OSError, ValueError):
            pid = int(Path(f"/run/libvirt/qemu/instance-{server_id}.pid").read_text())
            os.kill(pid, 0)
            if qemu.due(name):
                os.kill(pid, signal.SIGKILL)

    def with_points(original: Any) -> Any:
        def run(self: Any, step: Any, context: Any) -> float:
            point(f"before {step.name}", context.spec.id)
            wait = original(self, step, context)
            point(f"after {step.name}", context.spec.id)
            return float(wait)

        return run

    for driver in drivers:
        driver.run = with_points(driver.run)
    send = outbox.Outbox._send

    def report(self: Any, batch: Any) -> None:
        point("before a report", batch[0].id, reports)
        send(self, batch)
        point("after a report", batch[0].id, reports)

    outbox.Outbox._send = report
    return __main__.main


def main() -> None:
    kind, arguments = sys.argv[1], sys.argv[3:]
    libc = ctypes.CDLL(None)
    run = {"server": prepare_server, "agent": prepare_agent}[kind]()
    gc.collect()
    gc.freeze()  # a life need not look through what it was forked with
    while True:
        child = os.fork()
        if child == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os._exit(run(arguments) or 0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            print(f"{kind} ended by itself: {os.WEXITSTATUS(status)}", file=sys.stderr, flush=True)
            sys.exit(1)


if __name__ == "__main__":
    main()
