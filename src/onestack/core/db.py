"""The database: one engine, read sessions and write transactions.

SQLite (the default) runs in WAL mode with synchronous=FULL, so that an acknowledged commit survives power loss.
A write takes the lock at its first statement (BEGIN IMMEDIATE): two writers never deadlock, and what a writer has
read stays true until it commits. Writers of one process queue on a lock of ours, which is fair and wakes at once,
where SQLite's own busy handler sleeps. On PostgreSQL writes run at READ COMMITTED,
and rows that must not change meanwhile are selected FOR UPDATE.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, orm, types

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Base(orm.DeclarativeBase):
    """The base of every table. Relationships are declared lazy="raise": a query says what it loads."""

    metadata = sa.MetaData(naming_convention=NAMING)


class Json(types.TypeDecorator[Any]):
    """A JSON document in a text column."""

    impl = types.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else _encode(value).decode()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else _decode(value)


class Database:
    """`read()` and `write()` are the only ways in."""

    def __init__(self, url: str, *, pool_size: int = 24) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        if self.sqlite:
            self.engine = sa.create_engine(
                url,
                pool_size=pool_size,
                max_overflow=-1,
                connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 512},
            )
            event.listen(self.engine, "connect", _tune_sqlite)
            event.listen(self.engine, "begin", _begin)
        else:
            self.engine = sa.create_engine(url, pool_size=pool_size, max_overflow=-1, pool_pre_ping=True)
        self._immediate = self.engine.execution_options(onestack_write=True)
        self._writers = threading.Lock()
        self._writer = 0  # the thread that holds it
        self._sessions = orm.sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def read(self) -> Iterator[orm.Session]:
        """A consistent snapshot; nothing that is done in it is kept."""
        session = self._sessions()
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def write(self) -> Iterator[orm.Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Functions given to `on_commit` run after the commit, in order, in the same thread.
        """
        if self.sqlite:
            if self._writer == threading.get_ident():
                raise RuntimeError("a write transaction was begun inside another one: hand its session on instead")
            self._writers.acquire()
            self._writer = threading.get_ident()
        session = self._sessions(bind=self._immediate, autoflush=True)
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
            if self.sqlite:
                self._writer = 0
                self._writers.release()
        for function in session.info.get("on_commit", ()):
            function()

    def create_all(self) -> None:
        """Create the tables that are missing."""
        Base.metadata.create_all(self.engine)

    def close(self) -> None:
        self.engine.dispose()


def fetch(session: orm.Session, statement: sa.Executable, **values: Any) -> sa.CursorResult[*tuple[Any, ...]]:
    """Rows of a select of columns that was made once (at import, or cached), with the values of its bindparams.

    For what runs in each request: making a select and giving it to `session.execute` takes eight times as long as
    running it. Rows name a column as the table does, where that isn't the attribute's name.
    """
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, values)


def many(name: str) -> sa.BindParameter[Any]:
    """The parameter of `column.in_(…)` in such a select."""
    return sa.bindparam(name, expanding=True)


def on_commit(session: orm.Session, function: Callable[[], object]) -> None:
    """Call `function` once the transaction of `session` is committed; not if it is rolled back."""
    session.info.setdefault("on_commit", []).append(function)


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-4000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("onestack_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # Every read begins with it, and it can't fail: the driver's own cursor is a tenth of the cost.
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN")
