"""One real cloud for all tests, and servers that tests share, because each boot costs seconds of emulation.

The cloud is made by `./onestack up` and removed at the end. ONESTACK_TEST_STATE names a state directory where one is
kept instead: it is used if it is there, and left running. ONESTACK_TEST_PORT_OFFSET (3000) moves its ports.
Tests of the engines kill libvirtd and Open vSwitch; they are skipped when another cloud of the machine uses those
(`tests/system/alone` runs a command where there is no other).
"""

from __future__ import annotations

import http.server
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.cloud import SystemCloud
from tests.system.ssh import Key
from tests.system.tenants import Guest, Tenant

LONG = ("test_crashes.py", "test_image_stores.py", "test_restarts.py", "test_up.py")  # `tests/run --long`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.system)
            if item.path.name in LONG:
                item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))


@pytest.fixture(scope="session")
def cloud() -> Iterator[SystemCloud]:
    offset = int(os.environ.get("ONESTACK_TEST_PORT_OFFSET", "3000"))
    kept = os.environ.get("ONESTACK_TEST_STATE")
    # Short, because sockets live in it, and readable for the unprivileged server.
    state = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="onestack-system-", dir="/var/tmp"))
    made = SystemCloud(state, offset)
    try:
        if not (kept and (state / "onestack.toml").exists() and made.pid("server")):
            made.onestack("up", "--no-boot")
        yield made
    finally:
        if not kept:
            made.remove()


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def tenant(cloud: SystemCloud, key: Key) -> Iterator[Callable[[str], Tenant]]:
    """`tenant("red")`: a project with a user, the same one each time; removed with all it has at the end."""
    made: dict[str, Tenant] = {}

    def of(name: str) -> Tenant:
        if name not in made:
            made[name] = Tenant(cloud, name, key)
        return made[name]

    yield of
    for one in made.values():
        one.remove()


@pytest.fixture(scope="session")
def shared(tenant: Callable[[str], Tenant]) -> Tenant:
    """The tenant whose network `net` is connected to the outside, with SSH and ping allowed."""
    one = tenant("shared")
    one.network("net", "10.20.0.0/24", outside=True)
    one.allow_login()
    return one


@pytest.fixture(scope="session")
def vm(shared: Tenant) -> Guest:
    """A running server with a floating IP. A test that stops it starts it again."""
    return shared.boot("shared-vm", networks=["net"]).reach()


class Visits(http.server.ThreadingHTTPServer):
    """A web server that remembers who came: (address, path)."""

    def __init__(self, address: str) -> None:
        self.seen: list[tuple[str, str]] = []
        super().__init__((address, 0), Visit)
        self.url = f"http://{address}:{self.server_port}"


class Visit(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Visits)
        self.server.seen.append((self.client_address[0], self.path))
        body = b"welcome\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Quiet."""


@pytest.fixture(scope="session")
def web(cloud: SystemCloud) -> Iterator[Visits]:
    """On the host's address of the external network: what VMs reach through their router."""
    server = Visits(cloud.host_address)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
