"""Tables of the unified limits: what a resource may be by default, and what single projects and domains may have."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base

# What belongs to no region, no project or no domain has this there: NULL would not take part in UNIQUE.
NONE = ""


class RegisteredLimit(Base):
    """The default of one resource of a service, in a region or everywhere."""

    __tablename__ = "identity_registered_limits"
    __table_args__ = (
        # Named here: the usual name would be longer than PostgreSQL's names may be.
        sa.UniqueConstraint("service_id", "region_id", "resource_name", name="uq_identity_registered_limits_resource"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(sa.String(64))
    region_id: Mapped[str] = mapped_column(sa.String(255), default=NONE, index=True)
    resource_name: Mapped[str] = mapped_column(sa.String(255))
    default_limit: Mapped[int] = mapped_column(sa.Integer)
    description: Mapped[str | None] = mapped_column(sa.Text)


class Limit(Base):
    """What one project or one domain has instead of the default; exactly one of the two is set."""

    __tablename__ = "identity_limits"
    __table_args__ = (sa.UniqueConstraint("registered_limit_id", "project_id", "domain_id"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    registered_limit_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_registered_limits.id"))
    project_id: Mapped[str] = mapped_column(sa.String(64), default=NONE, index=True)
    domain_id: Mapped[str] = mapped_column(sa.String(64), default=NONE, index=True)
    resource_limit: Mapped[int] = mapped_column(sa.Integer)
    description: Mapped[str | None] = mapped_column(sa.Text)
