"""Handing the copy of a root disk to the server, for an operation of wire.SNAPSHOTS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from onestack.agent import names
from onestack.agent.client import Away, Client
from onestack.agent.drivers.base import StepFailed, Superseded, Unavailable
from onestack.wire import ImageAnswer, ImageOffer

CHUNK = 1024 * 1024
# The server hashes, inspects and stores the whole image before it answers.
ANSWER_SECONDS = 3600.0
MOST_REMEMBERED = 10_000
# The operation is over, or (once its data is sent) the image has ended: what is asked next says so.
OVER, OVER_MEANWHILE = frozenset((401, 404)), frozenset((401, 404, 409, 410))


class Delivery:
    """Safe for use from many threads. What it remembers may be lost: the server knows it as well."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._over: dict[str, None] = {}
        self._lock = threading.Lock()

    def over(self, operation_id: str) -> bool:
        """Whether the server is known to want no copy for this operation (any more)."""
        return operation_id in self._over

    def wanted(self, operation_id: str, size: int | None = None) -> bool:
        """Ask before a copy is made, and with its size before it is sent. Raises StepFailed, Unavailable."""
        offer = msgspec.json.encode(ImageOffer(size=size))
        content = self._answered(lambda: self._client.once("POST", _path(operation_id), offer), OVER)
        try:
            answer = msgspec.json.decode(content, type=ImageAnswer)
        except msgspec.DecodeError as error:
            raise Unavailable(f"The server's answer cannot be read ({error}).") from error
        if not answer.wanted:
            self._settle(operation_id)
        return answer.wanted

    def send(self, operation_id: str, file: Path, cancelled: Callable[[], bool]) -> None:
        """The image has the file's bytes when this returns. Raises StepFailed, Unavailable, Superseded."""
        size = file.stat().st_size
        if not self.wanted(operation_id, size):
            return
        path = _path(operation_id)
        chunks = _chunks(file, cancelled)
        self._answered(lambda: self._client.upload(path, chunks, size, ANSWER_SECONDS), OVER_MEANWHILE)
        self._settle(operation_id)

    def _settle(self, operation_id: str) -> None:
        with self._lock:
            self._over[operation_id] = None
            while len(self._over) > MOST_REMEMBERED:
                self._over.pop(next(iter(self._over)))

    def _answered(self, ask: Callable[[], tuple[int, bytes]], again: frozenset[int]) -> bytes:
        """What the server says. Raises Unavailable for the statuses `again`."""
        try:
            status, content = ask()
        except Away as error:
            raise Unavailable(f"The image cannot be sent to the server now ({error}).") from error
        if status < 300:
            return content
        if status >= 500 or status in again:
            raise Unavailable(f"The server does not take the image now (it answers {status}).")
        words = _words(content)
        raise StepFailed(f"The image was refused: {words}", f"status {status}")


def _path(operation_id: str) -> str:
    return f"/v1/operations/{names.checked(operation_id)}/image"


def _words(content: bytes) -> str:
    """What an error's body says for people."""
    try:
        found: Any = msgspec.json.decode(content)["error"]["message"]
        return str(found)
    except (msgspec.DecodeError, KeyError, TypeError):
        return content[:500].decode("utf-8", "replace")


def _chunks(file: Path, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            if cancelled():
                raise Superseded
            yield chunk
