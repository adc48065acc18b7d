from __future__ import annotations

from collections.abc import Iterator

import pytest

from onestack.network.drivers.ovn.driver import OvnDriver

from .engine import Databases, installed


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    if not installed():
        pytest.skip("ovsdb-server or OVN's schemas are not installed")
    databases = Databases()
    yield databases
    databases.close()


@pytest.fixture
def databases(server: Databases) -> Databases:
    server.clear()
    return server


@pytest.fixture
def driver(databases: Databases) -> Iterator[OvnDriver]:
    ovn = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1", timeout=5)
    yield ovn
    ovn.close()
