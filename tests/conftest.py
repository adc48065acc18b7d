"""The real application in process, on SQLite in a temporary directory, with a clock that the test holds.

`pytest --database postgresql` runs the same tests on PostgreSQL (tests/postgresql.py).

`personas` are tokens by name: a test says who is asking, and identity's own tests are the ones that make tokens.
"""

from __future__ import annotations

import concurrent.futures
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import argon2
import falcon.testing
import pytest

from onestack import config
from onestack.core.clock import FakeClock
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import Base, Database
from onestack.identity import passwords
from tests import postgresql

PROJECT = "1" * 32
OTHER_PROJECT = "2" * 32
ADMIN_PROJECT = "a" * 32

PERSONAS = {
    "admin": Context(
        user_id="a0" * 16, user_name="admin", user_domain_id="default", project_id=ADMIN_PROJECT, project_name="admin",
        project_domain_id="default", roles=["admin", "manager", "member", "reader"],
    ),
    "member": Context(
        user_id="b0" * 16, user_name="ann", user_domain_id="default", project_id=PROJECT, project_name="one",
        project_domain_id="default", roles=["member", "reader"],
    ),
    "reader": Context(
        user_id="c0" * 16, user_name="rob", user_domain_id="default", project_id=PROJECT, project_name="one",
        project_domain_id="default", roles=["reader"],
    ),
    "other": Context(
        user_id="d0" * 16, user_name="olga", user_domain_id="default", project_id=OTHER_PROJECT, project_name="two",
        project_domain_id="default", roles=["member", "reader"],
    ),
    "nobody": Context(
        user_id="e0" * 16, user_name="ned", user_domain_id="default", project_id=PROJECT, project_name="one",
        project_domain_id="default", roles=[],
    ),
    "service": Context(
        user_id="f0" * 16, user_name="nova", user_domain_id="default", project_id="f" * 32, project_name="service",
        project_domain_id="default", roles=["admin", "service", "member", "reader"],
    ),
}  # fmt: skip


class Client:
    """`client.get("/v2/images", as_="member")` against one service's application."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._client = falcon.testing.TestClient(app)

    def request(
        self, method: str, path: str, as_: str | None = "member", headers: dict[str, str] | None = None, **more: Any
    ) -> falcon.testing.Result:
        sent = dict(headers or {})
        if as_ is not None:
            sent["X-Auth-Token"] = as_
        if "?" in path:
            path, _, more["query_string"] = path.partition("?")
        return self._client.simulate_request(method, path, headers=sent, **more)

    def get(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("GET", path, **more)

    def head(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("HEAD", path, **more)

    def post(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> falcon.testing.Result:
        return self.request("DELETE", path, **more)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="what the tests run on")


_cluster: list[postgresql.Cluster] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that at the end no worker waits for another one's last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_configure(config: pytest.Config) -> None:
    """The process that the tests were started with starts the cluster; workers inherit where it is."""
    if config.getoption("--database") == "postgresql" and not hasattr(config, "workerinput"):
        _cluster.append(postgresql.start())
        postgresql.make_template()


def pytest_unconfigure(config: pytest.Config) -> None:
    while _cluster:
        _cluster.pop().stop()


@contextmanager
def new_database(directory: Path, *, empty: bool = False) -> Iterator[str]:
    """The URL of a database that nobody else has: a file that isn't there yet, or a copy of PostgreSQL's template."""
    if not postgresql.wanted():
        yield f"sqlite:///{directory / 'onestack.sqlite'}"
        return
    name = postgresql.create(empty=empty)
    try:
        yield postgresql.url(name)
    finally:
        postgresql.drop(name)


@pytest.fixture(autouse=True, scope="session")
def tables_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite database is a copy of the first one with the same tables: making some ninety takes longer than
    most tests."""
    made: dict[frozenset[str], Path] = {}
    folder = tmp_path_factory.mktemp("tables")
    original = Database.create_all

    def create_all(database: Database) -> None:
        file = database.engine.url.database
        if not database.sqlite and postgresql.template_has(Base.metadata.tables, file):
            return
        if not database.sqlite or not file or Path(file).exists():
            original(database)
            return
        names = frozenset(Base.metadata.tables)
        if names not in made:
            template = Database(f"sqlite:///{folder / str(len(made))}.sqlite")
            original(template)
            with template.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            template.close()
            made[names] = Path(str(template.engine.url.database))
        shutil.copy(made[names], file)

    patch = pytest.MonkeyPatch()
    patch.setattr(Database, "create_all", create_all)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def passwords_hashed_cheaply() -> Iterator[None]:
    """A hash and each comparison with it take what the product lets them take on purpose: most of the time of a test
    that begins with people who log in. (tests/identity/test_resources.py looks at the product's own parameters.)"""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_hasher", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield
    patch.undo()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[config.Settings]:
    (tmp_path / "db").mkdir()
    (tmp_path / "run").mkdir()
    with new_database(tmp_path / "db") as url:
        if postgresql.wanted():
            (tmp_path / "onestack.toml").write_text(f'database = "{url}"\n')
        yield config.load(str(tmp_path), hypervisor="fake")


@pytest.fixture
def on_sqlite() -> None:
    """For tests of what only SQLite has."""
    if postgresql.wanted():
        pytest.skip("SQLite's own")


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    with new_database(tmp_path, empty=True) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def cloud(settings: config.Settings) -> Iterator[Cloud]:
    """A cloud without services: a test's own fixture builds those it needs, then calls `cloud.db.create_all()`."""
    cloud = Cloud(settings=settings, db=Database(settings.database_url), clock=FakeClock())
    cloud.authenticate = PERSONAS.get
    yield cloud
    cloud.db.close()


@pytest.fixture
def client_of() -> Iterator[Callable[[Any], Client]]:
    """`client_of(service)` → a Client of that service's application."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield lambda service: Client(service.app(pool))
