"""Change feeds: numbers that grow, and never become visible out of order.

A revision is taken by updating its counter's row, so a transaction that has taken one holds the row until it
commits: whoever reads "everything after N" can't miss a late committer. One counter per feed keeps unrelated writers
from waiting for each other.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Base


class Revision(Base):
    __tablename__ = "revisions"

    feed: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)


def advance(session: Session, feed: str) -> int:
    """The next revision of `feed`; it is held until the transaction ends."""
    update = (
        sa.update(Revision)
        .where(Revision.feed == feed)
        .values(value=Revision.value + 1)
        .returning(Revision.value)
        .execution_options(synchronize_session=False)
    )
    value = session.execute(update).scalar()
    if value is None:
        session.execute(sa.insert(Revision).values(feed=feed, value=1))
        return 1
    return int(value)


def current(session: Session, feed: str) -> int:
    """The newest committed revision of `feed`; 0 when it never advanced."""
    value = session.execute(sa.select(Revision.value).where(Revision.feed == feed)).scalar()
    return int(value or 0)
