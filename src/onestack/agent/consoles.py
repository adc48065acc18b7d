"""Answers what users wait for: console output, console streams, diagnostics. Each question has a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from onestack.agent.client import Away, Client, Closed, Refused, connect_unix
from onestack.agent.drivers.base import Driver, NoConsole, StepFailed, Unavailable
from onestack.agent.names import BadName, checked
from onestack.wire import Answer, Question

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

log = logging.getLogger(__name__)

_OWN_SOCKET = re.compile(r"agent-\d+\.sock")
MOST_AT_ONCE = 64  # questions and open streams together
REMEMBERED = 1000  # a question may come again until its answer has arrived
CHUNK = 64 * 1024


class Consoles:
    def __init__(self, client: Client, driver: Driver) -> None:
        self._client = client
        self._driver = driver
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)

    def ask(self, question: Question) -> None:
        """Begin to answer; called by one thread only."""
        if question.id in self._seen:
            return
        self._seen[question.id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        threading.Thread(target=self._answer, args=(question,), name=f"question-{question.kind}", daemon=True).start()

    def _answer(self, question: Question) -> None:
        if not self._slots.acquire(blocking=False):
            self._send(question, Answer(ok=False, error="the host has too many consoles open"))
            return
        try:
            checked(question.server_id)
            if question.kind == "console_stream":
                self._stream(question)
                return
            self._send(question, Answer(ok=True, body=self._body(question)))
        except (BadName, NoConsole, StepFailed, Unavailable, Away) as error:
            self._send(question, Answer(ok=False, error=str(error)))
        except Exception as error:
            log.exception("question %s: unexpected error", question.kind)
            self._send(question, Answer(ok=False, error=f"unexpected error on the host: {error}"))
        finally:
            self._slots.release()

    def _body(self, question: Question) -> dict[str, Any]:
        if question.kind == "console_output":
            length = question.args.get("length") or 0
            return {"output": self._driver.console_output(question.server_id, int(length))}
        if question.kind == "diagnostics":
            return self._driver.diagnostics(question.server_id)
        raise NoConsole(f"this agent does not know the question {question.kind!r}")

    def _send(self, question: Question, answer: Answer) -> None:
        try:
            self._client.call("POST", f"/v1/answers/{quote(question.id, safe='')}", answer)
        except Refused as refusal:
            log.debug("question %s: nobody waits for the answer: %s", question.id, refusal)
        except Closed:
            return

    def _stream(self, question: Question) -> None:
        """Open the guest's console and the server's stream, answer, then carry bytes until one side ends."""
        stream_id = str(question.args.get("stream_id", ""))
        kind = str(question.args.get("type", "vnc"))
        guest = _connect(self._driver.console_socket(question.server_id, kind))
        with guest:
            stream = self._open(stream_id, str(question.args.get("socket", "")))
            with stream:
                self._send(question, Answer(ok=True))
                pump(guest, stream)

    def _open(self, stream_id: str, name: str) -> ClientConnection:
        """The WebSocket to the server; to the one of several that answers at `name`. Raises Away."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        try:
            shared = self._client.socket_path
            channel = connect_unix(shared.with_name(name) if _OWN_SOCKET.fullmatch(name) else shared, 10.0)
            return connect(
                f"ws://onestack/v1/streams/{quote(stream_id, safe='')}",
                sock=channel,
                additional_headers=self._client.headers(),
                user_agent_header=None,
                compression=None,
                max_size=16 * 1024 * 1024,
                proxy=None,
            )
        except (OSError, WebSocketException) as error:
            raise Away(f"the server does not take the console's stream: {error}") from error


def _connect(path: str) -> socket.socket:
    try:
        guest = connect_unix(Path(path), 10.0)
    except OSError as error:
        raise NoConsole(f"the guest's console can't be opened: {error}") from error
    guest.settimeout(None)
    return guest


def pump(guest: socket.socket, stream: ClientConnection) -> None:
    """Bytes both ways until either side ends; then both are closed."""
    from websockets.exceptions import ConnectionClosed

    def to_server() -> None:
        try:
            while data := guest.recv(CHUNK):
                stream.send(data)
        except (OSError, ConnectionClosed):
            pass
        finally:
            stream.close()

    sender = threading.Thread(target=to_server, name="console", daemon=True)
    sender.start()
    try:
        for message in stream:
            guest.sendall(message.encode() if isinstance(message, str) else message)
    except (OSError, ConnectionClosed):
        pass
    finally:
        with contextlib.suppress(OSError):
            guest.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        sender.join(5.0)
