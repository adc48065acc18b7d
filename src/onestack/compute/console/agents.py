"""The agents' socket: its HTTP routes, and beside them `/v1/streams/{id}`, where consoles are opened."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack.compute.agentapi.auth import agent_by, hosts_of
from onestack.compute.console.streams import Streams
from onestack.core.errors import Unauthorized
from onestack.core.http import Service

_STREAMS = "/v1/streams/"


class AgentSocket:
    """An application like core.http.Service: requests are its own, WebSockets are consoles' streams."""

    def __init__(self, service: Service, streams: Streams) -> None:
        self.service = service
        self._streams = streams

    def app(self, pool: ThreadPoolExecutor) -> Any:
        requests = self.service.app(pool)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                await requests(scope, receive, send)
                return
            await receive()  # websocket.connect
            path = scope["path"]
            headers = dict(scope["headers"])
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            try:
                hosts = await asyncio.get_running_loop().run_in_executor(pool, self._hosts, authorization)
            except Unauthorized:
                hosts = []
            if not hosts or not path.startswith(_STREAMS):
                await send({"type": "websocket.close", "code": 4401, "reason": "The agent's token is not known here."})
                return
            await self._streams.serve_agent(path.removeprefix(_STREAMS), hosts, receive, send)

        return serve

    def _hosts(self, authorization: str) -> list[str]:
        with self.service.cloud.db.read() as session:
            return hosts_of(session, agent_by(session, authorization))
