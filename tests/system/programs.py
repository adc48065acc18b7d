"""Programs that a test starts in the foreground and ends again, by their own ids and nobody else's."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_SECONDS = 60.0


class Programs:
    """What was started here. Each has a log in the folder; all end with `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, env={**os.environ, **(environment or {})},
            )  # fmt: skip
        self._running.append((name, process))

    def until(self, ready: Callable[[], object], what: str, seconds: float = _SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            for name, process in self._running:
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self.log(name)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds:.0f} s: {what}")
            time.sleep(0.1)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        for _, process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(15)
        self._running.clear()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Consecutive ones, of those that the machine gives nobody by itself."""
    for _ in range(100):
        first = random.randrange(10_000, 30_000)
        if not any(answers(first + number) for number in range(count)):
            return [first + number for number in range(count)]
    raise RuntimeError("no ports are free")
