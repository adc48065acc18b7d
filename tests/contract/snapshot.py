"""The tables as they were at one moment: whether anything was committed since, what, and all of it taken back."""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any, Protocol

import sqlalchemy as sa

from onestack.core.db import Database


class Snapshot(Protocol):
    def touched(self) -> bool:
        """Whether anything was committed since the snapshot, or the last `restore`."""

    def differences(self) -> dict[str, list[Any]]:
        """What is not as it was, by table."""

    def restore(self) -> None: ...

    def close(self) -> None: ...


def take(database: Database) -> Snapshot:
    return OfSqlite(database) if database.sqlite else OfPostgresql(database)


def compare(table: str, now: set[Any], then: set[Any]) -> list[Any]:
    """The rows that are not in both. The feed of tokens goes on, as caches of tokens are told by it to forget."""
    if table == "revisions":
        now, then = ({row for row in rows if row[0] != "identity"} for rows in (now, then))
    return sorted(map(str, now ^ then))


_generations = itertools.count(1_000_000)
_NEXT = "UPDATE revisions SET value = {} WHERE feed = 'identity'"


class OfSqlite:
    def __init__(self, database: Database) -> None:
        sa.event.listen(database.engine, "connect", _hurry)
        self._watcher = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        self._base = sqlite3.connect(":memory:", isolation_level=None)
        self._watcher.backup(self._base)
        self._seen = self._version()

    def close(self) -> None:
        self._watcher.close()
        self._base.close()

    def touched(self) -> bool:
        return self._version() != self._seen

    def differences(self) -> dict[str, list[Any]]:
        if not self.touched():
            return {}
        found = {}
        for (table,) in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            query = f'SELECT * FROM "{table}"'
            if rows := compare(table, set(self._watcher.execute(query)), set(self._base.execute(query))):
                found[table] = rows
        return found

    def restore(self) -> None:
        if self.touched():
            self._base.backup(self._watcher)
            self._watcher.execute(_NEXT.format(next(_generations)))
            self._seen = self._version()

    def _version(self) -> int:
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])


class OfPostgresql:
    """Of a database that nobody else has: a transaction number that was given out since means that one wrote."""

    def __init__(self, database: Database) -> None:
        engine = sa.create_engine(database.url, poolclass=sa.StaticPool, isolation_level="AUTOCOMMIT")
        self._connection = engine.connect()
        self._run("SET session_replication_role = replica")  # restoring minds no foreign keys
        names = self._run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars().all()
        self._base = {name: self._rows(name) for name in names}
        self._seen = self._version()

    def close(self) -> None:
        self._connection.close()
        self._connection.engine.dispose()

    def touched(self) -> bool:
        # A write that was taken back has had a number as well.
        if self._version() != self._seen and not self._differing():
            self._seen = self._version()
        return self._version() != self._seen

    def differences(self) -> dict[str, list[Any]]:
        if not self.touched():
            return {}
        found = {}
        for table in self._differing():
            if rows := compare(table, self._rows(table), self._base[table]):
                found[table] = rows
        return found

    def restore(self) -> None:
        if not self.touched():
            return
        for table in self._differing():
            self._run(f'DELETE FROM "{table}"')
            for row in self._base[table]:
                marks = ", ".join(["%s"] * len(row))
                self._connection.exec_driver_sql(f'INSERT INTO "{table}" VALUES ({marks})', tuple(row))
        self._run(_NEXT.format(next(_generations)))
        self._base["revisions"] = self._rows("revisions")
        self._seen = self._version()

    def _differing(self) -> list[str]:
        return [table for table, rows in self._base.items() if self._rows(table) != rows]

    def _rows(self, table: str) -> set[Any]:
        return {tuple(row) for row in self._run(f'SELECT * FROM "{table}"')}

    def _version(self) -> int:
        return int(self._run("SELECT txid_snapshot_xmax(txid_current_snapshot())").scalar_one())

    def _run(self, statement: str) -> Any:
        return self._connection.exec_driver_sql(statement)


def _hurry(connection: Any, _record: Any) -> None:
    """Nobody pulls the plug of a test."""
    connection.execute("PRAGMA synchronous=OFF")
