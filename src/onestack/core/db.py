"""The database: one engine, read sessions and write transactions.

SQLite (the default) runs in WAL mode with synchronous=FULL, so that an acknowledged commit survives power loss.
A write takes the lock at its first statement (BEGIN IMMEDIATE): two writers never deadlock, and what a writer has
read stays true until it commits. Writers of one process queue on a lock of ours, which is fair and wakes at once,
where SQLite's own busy handler sleeps.

On PostgreSQL reads run at REPEATABLE READ, so that they are snapshots too, and writes at READ COMMITTED: rows that
must not change meanwhile are selected FOR UPDATE. A write that lost a race there (`lost_race`) is run again from its
start, and then sees who won: a handler by core/http.py, a worker by its loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

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

_Select = TypeVar("_Select", bound=sa.Select[Any])

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
            # hide_parameters: an error's text reaches the log, and parameters may be secrets.
            self.engine = sa.create_engine(
                url, pool_size=pool_size, max_overflow=-1, pool_pre_ping=True, hide_parameters=True
            )
        self._immediate = self.engine.execution_options(onestack_write=True)
        self._snapshot = self.engine
        if not self.sqlite:
            self._snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writers = threading.Lock()
        self._writing = threading.local()  # `.now`: this thread is in a write
        self._sessions = orm.sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def read(self) -> Iterator[orm.Session]:
        """A consistent snapshot; nothing that is done in it is kept."""
        session = self._sessions(bind=self._snapshot)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def write(self) -> Iterator[orm.Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Functions given to `on_commit` run after the commit, in order, in the same thread.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("a write transaction was begun inside another one: hand its session on instead")
        if self.sqlite:
            self._writers.acquire()
        self._writing.now = True
        session = self._sessions(bind=self._immediate, autoflush=True, info={"writes": True})
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
            self._writing.now = False
            if self.sqlite:
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


def held(session: orm.Session, query: _Select) -> _Select:
    """The query, so that in a write nobody else changes its rows meanwhile; in a read it is only looked at."""
    return query.with_for_update() if session.info.get("writes") else query


def hold(session: orm.Session, model: Any, key: str) -> None:
    """Keep a row from being changed by others until the write ends; what is read of it afterwards stays true.

    SQLite's writer is alone: nothing to do.
    """
    if session.info.get("writes") and session.get_bind().dialect.name != "sqlite":
        session.execute(sa.select(model.id).where(model.id == key).with_for_update())


def lost_race(error: BaseException) -> bool:
    """Whether a transaction failed only because of another one that ran at the same time, so that running it again
    helps: a deadlock, or a row that somebody made or removed since we looked. SQLite's writers are alone and never
    lose one."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, sa.exc.DBAPIError) and state in _LOST_RACES


# PostgreSQL, appendix A: serialization_failure, deadlock_detected, unique_violation, foreign_key_violation.
_LOST_RACES = frozenset(("40001", "40P01", "23505", "23503"))


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
