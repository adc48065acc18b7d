"""Runs a program on files of strangers: a child that can do little, see little and not last long.

It has bounds on memory, processor time, the size of what it writes, its handles and its output; no environment, no
shell, no network, no way to more rights, no core file. It gets open files, which it finds below /dev/fd, and where the
kernel has Landlock it can open no other. It is of the caller's unprivileged user, or nobody's where the caller is
root. It ends with the caller, and its process group ends with it. docs/adr/0010 says why it is like this.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, NamedTuple

from onestack.sandbox import confine

_OUTPUT = 64 << 10  # bytes of stdout and of stderr that a program may write
CANCELLED, TOO_LARGE = "it was cancelled", "it grew too large"  # `problem` says so
_LOOK_SECONDS = 0.2  # between looks at whether the caller has changed its mind


class Limits(NamedTuple):
    memory: int  # bytes of address space
    cpu: int  # seconds
    file_size: int  # bytes
    seconds: float  # by the clock on the wall
    files: int = 64  # handles


class Ended(NamedTuple):
    """`problem` says which bound stopped it, where one did."""

    status: int
    output: bytes
    errors: bytes
    problem: str = ""

    @property
    def words(self) -> str:
        """Why it failed: the bound that stopped it, or what it complained about."""
        return self.problem or self.errors.decode("utf-8", "replace").strip()


def run(
    command: Sequence[str], limits: Limits, *, read: Sequence[BinaryIO] = (), write: Sequence[BinaryIO] = (),
    shared: Sequence[BinaryIO] = (), cancelled: Callable[[], bool] | None = None,
) -> Ended:  # fmt: skip
    """`command[0]` is an absolute path. Waits, also for `cancelled`; whatever happens, nothing of the child is left.

    `shared` are read as well, and must be readable for everybody: others use them, so they are lent to nobody.
    """
    return _run(command, "", limits, read, write, shared, cancelled)


def call(
    module: ModuleType, arguments: Sequence[str], limits: Limits, *, read: Sequence[BinaryIO] = (),
    write: Sequence[BinaryIO] = (), cancelled: Callable[[], bool] | None = None,
) -> Ended:  # fmt: skip
    """The same for `main(arguments)` of a module that stands on Python's library alone."""
    return _run(arguments, str(module.__file__), limits, read, write, (), cancelled)


def _run(
    words: Sequence[str], module: str, limits: Limits, read: Sequence[BinaryIO], write: Sequence[BinaryIO],
    shared: Sequence[BinaryIO] = (), cancelled: Callable[[], bool] | None = None,
) -> Ended:  # fmt: skip
    handles = [file.fileno() for file in (*read, *write)]
    what = {
        "limits": {
            "AS": limits.memory, "CPU": limits.cpu, "FSIZE": limits.file_size, "NOFILE": limits.files, "CORE": 0,
        },
        "read": [file.fileno() for file in (*read, *shared)], "write": [file.fileno() for file in write],
        "parent": os.getpid(), "module": module,
    }  # fmt: skip
    start = [sys.executable, "-I", "-S", confine.__file__, json.dumps(what), *words]
    with _lent(handles):
        child = subprocess.Popen(
            start, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, close_fds=True,
            pass_fds=[*handles, *(file.fileno() for file in shared)], start_new_session=True, cwd="/",
        )  # fmt: skip
        try:
            return _watch(child, time.monotonic() + limits.seconds, cancelled)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()


def _watch(child: subprocess.Popen[bytes], deadline: float, cancelled: Callable[[], bool] | None) -> Ended:
    """Until both pipes are closed, a bound is reached, the time is over, or nobody wants it any more."""
    found: dict[str, bytes] = {"output": b"", "errors": b""}
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("output", child.stdout), ("errors", child.stderr)):
            assert pipe is not None  # both were asked for
            selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return Ended(-signal.SIGKILL, found["output"], found["errors"], "it took too long")
            ready = selector.select(min(left, _LOOK_SECONDS))
            if cancelled is not None and cancelled():
                return Ended(-signal.SIGKILL, found["output"], found["errors"], CANCELLED)
            for key, _ in ready:
                data = os.read(key.fd, _OUTPUT)
                if not data:
                    selector.unregister(key.fileobj)
                found[key.data] += data
                if len(found[key.data]) > _OUTPUT:
                    return Ended(-signal.SIGKILL, b"", found["errors"][:_OUTPUT], "it said too much")
    try:
        status = child.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return Ended(-signal.SIGKILL, found["output"], found["errors"], "it took too long")
    reasons = {
        signal.SIGXCPU: "it took too long",
        signal.SIGKILL: "it took too much",
        signal.SIGXFSZ: TOO_LARGE,
    }
    return Ended(
        status, found["output"], found["errors"], reasons.get(signal.Signals(-status), "") if status < 0 else ""
    )


@contextlib.contextmanager
def _lent(handles: Sequence[int]) -> Iterator[None]:
    """Root gives its files to nobody for the time."""
    if os.geteuid() != 0:
        yield
        return
    before = [os.fstat(number) for number in handles]
    nobody = pwd.getpwnam("nobody")
    try:
        for number in handles:
            os.fchown(number, nobody.pw_uid, nobody.pw_gid)
        yield
    finally:
        for number, stat in zip(handles, before, strict=True):
            os.fchown(number, stat.st_uid, stat.st_gid)


def seen_as(file: BinaryIO) -> Path:
    """Where the program finds a file that it was given."""
    return Path("/dev/fd") / str(file.fileno())
