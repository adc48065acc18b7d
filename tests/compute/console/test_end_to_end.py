"""A console through everything: HTTP server, proxy, question, the agent's own code, a socket of the guest."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from onestack.agent.client import Client, Closed
from onestack.agent.consoles import Consoles
from onestack.compute.console import tokens
from onestack.core.clock import Clock
from onestack.wire import Work
from tests.compute.conftest import TOKEN


class Guests:
    """A driver that has consoles and nothing else."""

    def __init__(self, path):
        self.path = path

    def console_socket(self, server_id, kind):
        return str(self.path)


def configured(app, **more):
    config = uvicorn.Config(
        app, ws="websockets-sansio", lifespan="off", log_config=None, access_log=False, server_header=False, **more
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    return server


@pytest.fixture
def cloud(cloud):
    """In real time, because the agent's code is."""
    cloud.clock = Clock()
    return cloud


@pytest.fixture
def served(cloud, built):
    """The proxy on a port of its own, and the agents' socket: the proxy's port."""
    listener = socket.create_server(("127.0.0.1", 0))
    servers, started = [], threading.Event()

    async def serve():
        with ThreadPoolExecutor(8) as pool:
            servers.append(configured(built["console"].app(pool)))
            servers.append(configured(built["agent"].app(pool), uds=str(cloud.settings.path("run", "agent.sock"))))
            tasks = [
                asyncio.create_task(servers[0].serve(sockets=[listener])), asyncio.create_task(servers[1].serve()),
            ]  # fmt: skip
            while not all(server.started for server in servers):
                await asyncio.sleep(0.01)
            started.set()
            await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    yield listener.getsockname()[1]
    for server in servers:
        server.should_exit = True
    thread.join(30)


@pytest.fixture
def agent(cloud, nova, served):
    """`agent(path)`: the agent's code, whose guests' consoles are the socket `path`."""
    secrets = cloud.settings.path("secrets")
    secrets.mkdir(exist_ok=True)
    (secrets / "agent.token").write_text(TOKEN)
    client = Client(cloud.settings.root)
    threads = []

    def run(path):
        consoles = Consoles(client, Guests(path))

        def work():
            revision = 0
            with contextlib.suppress(Closed):
                while True:
                    found = client.call("GET", f"/v1/work?after={revision}&wait=5", None, Work)
                    revision = found.revision
                    for question in found.questions:
                        consoles.ask(question)

        threads.append(threading.Thread(target=work, daemon=True))
        threads[0].start()

    yield run
    client.close()
    for thread in threads:
        thread.join(30)


def opened(cloud, port, server_id, kind="novnc", **more):
    with cloud.db.write() as session:
        token = tokens.issue(session, cloud, server_id=server_id, host="host1", console_type=kind)
    return connect(f"ws://127.0.0.1:{port}/?token={token}", subprotocols=["binary"], compression=None, **more)


def test_a_console_from_socket_to_socket(cloud, nova, served, agent, tmp_path, caplog):
    server_id = nova.boot()
    path = tmp_path / "vnc.sock"
    guest = socket.socket(socket.AF_UNIX)
    guest.bind(str(path))
    guest.listen()
    agent(path)
    caplog.set_level("INFO")
    with opened(cloud, served, server_id) as user:
        assert user.subprotocol == "binary"
        assert user.response.headers["Server"] == "WebSockify"
        inside, _ = guest.accept()
        with inside:
            inside.sendall(b"RFB 003.008\n")
            assert user.recv(timeout=10) == b"RFB 003.008\n"
            large = bytes(range(256)) * 8192
            sender = threading.Thread(target=user.send, args=(large,))
            sender.start()
            received = b""
            while len(received) < len(large):
                received += inside.recv(1 << 16)
            sender.join()
            assert received == large
    assert "WebSocket /" in caplog.text
    assert "token=" not in caplog.text
    guest.close()


def test_strangers_get_403(cloud, nova, served, agent):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{served}/?token=nonsense")
    assert refused.value.response.status_code == 403
    server_id = nova.boot()
    with pytest.raises(InvalidStatus) as refused:
        opened(cloud, served, server_id, additional_headers={"Origin": "http://evil.example"})
    assert refused.value.response.status_code == 403


@pytest.mark.system
def test_the_handshake_of_a_real_screen(cloud, nova, served, agent, tmp_path):
    """QEMU's VNC server, without a guest in it: RFB until it says how large the screen is (RFC 6143)."""
    path = tmp_path / "vnc.sock"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-display", "none", "-vnc", f"unix:{path}", "-S"]
    qemu = subprocess.Popen(command)
    try:
        until = time.monotonic() + 30
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        agent(path)
        with opened(cloud, served, nova.boot()) as user:
            stream = Bytes(user)
            assert stream.read(12) == b"RFB 003.008\n"
            user.send(b"RFB 003.008\n")
            assert 1 in stream.read(stream.read(1)[0])  # security types: None is offered
            user.send(b"\x01")
            assert stream.read(4) == bytes(4)  # accepted
            user.send(b"\x01")  # shared
            width, height = struct.unpack(">HH", stream.read(4))
            assert width >= 640
            assert height >= 400
            assert stream.read(16)[0] == 32  # bits per pixel
            assert stream.read(struct.unpack(">I", stream.read(4))[0]).startswith(b"QEMU")
    finally:
        qemu.terminate()
        qemu.wait(30)


@pytest.mark.system
def test_the_page_is_novncs(served):
    with urllib.request.urlopen(f"http://127.0.0.1:{served}/vnc_lite.html", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"noVNC</title>" in answer.read()


class Bytes:
    """Messages as a stream of bytes."""

    def __init__(self, user):
        self._user, self._left = user, b""

    def read(self, size):
        while len(self._left) < size:
            self._left += self._user.recv(timeout=20)
        found, self._left = self._left[:size], self._left[size:]
        return found
