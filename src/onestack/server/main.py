"""`python -m onestack.server`: every API on its own port, the control loops, the agents' socket, in one process.

Ports are bound, or taken over from another process of this cloud (sockets.py), before anything else is done, so that
a wrong setting shows at once. SIGTERM: it leaves without anybody noticing (drain.py). SIGINT, or a second SIGTERM: it
ends within seconds. What is left is taken up by another process, or at the next start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from onestack import config
from onestack.core import logs
from onestack.core.cloud import Cloud
from onestack.server import allocator
from onestack.server.drain import Drain, stop_workers
from onestack.server.sockets import AGENT, Listeners, others, own_agent_path

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="onestack server", description="Serve every API of the cloud.")
    parser.add_argument("--state", help="the cloud's state directory")
    parser.add_argument("--port-offset", type=int, help="added to every port")
    parser.add_argument("--hypervisor", help="auto, kvm, qemu or fake")
    parser.add_argument("--number", type=int, default=1, help="which of several servers of this machine: 1, 2 …")
    options = parser.parse_args(arguments)
    try:
        settings = config.load(options.state, port_offset=options.port_offset, hypervisor=options.hypervisor)
        listeners = Listeners(settings, options.number)
    except (config.ConfigError, OSError) as error:
        print(f"onestack server: {error}", file=sys.stderr)
        return 2
    logs.configure(settings)
    allocator.tune()
    # Imported only now: it is most of the start-up time, and a wrong setting or a busy port should show at once.
    from onestack.server import bootstrap, build

    cloud = build.cloud_of(settings)
    try:
        applications = build.services(cloud)
        build.add_operation_workers(cloud)
        bootstrap.run(cloud)
    except config.ConfigError as error:
        print(f"onestack server: {error}", file=sys.stderr)
        return 2
    if settings.identity.admin_token:
        log.warning("identity.admin_token is set: whoever has it is an admin of identity; take it out when you can")
    gc.collect()
    gc.freeze()  # what is alive now stays: the collector need not look at it again
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(serve(cloud, applications, listeners))
    listeners.close()
    return 0


def _loop_factory() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class _Server(uvicorn.Server):
    """Two servers share one loop (TCP and unix), so signals are handled once, outside of both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn(app: Any, **more: Any) -> _Server:
    return _Server(
        uvicorn.Config(
            app, http="httptools", ws="websockets-sansio", lifespan="off", access_log=False, log_config=None,
            server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=3, backlog=1024, **more,
        )
    )  # fmt: skip


async def serve(cloud: Cloud, applications: dict[str, Any], listeners: Listeners) -> None:
    """Serve until a signal, or until a server fails to start."""
    settings = cloud.settings
    drain = Drain()
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="handler") as pool:
        by_port = {settings.port(name): app.app(pool) for name, app in applications.items() if name in config.PORTS}
        servers = [_uvicorn(drain.counted(dispatch(by_port))), _uvicorn(drain.counted(applications[AGENT].app(pool)))]
        # Duplicates: ours stay open, to be handed to a process that starts, until we have ended.
        tcp = [one.dup() for name, one in listeners.sockets.items() if name != AGENT]
        unix = [listeners.sockets[AGENT].dup()]
        if settings.servers > 1:
            own = listeners.own_agent_socket()
            cloud.own_agent_socket = own_agent_path(settings.path("run"), listeners.number).name
            unix.append(own)
        _hear_signals(cloud, servers, drain, listeners)
        for worker in cloud.workers:
            worker.start()
        log.info("serving %s on %s", ", ".join(sorted(applications)), settings.bind)
        try:
            await asyncio.gather(
                servers[0].serve(sockets=tcp), servers[1].serve(sockets=unix), _be_ready(servers, listeners)
            )
        finally:
            await asyncio.to_thread(stop_workers, cloud)
            cloud.db.close()


async def _be_ready(servers: list[_Server], listeners: Listeners) -> None:
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    listeners.ready = True


def _hear_signals(cloud: Cloud, servers: list[_Server], drain: Drain, listeners: Listeners) -> None:
    leaving: list[asyncio.Task[None]] = []

    def end_now() -> None:
        listeners.leaving = True
        cloud.wakeups.close()
        for server in servers:
            server.should_exit = True

    async def leave() -> None:
        listeners.leaving = True
        try:
            await drain.leave(cloud, servers, lambda: others(cloud.settings, listeners.number))
        finally:
            end_now()

    def asked() -> None:
        if leaving:
            end_now()
        else:
            leaving.append(asyncio.create_task(leave()))

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked)
    loop.add_signal_handler(signal.SIGINT, end_now)


def dispatch(by_port: dict[int, Any]) -> Any:
    """One ASGI application for all ports: the port that a connection came in on chooses the service."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        app = by_port.get(scope["server"][1])
        if app is None:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return application


if __name__ == "__main__":
    sys.exit(main())
