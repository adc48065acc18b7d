"""Tables of the metadata definitions: namespaces and what is in them."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class MetadefNamespace(Base):
    __tablename__ = "metadef_namespaces"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(sa.String(80), unique=True)
    display_name: Mapped[str | None] = mapped_column(sa.String(80))
    description: Mapped[str | None] = mapped_column(sa.Text)
    visibility: Mapped[str] = mapped_column(sa.String(10))
    protected: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


class MetadefResourceType(Base):
    """A kind of resource that definitions are for, e.g. OS::Nova::Flavor."""

    __tablename__ = "metadef_resource_types"

    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


def _namespace_id() -> Mapped[int]:
    return mapped_column(sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), index=True)


class MetadefAssociation(Base):
    """A namespace is for a resource type; `prefix` is put before its properties' names there."""

    __tablename__ = "metadef_associations"

    namespace_id: Mapped[int] = mapped_column(
        sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    resource_type: Mapped[str] = mapped_column(
        sa.ForeignKey("metadef_resource_types.name", ondelete="CASCADE"), primary_key=True, index=True
    )
    prefix: Mapped[str | None] = mapped_column(sa.String(80))
    properties_target: Mapped[str | None] = mapped_column(sa.String(80))
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


class MetadefObject(Base):
    """A group of properties; `properties` maps their names to their shapes."""

    __tablename__ = "metadef_objects"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = _namespace_id()
    name: Mapped[str] = mapped_column(sa.String(80))
    description: Mapped[str | None] = mapped_column(sa.Text)
    required: Mapped[Any] = mapped_column(Json)
    properties: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]

    __table_args__ = (sa.UniqueConstraint("namespace_id", "name"),)


class MetadefProperty(Base):
    """`shape` is the property as clients gave it, without its name."""

    __tablename__ = "metadef_properties"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = _namespace_id()
    name: Mapped[str] = mapped_column(sa.String(80))
    shape: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]

    __table_args__ = (sa.UniqueConstraint("namespace_id", "name"),)


class MetadefTag(Base):
    __tablename__ = "metadef_tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = _namespace_id()
    name: Mapped[str] = mapped_column(sa.String(80))
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]

    __table_args__ = (sa.UniqueConstraint("namespace_id", "name"),)


class MetadefLoad(Base):
    """Which set of definitions was loaded: the digest of the files. A start whose files have it loads nothing."""

    __tablename__ = "metadef_loads"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    loaded_at: Mapped[datetime.datetime]
