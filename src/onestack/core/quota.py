"""Quotas: limits in a table, usage counted from the rows themselves in the transaction that adds to them.

Nothing keeps a running total, so nothing can drift: what the tables hold is what is used.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Base

UNLIMITED = -1


class Quota(Base):
    """A project's own limit of one resource; without a row the service's default holds."""

    __tablename__ = "quotas"

    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    service: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    resource: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    hard_limit: Mapped[int] = mapped_column(sa.BigInteger)


# The pseudo project whose rows are the operator's changes of a service's defaults (quota classes).
DEFAULT_PROJECT = "default"


def limits(session: Session, service: str, project_id: str, defaults: Mapping[str, int]) -> dict[str, int]:
    """Every limit of `service` for a project; -1 is unlimited."""
    rows = session.execute(
        sa.select(Quota.project_id, Quota.resource, Quota.hard_limit).where(
            Quota.service == service, Quota.project_id.in_((project_id, DEFAULT_PROJECT))
        )
    ).all()
    found = dict(defaults)
    for owner in (DEFAULT_PROJECT, project_id):
        found.update({row.resource: row.hard_limit for row in rows if row.project_id == owner})
    return found


def set_limits(session: Session, service: str, project_id: str, values: Mapping[str, int]) -> None:
    for resource, value in values.items():
        session.merge(Quota(project_id=project_id, service=service, resource=resource, hard_limit=value))


def reset(session: Session, service: str, project_id: str) -> None:
    """Back to the defaults."""
    session.execute(sa.delete(Quota).where(Quota.service == service, Quota.project_id == project_id))


def lock(session: Session, service: str, project_id: str) -> None:
    """Let only one transaction at a time count and add for this project. SQLite's writer is alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"{service}:{project_id}"))))


def exceeded(limit: Mapping[str, int], used: Mapping[str, int], wanted: Mapping[str, int]) -> list[str]:
    """The resources that `wanted` more of would pass their limit, sorted by name."""
    return sorted(
        name
        for name, more in wanted.items()
        if more > 0 and limit.get(name, UNLIMITED) != UNLIMITED and used.get(name, 0) + more > limit[name]
    )
