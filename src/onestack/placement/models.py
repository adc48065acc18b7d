"""Tables of Placement. Quantities are whole units of the resource class: MiB for MEMORY_MB, GiB for DISK_GB."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base

_PROVIDER = "placement_providers.uuid"


class Provider(Base):
    """A resource provider. `generation` grows with every change of its inventory, allocations, traits, aggregates."""

    __tablename__ = "placement_providers"

    uuid: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200), unique=True)
    generation: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    parent_uuid: Mapped[str | None] = mapped_column(sa.ForeignKey(_PROVIDER))
    root_uuid: Mapped[str] = mapped_column(sa.String(36), index=True)
    updated_at: Mapped[datetime.datetime]


class Inventory(Base):
    __tablename__ = "placement_inventories"

    provider_uuid: Mapped[str] = mapped_column(sa.ForeignKey(_PROVIDER, ondelete="CASCADE"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    total: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    min_unit: Mapped[int] = mapped_column(default=1)
    max_unit: Mapped[int] = mapped_column(default=2147483647)
    step_size: Mapped[int] = mapped_column(default=1)
    allocation_ratio: Mapped[float] = mapped_column(default=1.0)


class Consumer(Base):
    """What holds allocations, usually a server; its uuid is the server's."""

    __tablename__ = "placement_consumers"

    uuid: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(255), index=True)
    user_id: Mapped[str] = mapped_column(sa.String(255))
    generation: Mapped[int] = mapped_column(default=1)
    consumer_type: Mapped[str | None] = mapped_column(sa.String(255))


class Allocation(Base):
    __tablename__ = "placement_allocations"

    consumer_uuid: Mapped[str] = mapped_column(
        sa.ForeignKey("placement_consumers.uuid", ondelete="CASCADE"), primary_key=True
    )
    provider_uuid: Mapped[str] = mapped_column(sa.ForeignKey(_PROVIDER), primary_key=True)
    resource_class: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    used: Mapped[int]

    # Covers the sum of what is used on a provider.
    __table_args__ = (sa.Index("ix_placement_allocations_used", "provider_uuid", "resource_class", "used"),)


class ResourceClass(Base):
    """A custom class; the standard ones are in `standard.py`."""

    __tablename__ = "placement_resource_classes"

    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)


class Trait(Base):
    """A custom trait."""

    __tablename__ = "placement_traits"

    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)


class ProviderTrait(Base):
    __tablename__ = "placement_provider_traits"

    provider_uuid: Mapped[str] = mapped_column(sa.ForeignKey(_PROVIDER, ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(sa.String(255), primary_key=True, index=True)


class ProviderAggregate(Base):
    __tablename__ = "placement_provider_aggregates"

    provider_uuid: Mapped[str] = mapped_column(sa.ForeignKey(_PROVIDER, ondelete="CASCADE"), primary_key=True)
    aggregate_uuid: Mapped[str] = mapped_column(sa.String(36), primary_key=True, index=True)
