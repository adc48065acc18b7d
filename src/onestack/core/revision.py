"""Change feeds: numbers that grow, and never become visible out of order.

A revision is taken by updating its counter's row, so a transaction that has taken one holds the row until it
commits: whoever reads "everything after N" can't miss a late committer. One counter per feed keeps unrelated writers
from waiting for each other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Base


class Revision(Base):
    __tablename__ = "revisions"

    feed: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)


def advance(session: Session, feed: str) -> int:
    """The next revision of `feed`; it is held until the transaction ends."""
    session.flush()
    row = session.connection().execute(_advance(session.get_bind().dialect.name), {"feed": feed, "value": 1}).one()
    return int(row.value)


@cache
def _advance(dialect: str) -> sa.Executable:
    """Made in one statement: of two transactions that begin a feed, one waits for the other."""
    table = Revision.__table__
    insert: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=[table.c.feed], set_={"value": table.c.value + 1}
    ).returning(table.c.value)
    return statement


def current(session: Session, feed: str) -> int:
    """The newest committed revision of `feed`; 0 when it never advanced."""
    value = session.execute(sa.select(Revision.value).where(Revision.feed == feed)).scalar()
    return int(value or 0)
