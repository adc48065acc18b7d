"""Where a user's WebSocket and an agent's meet.

The proxy opens a stream and asks the agent for it; the agent opens `/v1/streams/{id}`; from then on bytes go both
ways until either side ends. Both live in one event loop, so a message goes straight from one to the other and a slow side slows the fast one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)

Scope = dict[str, Any]


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
        data = message.get("bytes")
        return data if data is not None else (message.get("text") or "").encode()

    async def write(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        # The peer may have left already; then there is nothing to close.
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            log.debug("a console's peer had left", exc_info=True)


class Streams:
    """The streams that are asked for and not yet joined, by id."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, asyncio.Future[tuple[Side, asyncio.Event]]]] = {}

    def expect(self, stream_id: str, host: str) -> asyncio.Future[tuple[Side, asyncio.Event]]:
        """A stream that the agent of `host`, and no other, may open."""
        future: asyncio.Future[tuple[Side, asyncio.Event]] = asyncio.get_running_loop().create_future()
        self._waiting[stream_id] = (host, future)
        return future

    def forget(self, stream_id: str) -> None:
        self._waiting.pop(stream_id, None)

    async def serve_agent(self, stream_id: str, hosts: set[str], receive: Any, send: Any) -> None:
        """An agent that speaks for `hosts` opened a stream. Stays until the console ends."""
        await receive()  # websocket.connect
        waiting = self._waiting.get(stream_id)
        if waiting is None or waiting[0] not in hosts or waiting[1].done():
            await send({"type": "websocket.close", "code": 4404, "reason": "No such stream."})
            return
        del self._waiting[stream_id]
        await send({"type": "websocket.accept"})
        ended = asyncio.Event()
        waiting[1].set_result((Side(receive, send), ended))
        await ended.wait()


async def pump(user: Side, agent: Side) -> None:
    """Carry messages both ways until either side ends."""
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
