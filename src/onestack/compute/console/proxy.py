"""The console proxy at 6080: noVNC's files, and WebSockets that are joined to a guest's console.

    http://host:6080/vnc_lite.html?path=%3Ftoken%3D<token>     the page (noVNC, from Debian's package)
    ws://host:6080/?token=<token>                              the console itself; "token" may also be a cookie

A token that is unknown or expired, and a page from a foreign origin, is refused with 403 before anything is opened.
"""

from __future__ import annotations

import asyncio
import http.cookies
import logging
import mimetypes
import urllib.parse
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from onestack.compute.console import tokens
from onestack.compute.console.streams import Side, Streams, pump
from onestack.core.cloud import Cloud

log = logging.getLogger(__name__)

# Debian's package as installed, or its files as `onestack up` unpacks them.
NOVNC = (Path("/usr/share/novnc"), Path("/opt/onestack/novnc/usr/share/novnc"))
PAGE = "vnc_lite.html"
ALIASES = {"": PAGE, "vnc_auto.html": PAGE}  # the page's name in old URLs
JOIN_SECONDS = 10.0

Ask = Callable[..., Awaitable[Any]]


class ConsoleProxy:
    """`ask(cloud, host, kind, server_id, args)` puts a Question to a host's agent and returns its Answer."""

    def __init__(self, cloud: Cloud, streams: Streams, ask: Ask) -> None:
        self.cloud = cloud
        self.streams = streams
        self.ask = ask
        self._pool: ThreadPoolExecutor

    def app(self, pool: ThreadPoolExecutor) -> Any:
        self._pool = pool
        return self._serve

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._console(scope, receive, send)
        elif scope["type"] == "http":
            status, headers, body = await self._run(page, scope["method"], scope["path"])
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def _console(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # websocket.connect
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        token = _token(scope, headers)
        console = None
        if token and same_origin(headers):
            console = await self._run(self._redeem, token)
        if console is None:
            await send({"type": "websocket.close", "code": 4403, "reason": "The token is invalid or has expired."})
            return
        stream_id = self.cloud.ids.uuid()
        joined = self.streams.expect(stream_id, console.host)
        try:
            args = {"stream_id": stream_id, "type": console.stream_type}
            question = asyncio.create_task(self.ask(self.cloud, console.host, "console_stream", console.server_id, args))
            await asyncio.wait({joined, question}, timeout=JOIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not joined.done() and question.done():
                # The answer may overtake the stream by a moment; a refusal is final.
                question.result()
            agent, ended = await asyncio.wait_for(joined, JOIN_SECONDS)
        except Exception as error:
            log.info("console of %s could not be opened: %s", console.server_id, error)
            await send({"type": "websocket.close", "code": 1011, "reason": "The console could not be opened."})
            return
        finally:
            self.streams.forget(stream_id)
        try:
            accept = {"type": "websocket.accept", "headers": [(b"server", b"WebSockify")]}
            if "binary" in scope.get("subprotocols", ()):
                accept["subprotocol"] = "binary"
            await send(accept)
            await pump(Side(receive, send), agent)
        finally:
            ended.set()

    def _redeem(self, token: str) -> tokens.ConsoleToken | None:
        with self.cloud.db.read() as session:
            return tokens.redeem(session, self.cloud, token)


def _token(scope: Any, headers: dict[str, str]) -> str | None:
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    if query.get("token"):
        return query["token"][0]
    # noVNC's own `path` parameter, when a client passes the page's query on as it is
    inner = query.get("path")
    if inner and "token=" in inner[0]:
        return urllib.parse.parse_qs(inner[0].lstrip("?/")).get("token", [None])[0]
    cookies = http.cookies.SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except http.cookies.CookieError:
        return None
    return cookies["token"].value if "token" in cookies else None


def same_origin(headers: dict[str, str]) -> bool:
    """A browser says which page opens the socket; it must be ours. Other clients send no Origin."""
    origin = headers.get("origin")
    if not origin:
        return True
    return urllib.parse.urlsplit(origin).hostname == urllib.parse.urlsplit(f"//{headers.get('host', '')}").hostname


def page(method: str, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One of noVNC's files: status, headers, body."""
    if method not in ("GET", "HEAD"):
        return _text(405, "Only GET is possible here.")
    root = next((folder for folder in NOVNC if folder.is_dir()), None)
    if root is None:
        return _text(503, "noVNC is not installed on this machine. Run: onestack up")
    name = path.lstrip("/")
    name = ALIASES.get(name, name)
    file = (root / name).resolve()
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        return _text(404, "There is no such file.")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if file.suffix == ".js":
        kind = "text/javascript"
    body = file.read_bytes()
    return 200, [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())], body


def _text(status: int, message: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    body = message.encode() + b"\n"
    return status, [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())], body
