"""Tables of where images' bytes are: locations, and what the cache holds."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json

WRITING, ACTIVE, CONVERTED, DOOMED = "writing", "active", "converted", "pending_delete"


class ImageLocation(Base):
    """An object of a store. It has a row before its first byte is written, and until its last one is gone.

    `writing` belongs to the process `writer`, which renews its lease: when that is dead, or the lease is over, the
    object is doomed. `active` is a location of the image; `converted` is none: it is what servers are made from, where
    that is another file. `pending_delete` is owed: it is removed from the store, then from here. The row doesn't go
    with its image, so `image_id` is no foreign key.
    """

    __tablename__ = "image_locations"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    image_id: Mapped[str] = mapped_column(sa.String(36), index=True)
    store: Mapped[str] = mapped_column(sa.String(64))
    object_key: Mapped[str] = mapped_column(sa.String(2048))
    position: Mapped[int] = mapped_column(default=0)
    location_metadata: Mapped[Any] = mapped_column(Json, default=dict)
    status: Mapped[str] = mapped_column(sa.String(20))
    writer: Mapped[str | None] = mapped_column(sa.String(128))
    lease_until: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime]

    __table_args__ = (sa.Index("ix_image_locations_status", "status"),)


class CachedImage(Base):
    """An image that is in the cache of a node (`cached`), or is to come into it (`queued`)."""

    __tablename__ = "image_cache"

    node: Mapped[str] = mapped_column(sa.String(64), primary_key=True, server_default="")
    image_id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(16))
    size: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    hits: Mapped[int] = mapped_column(default=0)
    accessed_at: Mapped[datetime.datetime]
    modified_at: Mapped[datetime.datetime]
