"""The OVSDB client: values, addresses, and servers that misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.network.drivers.base import EngineUnavailable
from onestack.network.drivers.ovn import ovsdb
from onestack.network.drivers.ovn.ovsdb import Ref

atoms = st.one_of(st.text(), st.integers(), st.booleans(), st.uuids().map(Ref))
columns = st.one_of(
    atoms,
    st.frozensets(st.text()).filter(lambda value: len(value) != 1),
    st.frozensets(st.integers()),
    st.dictionaries(st.text(), st.text()),
    st.frozensets(st.uuids().map(Ref)),
)


@given(columns)
def test_values_survive_the_wire(value: Any) -> None:
    wire = json.loads(json.dumps(ovsdb.encode(value)))
    assert ovsdb.decode(wire) == value
    assert isinstance(ovsdb.decode(wire), type(value))


def test_remotes() -> None:
    assert ovsdb.parse_remotes("unix:/run/nb.sock,tcp:[::1]:6641,tcp:10.0.0.1:6641") == [
        (socket.AF_UNIX, "/run/nb.sock"),
        (socket.AF_INET6, ("::1", 6641)),
        (socket.AF_INET, ("10.0.0.1", 6641)),
    ]


@pytest.mark.parametrize("text", ["", "unix:", "ssl:host:6641", "tcp:host", "tcp:host:x", "/run/nb.sock"])
def test_remotes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ovsdb.parse_remotes(text)


def split(text: str) -> Iterator[dict[str, Any]]:
    while text:
        message, end = json.JSONDecoder().raw_decode(text)
        yield message
        text = text[end:]


Serve = Callable[[Callable[[socket.socket, dict[str, Any]], None]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that gives each request to a function; returns its remote."""
    listener = socket.socket(socket.AF_UNIX)

    def start(handle: Callable[[socket.socket, dict[str, Any]], None]) -> str:
        listener.bind(str(tmp_path / "db"))
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while data := connection.recv(1 << 20):
                        try:
                            for request in split(data.decode()):
                                handle(connection, request)
                        except ConnectionAbortedError:
                            break

        threading.Thread(target=accept, daemon=True).start()
        return f"unix:{tmp_path}/db"

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def answer(connection: socket.socket, request: dict[str, Any], result: Any, error: Any = None) -> None:
    connection.sendall(json.dumps({"id": request["id"], "result": result, "error": error}).encode())


def test_answers_in_pieces_with_probes_and_notices_between(serve: Serve) -> None:
    echoes = []

    def handle(connection: socket.socket, request: dict[str, Any]) -> None:
        if request.get("result") == ["hello"]:
            echoes.append(request["id"])
            return
        words = [
            {"method": "echo", "params": ["hello"], "id": "echo"},
            {"method": "update", "params": [], "id": None},
            {"id": request["id"], "result": [{"rows": [{"name": "}{\u00e9" * 1000}]}], "error": None},
        ]
        data = "".join(json.dumps(word, ensure_ascii=False) for word in words).encode()
        for at in range(0, len(data), 777):
            connection.sendall(data[at : at + 777])

    client = ovsdb.Client(serve(handle), "db", timeout=5)
    for _ in range(2):
        assert client.transact([{"op": "select"}])[0]["rows"][0]["name"] == "}{\u00e9" * 1000
    client.close()
    assert echoes


def test_a_connection_that_died_meanwhile_is_made_again(serve: Serve) -> None:
    counts = []

    def handle(connection: socket.socket, request: dict[str, Any]) -> None:
        counts.append(1)
        if len(counts) == 2:
            raise ConnectionAbortedError
        answer(connection, request, [{}])

    client = ovsdb.Client(serve(handle), "db", timeout=5)
    client.transact([{"op": "select"}])
    client.transact([{"op": "select"}])
    client.close()
    assert len(counts) == 3


def test_no_answer_ends_in_time_and_the_late_one_is_not_taken_for_another(serve: Serve) -> None:
    client = ovsdb.Client(serve(lambda connection, request: None), "db", timeout=0.1)
    with pytest.raises(EngineUnavailable, match=r"no answer|timed out"):
        client.transact([{"op": "select"}])
    assert client._link is None


@pytest.mark.parametrize(
    ("result", "error", "expected"),
    [
        (None, {"error": "unknown database"}, EngineUnavailable),
        ([{"error": "I/O error", "details": "disk full"}], None, EngineUnavailable),
        ([None, {"error": "referential integrity violation"}], None, ovsdb.Refused),
        ([{"error": "constraint violation"}], None, ovsdb.Refused),
        ([{"error": "timed out"}], None, ovsdb.Conflict),
        ([{"error": "duplicate uuid"}], None, ovsdb.Conflict),
    ],
)
def test_errors(serve: Serve, result: Any, error: Any, expected: type[Exception]) -> None:
    client = ovsdb.Client(
        serve(lambda connection, request: answer(connection, request, result, error)), "db", timeout=5
    )
    with pytest.raises(expected):
        client.transact([{"op": "wait", "table": "t"}])
    client.close()


def test_a_database_that_is_not_there() -> None:
    assert "/nonexistent" in ovsdb.probe("unix:/nonexistent/db", "OVN_Northbound")
