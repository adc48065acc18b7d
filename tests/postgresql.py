"""PostgreSQL for the tests: `pytest --database postgresql`.

One cluster of their own in a temporary directory, on a unix socket only, started by the process that the tests were
started with and shared by its workers. Every test gets a copy of a template database that holds all tables, or one
that another test has left and that was emptied. Nothing in it need survive, so nothing is synced.
"""

from __future__ import annotations

import getpass
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

VARIABLE = "ONESTACK_TEST_POSTGRESQL"  # the directory of the cluster, for the workers
TEMPLATE = "onestack_template"
_FAST = (
    "listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400",
    "shared_buffers=64MB", "autovacuum=off", "wal_level=minimal", "max_wal_senders=0",
)  # fmt: skip
_numbers = itertools.count()


class Cluster:
    """A PostgreSQL that ends with the tests. It refuses to be root, so as root it is Debian's user `postgres`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="onestack-pg-", dir="/tmp"))
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.directory.chmod(0o755)
        self._run("initdb", "--no-sync", "-D", self.directory / "data", "-U", "onestack", "-A", "trust",
                  "--locale", "C", "-E", "UTF8")  # fmt: skip
        words = [f"-c {word}" for word in _FAST]
        self._run("pg_ctl", "-D", self.directory / "data", "-l", self.directory / "log", "-w", "start",
                  "-o", " ".join([f"-k {self.directory}", *words]))  # fmt: skip

    def _run(self, program: str, *words: Any) -> None:
        argv = [str(binaries() / program), *map(str, words)]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
            check=False, **self._as,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")
        shutil.rmtree(self.directory)
        os.environ.pop(VARIABLE, None)


def start() -> Cluster:
    """A cluster that this process, and those that it starts, knows of."""
    cluster = Cluster()
    os.environ[VARIABLE] = str(cluster.directory)
    return cluster


def binaries() -> Path:
    """Debian keeps them off the PATH, by version; the newest is taken."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError("PostgreSQL is not installed: apt install postgresql")
    return Path(on_path).parent


def installed() -> bool:
    try:
        binaries()
    except RuntimeError:
        return False
    return True


def url(name: str) -> str:
    return f"postgresql+psycopg://onestack@/{name}?host={os.environ[VARIABLE]}"


def wanted() -> bool:
    return VARIABLE in os.environ


def _execute(statement: str) -> None:
    engine = sa.create_engine(url("postgres"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def make_template() -> None:
    """All the tables of the product, once for all workers."""
    from onestack.core.db import Base
    from onestack.server import build

    assert build.BUILDERS  # every service's models are known
    _execute(f"CREATE DATABASE {TEMPLATE}")
    engine = sa.create_engine(url(TEMPLATE), poolclass=sa.NullPool)
    Base.metadata.create_all(engine)


def template_has(tables: Iterable[str], database: str | None) -> bool:
    """Whether a test's database has these tables already, because the template has."""
    return str(database).startswith("t_") and set(tables) <= _made()


@cache
def _made() -> set[str]:
    engine = sa.create_engine(url(TEMPLATE), poolclass=sa.NullPool)
    return set(sa.inspect(engine).get_table_names())


_free: list[str] = []  # databases that were used and emptied again: copying one takes longer than most tests


def create(*, empty: bool = False) -> str:
    """The name of a new database, with all tables or none."""
    if _free and not empty:
        return _free.pop()
    name = f"{'empty' if empty else 't'}_{os.getpid()}_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else TEMPLATE}")
    return name


def drop(name: str) -> None:
    """Nobody uses it any more."""
    if name.startswith("empty"):
        _execute(f"DROP DATABASE {name} WITH (FORCE)")
        return
    engine = sa.create_engine(url(name), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.exec_driver_sql("SET session_replication_role = replica")  # no foreign keys meanwhile
        tables = connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars()
        statements = [
            f'DELETE FROM "{table}"' if table in _made() else f'DROP TABLE "{table}" CASCADE' for table in tables
        ]
        sequences = connection.exec_driver_sql("SELECT sequencename FROM pg_sequences").scalars()
        statements += [f'ALTER SEQUENCE "{sequence}" RESTART' for sequence in sequences]
        connection.exec_driver_sql("; ".join(statements))
    _free.append(name)
