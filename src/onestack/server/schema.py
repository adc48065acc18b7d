"""The schema and its migrations (Alembic; `migrations/versions`, numbered).

A new database gets its tables from the models at once and is stamped with the newest revision; an older one is
migrated. Alembic is imported only when there is something to migrate: it takes longer than the rest of the start.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from onestack.core.db import Base, Database

MIGRATIONS = Path(__file__).parent / "migrations"
_REVISION = re.compile(r"^(\d{4})_\w+\.py$")


def newest() -> str:
    """The newest revision in `migrations/versions`: "0001", "0002" …"""
    numbers = [match[1] for file in (MIGRATIONS / "versions").iterdir() if (match := _REVISION.match(file.name))]
    return max(numbers)


def ensure(database: Database) -> None:
    """Create the schema or bring it up to date. Two servers that start together do it one after the other."""
    with alone(database):
        bring_up_to_date(database)


def bring_up_to_date(database: Database) -> None:
    """The same, for who is `alone` already."""
    current = revision(database)
    if current == newest():
        return
    if current is None:
        database.create_all()
        _stamp(database, newest())
        return
    _migrate(database)


def revision(database: Database) -> str | None:
    """What the tables are at; None when there are none."""
    with database.engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _stamp(database: Database, revision: str) -> None:
    table = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
    with database.engine.begin() as connection:
        table.create(connection, checkfirst=True)
        connection.execute(sa.insert(table).values(version_num=revision))


def _migrate(database: Database) -> None:
    from alembic import command
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect() as connection:
        settings.attributes["connection"] = connection
        settings.attributes["metadata"] = Base.metadata
        command.upgrade(settings, "head")
        connection.commit()


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """A lock over processes: a file beside an SQLite database, an advisory lock in PostgreSQL."""
    if database.sqlite:
        path = Path(database.engine.url.database or "onestack").with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        return
    # AUTOCOMMIT: the lock is the session's, and an open transaction would keep the migrations' own from ending.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(hashtext('onestack schema'))"))
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(hashtext('onestack schema'))"))
