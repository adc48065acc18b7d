"""A small OVSDB client (RFC 7047): transactions and monitors over JSON-RPC, on unix and TCP sockets.

It keeps no replica: the driver reads the few rows that it needs in one transaction and writes in a second, which
costs less than a millisecond over a unix socket and no memory. Column values are plain data here:

| OVSDB | Python |
|---|---|
| string, integer, real, boolean | str, int, float, bool |
| uuid | Ref |
| set (also an optional value) | frozenset |
| map | dict |

A set of one element looks like the element itself on the wire; who knows the column's type puts that right.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from onestack.network.drivers.base import EngineUnavailable

Operation = dict[str, Any]

_DECODER = json.JSONDecoder()
_CHUNK = 1 << 18

# Errors of a transaction that say nothing about the transaction.
_TROUBLE = frozenset({"I/O error", "resources exhausted", "cluster error", "aborted", "canceled", "not allowed"})


class Ref(str):
    """The uuid of a row."""

    __slots__ = ()


class Refused(Exception):
    """The database refused a transaction as wrong: nothing of it was done."""


class Conflict(Exception):
    """The rows were not as expected: nothing was done, read again."""


def encode(value: Any) -> Any:
    """A Python value as OVSDB writes it."""
    if isinstance(value, Ref):
        return ["uuid", str(value)]
    if isinstance(value, dict):
        return ["map", [[encode(key), encode(item)] for key, item in value.items()]]
    if isinstance(value, frozenset):
        return ["set", [encode(item) for item in sorted(value)]]
    return value


def decode(value: Any) -> Any:
    """An OVSDB value as Python data."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "uuid":
        return Ref(content)
    if kind == "map":
        return {decode(key): decode(item) for key, item in content}
    return frozenset(decode(item) for item in content)


def parse_remotes(text: str) -> list[tuple[int, Any]]:
    """`unix:/path` and `tcp:host:port`, comma separated, as (address family, address). Raises ValueError."""
    remotes: list[tuple[int, Any]] = []
    for remote in text.split(","):
        kind, _, rest = remote.strip().partition(":")
        if kind == "unix" and rest:
            remotes.append((socket.AF_UNIX, rest))
        elif kind == "tcp" and ":" in rest:
            host, _, port = rest.rpartition(":")
            host = host.strip("[]")
            remotes.append((socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port))))
        else:
            raise ValueError(f"{remote!r} is not a database: give unix:PATH or tcp:HOST:PORT")
    return remotes


class Link:
    """One connection: sends requests, takes messages. Not for several threads. Errors are OSError."""

    def __init__(self, remotes: list[tuple[int, Any]], deadline: float) -> None:
        self._ids = itertools.count(1)
        self._buffer = bytearray()
        self._ready: list[dict[str, Any]] = []
        self.socket = self._connect(remotes, deadline)

    @staticmethod
    def _connect(remotes: list[tuple[int, Any]], deadline: float) -> socket.socket:
        problem: OSError | None = None
        for family, address in remotes:
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                connection.connect(address)
                return connection
            except OSError as error:
                connection.close()
                problem = error
        raise problem or OSError("no address")

    def close(self) -> None:
        self.socket.close()

    def send(self, method: str, *params: Any) -> int:
        """Send a request; returns its id."""
        number = next(self._ids)
        self._write({"method": method, "params": list(params), "id": number})
        return number

    def _write(self, message: dict[str, Any]) -> None:
        self.socket.sendall(json.dumps(message, separators=(",", ":")).encode())

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next message that is not a probe; raises TimeoutError at the deadline, OSError when the peer left."""
        while True:
            while self._ready:
                message = self._ready.pop(0)
                if message.get("method") != "echo":
                    return message
                self._write({"result": message["params"], "error": None, "id": message["id"]})
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            self.socket.settimeout(left)
            data = self.socket.recv(_CHUNK)
            if not data:
                raise ConnectionResetError("the database closed the connection")
            self._buffer += data
            # A message can only be complete where a brace ends the data; trying elsewhere would parse a large
            # answer once for each piece of it.
            if data.endswith(b"}"):
                self._split()

    def _split(self) -> None:
        text, at = self._buffer.decode(errors="replace"), 0
        while at < len(text):
            try:
                message, end = _DECODER.raw_decode(text, at)
            except json.JSONDecodeError:
                break
            self._ready.append(message)
            at = end
        if at:
            self._buffer = bytearray(text[at:].encode())

    def wait(self, wake: socket.socket, timeout: float) -> str:
        """Wait for "data", for a byte on `wake` ("wake"), or for the "timeout"."""
        if self._ready:
            return "data"
        readable, _, _ = select.select([self.socket, wake], [], [], timeout)
        if wake in readable:
            return "wake"
        return "data" if readable else "timeout"


class Client:
    """Transactions on one database. Connects when needed, and again after the server was restarted."""

    def __init__(self, remotes: str, database: str, timeout: float = 10.0) -> None:
        self.remotes = parse_remotes(remotes)
        self.where = remotes
        self.database = database
        self.timeout = timeout
        self._lock = threading.Lock()
        self._link: Link | None = None

    def transact(self, operations: list[Operation], timeout: float | None = None) -> list[dict[str, Any]]:
        """Do all the operations or none; returns one result for each.

        Raises Conflict, Refused, or EngineUnavailable (it may have been done or not). Operations must bear being
        sent twice: when a connection turns out to be dead they are sent once more on a new one.
        """
        try:
            results = self._call("transact", [self.database, *operations], timeout or self.timeout)
        except Refused as error:  # of the request itself: the database is not served (any more)
            raise EngineUnavailable(f"{self.where}: {error}") from error
        for at, result in enumerate(results):
            if not result or "error" not in result:
                continue
            what = f"{result['error']}: {result.get('details', '')}"
            if at < len(operations):
                table = operations[at].get("table", "")
                what = f"{what} ({operations[at]['op']} {table})"
            if result["error"] in ("timed out", "duplicate uuid"):
                raise Conflict(what)
            if result["error"] in _TROUBLE:
                raise EngineUnavailable(f"{self.where}: {what}")
            raise Refused(what)
        return results[: len(operations)]

    def _call(self, method: str, params: list[Any], timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        if not self._lock.acquire(timeout=timeout):
            raise EngineUnavailable(f"{self.where}: busy for {timeout:g} s")
        try:
            for fresh in (self._link is None, True):
                try:
                    if self._link is None:
                        self._link = Link(self.remotes, deadline)
                    return self._exchange(self._link, method, params, deadline)
                except OSError as error:
                    self._drop()
                    if fresh or isinstance(error, TimeoutError):
                        raise EngineUnavailable(f"{self.where}: {error}") from error
        finally:
            self._lock.release()
        raise EngineUnavailable(f"{self.where}: the connection was lost")

    @staticmethod
    def _exchange(link: Link, method: str, params: list[Any], deadline: float) -> Any:
        number = link.send(method, *params)
        while True:
            message = link.receive(deadline)
            if message.get("id") != number or "method" in message:
                continue
            if message.get("error"):
                raise Refused(json.dumps(message["error"]))
            return message["result"]

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        with self._lock:
            self._drop()


def probe(remotes: str, database: str, timeout: float = 2.0) -> str:
    """Why a database can't be used, or the empty string. On a connection of its own; never raises OSError."""
    deadline = time.monotonic() + timeout
    try:
        link = Link(parse_remotes(remotes), deadline)
    except OSError as error:
        return f"{remotes}: {error}"
    try:
        served = Client._exchange(link, "list_dbs", [], deadline)
    except (OSError, Refused) as error:
        return f"{remotes}: {error}"
    finally:
        link.close()
    return "" if database in served else f"{remotes}: it does not serve {database}"


