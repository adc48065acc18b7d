from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.stub_server import StubServer

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def state() -> Iterator[Path]:
    """A short path, because a unix socket lives in it."""
    with tempfile.TemporaryDirectory(prefix="osa") as directory:
        yield Path(directory)


@pytest.fixture
def server(state: Path) -> Iterator[StubServer]:
    stub = StubServer(state)
    stub.start()
    yield stub
    stub.stop()


class AgentProcess:
    """The agent as a process that can be killed at any time."""

    def __init__(self, state: Path, *arguments: str, hypervisor: str = "fake") -> None:
        self.state = state
        self.arguments = ["--state", str(state), "--hypervisor", hypervisor, *arguments]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = state / "agent.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "onestack.agent", *self.arguments],
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(SRC)},
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def rss_mb(self) -> float:
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")


@pytest.fixture
def agent(state: Path) -> Iterator[AgentProcess]:
    process = AgentProcess(state)
    yield process
    if process.process is not None and process.process.poll() is None:
        process.kill()
