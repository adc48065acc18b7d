"""`python -m onestack.server`: every API on its own port, the control loops, the agents' socket, in one process.

Ports are bound before anything else is done, so that a second server finds out at once. SIGTERM and SIGINT end it:
requests that run are answered, workers finish their step, what is left is taken up at the next start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn

from onestack import config
from onestack.core import logs
from onestack.core.cloud import Cloud

log = logging.getLogger(__name__)

AGENT = "agent"  # the application that is served on the unix socket


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="onestack server", description="Serve every API of the cloud.")
    parser.add_argument("--state", help="the cloud's state directory")
    parser.add_argument("--port-offset", type=int, help="added to every port")
    parser.add_argument("--hypervisor", help="auto, kvm, qemu or fake")
    options = parser.parse_args(arguments)
    try:
        settings = config.load(options.state, port_offset=options.port_offset, hypervisor=options.hypervisor)
        sockets = bind(settings)
    except (config.ConfigError, OSError) as error:
        print(f"onestack server: {error}", file=sys.stderr)
        return 2
    logs.configure(settings)
    # Imported only now: it is most of the start-up time, and a wrong setting or a busy port should show at once.
    from onestack.server import bootstrap, build

    cloud = build.cloud_of(settings)
    try:
        applications = build.services(cloud)
    except config.ConfigError as error:
        print(f"onestack server: {error}", file=sys.stderr)
        return 2
    if settings.identity.admin_token:
        log.warning("identity.admin_token is set: whoever has it is an admin of identity; take it out when you can")
    build.add_operation_workers(cloud)
    bootstrap.run(cloud)
    gc.collect()
    gc.freeze()  # what is alive now stays: the collector need not look at it again
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(serve(cloud, applications, sockets))
    return 0


def _loop_factory() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def bind(settings: config.Settings) -> dict[int, socket.socket]:
    """A listening socket for each port. Raises OSError that names the port."""
    sockets: dict[int, socket.socket] = {}
    for service in config.PORTS:
        port = settings.port(service)
        family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.bind, port))
        except OSError as error:
            for opened in sockets.values():
                opened.close()
            why = "is already in use" if error.errno == errno.EADDRINUSE else f"can't be opened: {error.strerror}"
            raise OSError(f"port {port} ({service}) on {settings.bind} {why}") from error
        listener.listen(1024)
        listener.set_inheritable(False)
        sockets[port] = listener
    return sockets


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


async def serve(cloud: Cloud, applications: dict[str, Any], sockets: dict[int, socket.socket]) -> None:
    """Serve until a signal, or until a server fails to start."""
    settings = cloud.settings
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="handler") as pool:
        by_port = {settings.port(name): app.app(pool) for name, app in applications.items() if name in config.PORTS}
        uds = settings.path("run", "agent.sock")
        uds.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(uds)
        servers = [_uvicorn(dispatch(by_port)), _uvicorn(applications[AGENT].app(pool), uds=str(uds))]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _leave, cloud, servers)
        for worker in cloud.workers:
            worker.start()
        log.info("serving %s on %s", ", ".join(sorted(applications)), settings.bind)
        try:
            await asyncio.gather(servers[0].serve(sockets=list(sockets.values())), servers[1].serve())
        finally:
            for worker in reversed(cloud.workers):
                await asyncio.to_thread(worker.stop)
            cloud.db.close()


def _leave(cloud: Cloud, servers: list[_Server]) -> None:
    cloud.wakeups.close()  # agents' long polls end now instead of in half a minute
    for server in servers:
        server.should_exit = True


def _remove_stale(uds: Path) -> None:
    """The socket file of a server that was killed; one that answers is left alone and makes the start fail."""
    if uds.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(uds)) != 0:
                uds.unlink()


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
