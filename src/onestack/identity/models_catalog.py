"""Tables around the catalog: which endpoints a project sees (OS-EP-FILTER), and policies of endpoints.

Endpoints and services may be the cloud's own, which have no rows (catalog.py), so nothing here refers to their tables.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json

# Where an association doesn't say which endpoint, service or region; NULL would not take part in UNIQUE.
NONE = ""


class ProjectEndpoint(Base):
    """A project that has any sees only its endpoints."""

    __tablename__ = "identity_project_endpoints"

    project_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True, index=True)


class EndpointGroup(Base):
    """The endpoints that match all of `filters` (of service_id, region_id and interface)."""

    __tablename__ = "identity_endpoint_groups"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    filters: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class ProjectEndpointGroup(Base):
    __tablename__ = "identity_project_endpoint_groups"

    endpoint_group_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_endpoint_groups.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class PolicyDocument(Base):
    """A policy as services of the past fetched it from here: `blob` is theirs to read."""

    __tablename__ = "identity_policies"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(255))
    blob: Mapped[str] = mapped_column(sa.Text)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class PolicyAssociation(Base):
    """Which policy is that of an endpoint, of a service, or of a service in a region: one for each of these."""

    __tablename__ = "identity_policy_associations"

    endpoint_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True, default=NONE)
    service_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True, default=NONE)
    region_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True, default=NONE)
    policy_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_policies.id", ondelete="CASCADE"), index=True)
