"""Where users and groups live. Whoever wants one goes through BACKEND."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onestack.core.cloud import Cloud
from onestack.identity.backends.base import IdentityBackend, WrongPassword
from onestack.identity.backends.sql import SqlBackend

BACKEND: IdentityBackend = SqlBackend()


@contextmanager
def counting_failures(cloud: Cloud) -> Iterator[None]:
    """A wrong password that is given inside is counted. Begin it before the snapshot, which is closed by then."""
    try:
        yield
    except WrongPassword as wrong:
        with cloud.db.write() as session:
            BACKEND.count_failure(session, cloud, wrong.user_id)
        raise
