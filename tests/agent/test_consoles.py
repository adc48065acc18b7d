"""Console streams: a WebSocket to the server on one side, a unix socket of the guest on the other."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import msgspec
import pytest
from websockets.sync.server import ServerConnection, unix_serve

from onestack import wire
from onestack.agent.client import Client
from onestack.agent.consoles import Consoles
from onestack.agent.drivers.base import NoConsole
from tests.agent.stub_server import TOKEN


class Guests:
    """A driver that has consoles and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def console_socket(self, server_id: str, kind: str) -> str:
        if kind != "vnc":
            raise NoConsole("no such console")
        return str(self.path)


class Recorded(Client):
    """Keeps the answers instead of sending them: the server of this test speaks WebSocket only."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.answers: dict[str, wire.Answer] = {}
        self.changed = threading.Condition()

    def call(self, method, path, body=None, answer=None, timeout=60.0):
        with self.changed:
            self.answers[path.rsplit("/", 1)[1]] = msgspec.json.decode(msgspec.json.encode(body), type=wire.Answer)
            self.changed.notify_all()

    def wait(self, question_id: str) -> wire.Answer:
        with self.changed:
            assert self.changed.wait_for(lambda: question_id in self.answers, 10)
            return self.answers[question_id]


@pytest.fixture
def client(state: Path) -> Recorded:
    (state / "run").mkdir()
    (state / "secrets").mkdir()
    (state / "secrets" / "agent.token").write_text(TOKEN)
    return Recorded(state)


def question(kind: str = "vnc") -> wire.Question:
    return wire.Question(
        id="q",
        kind="console_stream",
        server_id="5f4a1c5e-8a4e-4b0e-9b6b-2a1f0a6f3c11",
        args={"stream_id": "s/1", "type": kind},
    )


def test_bytes_go_both_ways(state: Path, client: Recorded) -> None:
    guest = socket.socket(socket.AF_UNIX)
    guest.bind(str(state / "vnc.sock"))
    guest.listen()
    seen: list[object] = []
    over = threading.Event()

    def server(stream: ServerConnection) -> None:
        assert stream.request is not None
        seen.extend([stream.request.path, stream.request.headers["Authorization"]])
        seen.append(stream.recv(10))
        stream.send(b"\x00\xffkeys")
        seen.append(stream.recv(10))
        stream.close()
        over.set()

    with unix_serve(server, path=str(client.socket_path)) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        Consoles(client, Guests(state / "vnc.sock")).ask(question())  # type: ignore[arg-type]
        screen, _ = guest.accept()
        screen.settimeout(10)
        screen.sendall(b"RFB 003.008\n")
        assert screen.recv(100) == b"\x00\xffkeys"
        # The user leaves after the first of it, so the guest may not get rid of the rest.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            screen.sendall(bytes(range(256)) * 1000)
        assert client.wait("q").ok
        assert over.wait(10)
        with contextlib.suppress(ConnectionResetError):
            assert screen.recv(1) == b"", "the guest's side is closed when the user's is"
        listening.shutdown()
    guest.close()
    assert seen[:3] == ["/v1/streams/s%2F1", f"Bearer {TOKEN}", b"RFB 003.008\n"]


def test_no_such_console(state: Path, client: Recorded) -> None:
    Consoles(client, Guests(state / "nothing")).ask(question("serial"))  # type: ignore[arg-type]
    answer = client.wait("q")
    assert (answer.ok, answer.error) == (False, "no such console")


def test_a_guest_that_is_gone(state: Path, client: Recorded) -> None:
    Consoles(client, Guests(state / "nothing")).ask(question())  # type: ignore[arg-type]
    assert not client.wait("q").ok
