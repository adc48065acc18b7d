"""An agent that is told to stop does so at once, whatever it is in the middle of."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from onestack.agent import client as module
from onestack.agent.client import Client, Closed
from tests.agent.conftest import SRC
from tests.agent.stub_server import StubServer


def polls(client: Client) -> threading.Thread:
    """A thread that asks for work which does not come, and must end with Closed."""

    def ask() -> None:
        with pytest.raises(Closed):
            client.call("GET", "/v1/work?after=1&wait=30", timeout=60)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(5)
    return not thread.is_alive()


def test_closing_ends_a_request_that_waits(server: StubServer, state: Path) -> None:
    client = Client(state)
    thread = polls(client)
    server.wait(lambda: server.waiting)
    client.close()
    assert ended(thread)


def test_closing_ends_a_request_that_is_just_being_made(
    server: StubServer, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look whether the client is closed and the socket that closing could shut down."""
    client = Client(state)
    connect = module.connect_unix

    def closed_meanwhile(path: Path, timeout: float | None):
        client.close()
        return connect(path, timeout)

    monkeypatch.setattr(module, "connect_unix", closed_meanwhile)
    assert ended(polls(client))


def test_closing_ends_a_request_that_has_no_connection_yet(
    server: StubServer, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(state)
    headers = client.headers

    def closed_meanwhile() -> dict[str, str]:
        client.close()
        return headers()

    monkeypatch.setattr(client, "headers", closed_meanwhile)
    assert ended(polls(client))


def test_a_signal_in_the_midst_of_the_start_of_a_thread() -> None:
    program = """
import os, signal, threading
from types import SimpleNamespace
from onestack.agent.__main__ import stop_when_asked

stopped = threading.Event()
stop_when_asked(SimpleNamespace(stop=stopped.set))
with threading._active_limbo_lock:  # as Thread.start holds it
    os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.wait(5)
"""
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(SRC)}, check=True, timeout=30)
