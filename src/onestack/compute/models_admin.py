"""Tables of the operator's side of compute: host aggregates, server groups, limits of single users."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class Aggregate(Base):
    """A set of hosts. `meta` holds the availability zone too, as its clients expect."""

    __tablename__ = "aggregates"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    meta: Mapped[Any] = mapped_column("metadata", Json, default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]

    # An id is never given twice: clients keep them.
    __table_args__ = {"sqlite_autoincrement": True}


class AggregateHost(Base):
    __tablename__ = "aggregate_hosts"

    aggregate_id: Mapped[int] = mapped_column(sa.ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True)
    hostname: Mapped[str] = mapped_column(sa.String(255), primary_key=True, index=True)


class ServerGroup(Base):
    """Servers that are to be together or apart. `max_per_host` only with anti-affinity; None is 1."""

    __tablename__ = "server_groups"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    policy: Mapped[str] = mapped_column(sa.String(32))
    max_per_host: Mapped[int | None]
    created_at: Mapped[datetime.datetime]


class ServerGroupMember(Base):
    """A server is in one group at most, from its create until its delete."""

    __tablename__ = "server_group_members"

    server_id: Mapped[str] = mapped_column(sa.ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("server_groups.id", ondelete="CASCADE"), index=True)


class UserQuota(Base):
    """A limit of one user inside a project; without a row the project's holds."""

    __tablename__ = "user_quotas"

    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    hard_limit: Mapped[int] = mapped_column(sa.BigInteger)
