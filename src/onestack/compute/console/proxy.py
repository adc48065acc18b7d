"""The console proxy at 6080: noVNC's files, and WebSockets that are joined to a guest's console.

    http://host:6080/vnc_lite.html?path=%3Ftoken%3D<token>     the page (noVNC, from Debian's package)
    ws://host:6080/?token=<token>                              the console itself; "token" may also be a cookie

A token that is unknown or expired, and a page from a foreign origin, is refused with 403 before anything is opened.
"""

from __future__ import annotations

import asyncio
import http.cookies
import logging
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack.compute import questions
from onestack.compute.console import tokens
from onestack.compute.console.pages import page
from onestack.compute.console.streams import Side, Stream, Streams, pump
from onestack.core.cloud import Cloud
from onestack.core.errors import Fault

log = logging.getLogger(__name__)

JOIN_SECONDS = 10.0

# (asker, host, server id, kind, args) → the answer's body; it raises Fault.
Ask = Callable[..., Awaitable[dict[str, Any]]]


class ConsoleProxy:
    """An application like core.http.Service: `app(pool)` is for ASGI."""

    def __init__(self, cloud: Cloud, streams: Streams, ask: Ask = questions.ask) -> None:
        self.cloud = cloud
        self._streams = streams
        self._ask = ask
        self._pool: ThreadPoolExecutor

    def app(self, pool: ThreadPoolExecutor) -> Any:
        self._pool = pool

        # A plain function: uvicorn takes a bound method for an application of an older kind.
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await self._serve(scope, receive, send)

        return serve

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call blocking code in the handlers' pool; with `cloud`, what questions.ask needs."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            await self._console(scope, receive, send)
        elif scope["type"] == "http":
            status, headers, body = await self.run(page, scope["method"], scope["path"])
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _console(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        token = token_of(scope["query_string"], headers)
        scope["query_string"] = b""  # the HTTP server logs addresses, and this one holds a secret
        console = None
        if token and same_origin(headers):
            console = await self.run(self._redeem, token)
        if console is None:
            await send({"type": "websocket.close", "code": 4403, "reason": "The token is invalid or has expired."})
            return
        stream_id = self.cloud.ids.uuid()
        async with self._streams.expect(stream_id, console.host) as stream:
            try:
                agent = await self._joined(stream_id, stream, console)
            except (Fault, TimeoutError) as error:
                log.info("console of %s could not be opened: %s", console.server_id, str(error) or "too slow")
                await send({"type": "websocket.close", "code": 1011, "reason": "The console could not be opened."})
                return
            accept: dict[str, Any] = {"type": "websocket.accept", "headers": [(b"server", b"WebSockify")]}
            if "binary" in scope.get("subprotocols", ()):
                accept["subprotocol"] = "binary"
            try:
                await send(accept)
            except BaseException:
                await agent.close()
                raise
            await pump(Side(receive, send), agent)

    async def _joined(self, stream_id: str, stream: Stream, console: tokens.ConsoleToken) -> Side:
        """The agent's side of the stream. Raises Fault when the host refuses, TimeoutError when it is too slow."""
        args = {"stream_id": stream_id, "type": console.stream_type}
        if self.cloud.own_agent_socket:
            # The stream must come to this process: the one that has the user's WebSocket.
            args["socket"] = self.cloud.own_agent_socket
        question = asyncio.ensure_future(self._ask(self, console.host, console.server_id, "console_stream", args))
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                both: set[asyncio.Future[Any]] = {stream.joined, question}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not stream.joined.done():
                    # The answer may overtake the stream by a moment; a refusal is final.
                    await question
                return await stream.joined
        finally:
            question.cancel()
            await asyncio.gather(question, return_exceptions=True)

    def _redeem(self, token: str) -> tokens.ConsoleToken | None:
        with self.cloud.db.read() as session:
            return tokens.redeem(session, self.cloud, token)


def token_of(query_string: bytes, headers: Mapping[str, str]) -> str | None:
    """The token of a console's address: its own parameter, noVNC's `path`, or a cookie."""
    query = urllib.parse.parse_qs(query_string.decode("latin-1"))
    if query.get("token"):
        return query["token"][-1]
    inner = query.get("path")
    if inner and "token=" in inner[-1]:
        return urllib.parse.parse_qs(inner[-1].rpartition("?")[2]).get("token", [None])[-1]
    cookies = http.cookies.SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except http.cookies.CookieError:
        return None
    return cookies["token"].value if "token" in cookies else None


def same_origin(headers: Mapping[str, str]) -> bool:
    """A browser says which page opens the socket; it must be ours. Other clients send no Origin."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        page_at = urllib.parse.urlsplit(origin)
        here = urllib.parse.urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return page_at.scheme in ("http", "https") and bool(here) and page_at.hostname == here
