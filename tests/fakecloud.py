"""A whole cloud on the fake hypervisor in a folder of its own, as real processes on ports that are free."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from onestack import config
from onestack.cli import ports
from onestack.config import Settings
from tests.crashing import Doom, environment

SOURCE = str(Path(__file__).parents[1] / "src")


def free_offset() -> int:
    numbers = (random.randrange(10_000, 30_000) for _ in range(100))
    return next(
        number
        for number in numbers
        if not any(ports.in_use("127.0.0.1", port + number) for port in config.PORTS.values())
    )


class FakeCloud:
    def __init__(self, directory: Path) -> None:
        self.state = directory / "c"
        self.variables = {**environment(), "PYTHONPATH": SOURCE}
        self._words = [
            sys.executable, "-m", "onestack.cli.main", "--state", str(self.state), "--port-offset", str(free_offset()),
        ]  # fmt: skip

    def run(self, *command: str) -> None:
        done = subprocess.run(
            [*self._words, *command], check=False, capture_output=True, text=True, env=self.variables, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def up(self) -> Settings:
        self.run("up", "--hypervisor", "fake", "--no-boot")
        return self.settings()

    def settings(self) -> Settings:
        return config.load(str(self.state))


@contextlib.contextmanager
def fake_cloud() -> Iterator[FakeCloud]:
    """Not started yet; down at the end."""
    with tempfile.TemporaryDirectory(prefix="osc") as directory:  # short: sockets live in it
        cloud = FakeCloud(Path(directory))
        try:
            yield cloud
        finally:
            cloud.run("down")


@contextlib.contextmanager
def doomed_cloud(table: str = "") -> Iterator[Doom]:
    """With the processes that die on demand in place of its own, and `table` more in its settings."""
    with tempfile.TemporaryDirectory(prefix="osc") as directory:
        cloud = FakeCloud(Path(directory))
        cloud.run("up", "--hypervisor", "fake")
        cloud.run("down")
        with (cloud.state / "onestack.toml").open("a") as file:
            file.write(table.replace("STATE", str(cloud.state)))
        doom = Doom(cloud.settings(), Path(directory, "doom"), [sys.executable, "-P"], {})
        try:
            doom.start(cloud.variables)
            yield doom
        finally:
            doom.stop()
