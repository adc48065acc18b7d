"""Where a user's WebSocket and an agent's meet.

The proxy expects a stream and asks the agent for it; the agent opens `/v1/streams/{id}`; from then on bytes go both
ways until either side ends. Both live in one event loop, so a message goes straight from one to the other and a slow
side slows the fast one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0  # a side that takes nothing any more is given up


class Side:
    """One WebSocket as ASGI gives it, already accepted."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send

    async def read(self) -> bytes | None:
        """The next message; None when the other end is gone."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        data: bytes | None = message.get("bytes")
        return data if data is not None else (message.get("text") or "").encode()

    async def write(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        # The peer may have left already, or may have stopped reading; then there is nothing to close.
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            log.debug("a console's peer had left", exc_info=True)


class Stream:
    """A stream that was asked for: `joined` once its agent has opened it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.joined: asyncio.Future[Side] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()


class Streams:
    """The streams that are asked for and not yet joined, by id."""

    def __init__(self) -> None:
        self._waiting: dict[str, Stream] = {}

    @asynccontextmanager
    async def expect(self, stream_id: str, host: str) -> AsyncIterator[Stream]:
        """A stream that the agent of `host`, and no other, may open once. It ends with the block."""
        stream = self._waiting[stream_id] = Stream(host)
        try:
            yield stream
        finally:
            self._waiting.pop(stream_id, None)
            stream.joined.cancel()
            stream.ended.set()

    async def serve_agent(self, stream_id: str, hosts: Collection[str], receive: Any, send: Any) -> None:
        """An agent that speaks for `hosts` opened a stream. Stays until the console ends."""
        stream = self._waiting.get(stream_id)
        if stream is None or stream.host not in hosts:
            await send({"type": "websocket.close", "code": 4404, "reason": "No such stream."})
            return
        del self._waiting[stream_id]
        await send({"type": "websocket.accept"})
        if not stream.joined.done():
            stream.joined.set_result(Side(receive, send))
        await stream.ended.wait()


async def pump(user: Side, agent: Side) -> None:
    """Carry messages both ways until either side ends; then both are closed."""
    tasks = [asyncio.create_task(_carry(user, agent)), asyncio.create_task(_carry(agent, user))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(user.close(), agent.close())


async def _carry(source: Side, sink: Side) -> None:
    while (data := await source.read()) is not None:
        await sink.write(data)
