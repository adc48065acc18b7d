"""Requests as a server hands them to an application: raw paths and headers, bodies in pieces, clients that go away.

Nothing is tidied on the way, so that what an HTTP parser lets through can be sent, and a request that isn't answered
in time fails the test instead of stopping it.
"""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 30.0  # seconds; nothing that is tested takes longer than a few


@dataclass
class Answer:
    """Headers by their names in lower case; of a header that is sent twice, the last."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Sent:
    """A request. `target` is ASCII, percent-encoded, with its query; `gone`: the client leaves after the last chunk
    instead of ending the body."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    gone: bool = False


@dataclass
class Caller:
    """Calls one application, on a loop that is kept."""

    app: Any
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def send(self, sent: Sent) -> Answer:
        return self.loop.run_until_complete(asyncio.wait_for(_call(self.app, sent), PATIENCE))

    def request(
        self,
        method: str,
        target: str,
        token: str | None = None,
        *,
        json_body: Any = None,
        body: bytes | Iterable[bytes] = b"",
        headers: dict[str, str] | None = None,
        gone: bool = False,
    ) -> Answer:
        """One request, with a JSON body or bytes; the length is announced when the body is one piece."""
        found = dict(headers or {})
        if token is not None:
            found["X-Auth-Token"] = token
        if json_body is not None:
            body = json.dumps(json_body).encode()
            found.setdefault("Content-Type", "application/json")
        chunks = (body,) if isinstance(body, bytes) else tuple(body)
        if isinstance(body, bytes) and body:
            found.setdefault("Content-Length", str(len(body)))
        return self.send(Sent(method, target, tuple(found.items()), chunks, gone))


async def _call(app: Any, sent: Sent) -> Answer:
    path, _, query = sent.target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": sent.method, "scheme": "http", "path": urllib.parse.unquote(path), "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"), "root_path": "", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 40000),
        "headers": [(b"host", b"127.0.0.1"), *((k.lower().encode(), v.encode("latin-1")) for k, v in sent.headers)],
    }  # fmt: skip
    waiting = list(sent.chunks) or [b""]
    answer = Answer(0, {}, b"")

    async def receive() -> dict[str, Any]:
        if waiting:
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or sent.gone}
        if not sent.gone:
            await asyncio.Event().wait()  # the client stays until it has its answer
        return {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            answer.status = event["status"]
            answer.headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in event["headers"]}
        elif event["type"] == "http.response.body":
            answer.body += event.get("body", b"")

    await app(scope, receive, send)
    return answer