def monitor(link: Link, database: str, columns: dict[str, list[str]], deadline: float) -> dict[str, Any]:
    """Start a monitor; returns the rows there are as table updates, further ones come as `update` messages."""
    requests = {table: [{"columns": names}] for table, names in columns.items()}
    updates: dict[str, Any] = Client._exchange(link, "monitor", [database, "onestack", requests], deadline)
    return updates


def row_updates(updates: dict[str, Any], table: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """(uuid, columns as they are now, or None for a deleted row) from the table updates of RFC 7047."""
    for uuid, change in updates.get(table, {}).items():
        new = change.get("new")
        yield uuid, None if new is None else {name: decode(value) for name, value in new.items()}


# --- operations -----------------------------------------------------------------------------------------------


def where_uuid(uuid: str) -> list[Any]:
    return [["_uuid", "==", ["uuid", uuid]]]


def select_rows(table: str, where: list[Any], columns: list[str]) -> Operation:
    return {"op": "select", "table": table, "where": where, "columns": ["_uuid", *columns]}


def insert(table: str, uuid: str, columns: dict[str, Any]) -> Operation:
    """Insert a row under a uuid of our choice: an extension, ovsdb-server(7) 5.2.1, Open vSwitch 2.13 and later."""
    row = {name: encode(value) for name, value in columns.items()}
    return {"op": "insert", "table": table, "uuid": uuid, "row": row}


def expect(table: str, uuid: str, columns: dict[str, Any]) -> Operation:
    """Give up the transaction unless the row exists and these columns are as given."""
    row = {name: encode(value) for name, value in columns.items()}
    return {
        "op": "wait",
        "timeout": 0,
        "table": table,
        "where": where_uuid(uuid),
        "columns": list(columns),
        "until": "==",
        "rows": [row],
    }


def update(table: str, uuid: str, columns: dict[str, Any]) -> Operation:
    row = {name: encode(value) for name, value in columns.items()}
    return {"op": "update", "table": table, "where": where_uuid(uuid), "row": row}


def mutate(table: str, uuid: str, column: str, mutator: str, members: frozenset[Ref]) -> Operation:
    """`mutator`: "insert" or "delete", of members of a set."""
    return {
        "op": "mutate",
        "table": table,
        "where": where_uuid(uuid),
        "mutations": [[column, mutator, encode(members)]],
    }


def delete(table: str, uuid: str) -> Operation:
    return {"op": "delete", "table": table, "where": where_uuid(uuid)}
