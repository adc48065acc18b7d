"""How a server leaves without anybody noticing: SIGTERM, when others accept in its place.

It stops accepting, and answers what it has. Each answer says `Connection: close`, for some seconds, so that a client
which keeps its connection learns of it from an answer and not from a reset. Uploads and downloads are finished, long
polls end, workers stop after their step. A server that is the last one has nobody to hand clients to: it finishes
what runs and goes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from onestack.core.cloud import Cloud

log = logging.getLogger(__name__)

KEPT_SECONDS = 5.0  # idle connections are kept so long, for an answer to close them
LONGEST = 600.0  # what runs is broken off after that, where another server has taken over
LONGEST_ALONE = 10.0  # where nobody has


class Drain:
    """Counts the requests that run, and ends them well."""

    def __init__(self) -> None:
        self.leaving = False
        self.running = 0

    def counted(self, app: Any) -> Any:
        """`app`, with its requests counted and its connections closed by the answer once we leave."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def say(message: Any) -> None:
                if self.leaving and message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
                await send(message)

            self.running += 1
            try:
                await app(scope, receive, say)
            finally:
                self.running -= 1

        return application

    async def leave(self, cloud: Cloud, servers: list[Any], others: Callable[[], list[int]]) -> None:
        """Returns when nothing runs any more, or it took too long; the servers may then be told to exit."""
        self.leaving = True
        stand_ins = await asyncio.to_thread(others)
        log.info("leaving; others that accept: %s", stand_ins or "none")
        for server in servers:
            stop_accepting(server)
        cloud.wakeups.close()  # agents' long polls end now instead of in half a minute
        stopping = asyncio.create_task(asyncio.to_thread(stop_workers, cloud))
        begun = time.monotonic()
        kept_until = begun + (KEPT_SECONDS if stand_ins else 0.0)
        until = begun + (LONGEST if stand_ins else LONGEST_ALONE)
        while (now := time.monotonic()) < until:
            kept = any(server.server_state.connections for server in servers)
            if not self.running and (not kept or now >= kept_until):
                break
            await asyncio.sleep(0.05)
        await stopping


def stop_accepting(server: uvicorn.Server) -> None:
    for listener in getattr(server, "servers", ()):
        listener.close()


def stop_workers(cloud: Cloud) -> None:
    """Each finishes its step. Again: nothing."""
    while cloud.workers:
        cloud.workers.pop().stop()
