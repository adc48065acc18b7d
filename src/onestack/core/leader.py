"""One of several server processes does what only one may do: a lock that ends with the process that holds it.

On PostgreSQL it is an advisory lock of a connection of its own, so it holds over machines; with SQLite all processes
are on one machine, and it is a file's lock in the state directory. Whoever doesn't hold it asks again now and then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Any

import sqlalchemy as sa

from onestack.core.cloud import Cloud


class Leader:
    """`leads()` before each step of the work; used by one thread."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._cloud = cloud
        self._name = name
        self._file = -1
        self._connection: sa.Connection | None = None

    def leads(self) -> bool:
        """Whether this process is the one, now; it becomes it when nobody is. Raises when the database is away."""
        return self._leads_by_file() if self._cloud.db.sqlite else self._leads_by_connection()

    def release(self) -> None:
        """Let another process lead."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._connection is not None:
            # At once: a backend whose client went notices a little later.
            with contextlib.suppress(sa.exc.DBAPIError):
                self._connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))
        self._let_go()

    def _leads_by_file(self) -> bool:
        if self._file >= 0:
            return True
        path = self._cloud.settings.path("run", f"{self._name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def _leads_by_connection(self) -> bool:
        if self._connection is not None:
            try:
                self._connection.execute(sa.text("SELECT 1"))
                return True
            except sa.exc.DBAPIError:
                self._let_go()  # the lock went with the connection
                raise
        connection = self._cloud.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            lock = sa.select(sa.func.pg_try_advisory_lock(sa.func.hashtext(f"onestack {self._name}")))
            if connection.execute(lock).scalar():
                self._connection = connection
                return True
        finally:
            if self._connection is None:
                connection.close()
        return False

    def _let_go(self) -> None:
        """The connection is not given back to the pool: the lock is its own."""
        held: Any = self._connection
        self._connection = None
        if held is not None:
            held.invalidate()
            held.close()
