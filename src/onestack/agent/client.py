"""HTTP/1.1 to the server, over its unix socket: bearer token, kept connections, retries for as long as it takes."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import random
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0  # seconds between tries
NETWORK_ERRORS = (OSError, http.client.HTTPException)


class Refused(Exception):
    """The server answered with an error that trying again will not change."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the server answered {status}: {text[:500]}")
        self.status = status
        self.text = text


class Away(Exception):
    """The server can't be reached, or is not itself (5xx)."""


class Closed(Exception):
    """The agent is stopping."""


def connect_unix(path: Path, timeout: float | None) -> socket.socket:
    """A stream socket to `path`. The kernel takes only 107 bytes of it, so a longer one goes through its folder."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(timeout)
    try:
        if len(os.fsencode(path)) < 100:
            channel.connect(str(path))
        else:
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
            try:
                channel.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
    except BaseException:
        channel.close()
        raise
    return channel


class _Connection(http.client.HTTPConnection):
    """`closed` is set before the sockets of all connections are shut down, so one made meanwhile is noticed here."""

    def __init__(self, path: Path, timeout: float, closed: threading.Event) -> None:
        super().__init__("onestack", timeout=timeout)
        self._path = path
        self._closed = closed

    def connect(self) -> None:
        self.sock = connect_unix(self._path, self.timeout)
        if self._closed.is_set():
            self.close()
            raise ConnectionAbortedError("the agent is stopping")


class Client:
    """Safe for use from many threads; each request takes an idle connection or makes one."""

    def __init__(self, state: Path) -> None:
        self.socket_path = state / "run" / "agent.sock"
        self._token_file = state / "secrets" / "agent.token"
        self._token = ""
        self._idle: list[_Connection] = []
        self._active: set[_Connection] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends every retry and every request under way."""
        self._closed.set()
        with self._lock:
            connections = [*self._idle, *self._active]
            self._idle = []
        for connection in connections:
            channel = connection.sock
            if channel is not None:
                with contextlib.suppress(OSError):
                    channel.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for an answer

    def headers(self) -> dict[str, str]:
        """The token is read again after a refusal, because it may have been replaced."""
        if not self._token:
            try:
                self._token = self._token_file.read_text().strip()
            except OSError as error:
                raise Away(f"no agent token: {error}") from error
        return {"Authorization": f"Bearer {self._token}"}

    def call(
        self, method: str, path: str, body: Any = None, answer: type[T] | None = None, timeout: float = 60.0
    ) -> T | None:
        """One message, repeated until the server takes it. Raises Refused (4xx) and Closed."""
        data = None if body is None else msgspec.json.encode(body)
        delay = FIRST_DELAY
        complained = False
        while not self._closed.is_set():
            try:
                status, content = self.once(method, path, data, timeout)
                if status == 401:  # the token was replaced, or the server does not know it yet
                    raise Away(f"the server does not accept the token in {self._token_file}")
                if status >= 500:
                    raise Away(f"the server answered {status}: {content[:200]!r}")
                if status >= 400:
                    raise Refused(status, content.decode("utf-8", "replace"))
                return None if answer is None else msgspec.json.decode(content, type=answer)
            except (Away, msgspec.DecodeError) as error:
                if not complained:
                    log.warning("server away, trying on: %s", error)
                    complained = True
            self._closed.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_DELAY)
        raise Closed

    def once(self, method: str, path: str, data: bytes | None = None, timeout: float = 30.0) -> tuple[int, bytes]:
        """One request, tried once: (status, body). Raises Away."""
        with self.response(method, path, data, timeout) as response:
            try:
                return response.status, response.read()
            except NETWORK_ERRORS as error:
                raise Away(f"the answer broke off: {error}") from error

    def upload(self, path: str, chunks: Iterable[bytes], size: int, timeout: float) -> tuple[int, bytes]:
        """PUT of `size` bytes that are never in memory together, tried once: (status, body). `timeout` is for each read
        and write, so also for the answer. Raises Away, and what `chunks` raises."""
        connection = _Connection(self.socket_path, timeout, self._closed)
        with self._lock:
            self._active.add(connection)
        try:
            headers = {**self.headers(), "Content-Type": "application/octet-stream", "Content-Length": str(size)}
            connection.request("PUT", path, body=chunks, headers=headers)
            response = connection.getresponse()
            if response.status == 401:
                self._token = ""
            return response.status, response.read()
        except NETWORK_ERRORS as error:
            raise Away(f"{self.socket_path}: {error or type(error).__name__}") from error
        finally:
            self._drop(connection)

    @contextlib.contextmanager
    def response(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        timeout: float = 30.0,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer as a stream. The connection is kept if it was read to its end. Raises Away."""
        connection, response = self._send(method, path, data, timeout, headers or {})
        used = connection
        try:
            if response.status == 401:
                self._token = ""
            yield response
            if response.isclosed() and connection.sock is not None and not self._closed.is_set():
                with self._lock:
                    if len(self._idle) < 16:
                        self._idle.append(connection)
                        connection = None  # type: ignore[assignment]
        finally:
            with self._lock:
                self._active.discard(used)
            if connection is not None:
                connection.close()

    def _send(
        self, method: str, path: str, data: bytes | None, timeout: float, headers: dict[str, str]
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        headers = {**self.headers(), **headers}
        if data is not None:
            headers["Content-Type"] = "application/json"
        while True:
            with self._lock:
                kept = bool(self._idle)
                connection = self._idle.pop() if kept else _Connection(self.socket_path, timeout, self._closed)
                self._active.add(connection)
            if connection.sock is not None:
                connection.timeout = timeout
                connection.sock.settimeout(timeout)
            try:
                connection.request(method, path, body=data, headers=headers)
                return connection, connection.getresponse()
            except NETWORK_ERRORS as error:
                self._drop(connection)
                if kept and not isinstance(error, TimeoutError) and not self._closed.is_set():
                    continue  # the server had closed it meanwhile; every message may be sent twice
                raise Away(f"{self.socket_path}: {error or type(error).__name__}") from error
            except BaseException:
                self._drop(connection)
                raise

    def _drop(self, connection: _Connection) -> None:
        with self._lock:
            self._active.discard(connection)
        connection.close()
