"""Tables of Image. Sizes are bytes, min_disk is GiB, min_ram is MiB."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json

_IMAGE = "images.id"


class Image(Base):
    """`status` is one of queued, saving (a server's disk is being sent), uploading (staged), importing, active,
    deactivated, killed.

    The boot_… columns describe the file that a server is made from when that isn't the one that was uploaded (vmdk, vdi
    and vhd are converted to qcow2).
    """

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(255))
    owner: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    status: Mapped[str] = mapped_column(sa.String(30))
    visibility: Mapped[str] = mapped_column(sa.String(9))
    disk_format: Mapped[str | None] = mapped_column(sa.String(20))
    container_format: Mapped[str | None] = mapped_column(sa.String(20))
    size: Mapped[int | None] = mapped_column(sa.BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(sa.BigInteger)
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    checksum: Mapped[str | None] = mapped_column(sa.String(32))
    os_hash_algo: Mapped[str | None] = mapped_column(sa.String(64))
    os_hash_value: Mapped[str | None] = mapped_column(sa.String(128))
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)
    boot_format: Mapped[str | None] = mapped_column(sa.String(20))
    boot_size: Mapped[int | None] = mapped_column(sa.BigInteger)
    boot_hash_value: Mapped[str | None] = mapped_column(sa.String(128))
    # What was staged and waits for its import: {"size": …, "checksum": …, "os_hash_value": …}
    staged: Mapped[Any] = mapped_column(Json, nullable=True)
    staged_on: Mapped[str | None] = mapped_column(sa.String(64))  # the node that has the staged file
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]

    __table_args__ = (sa.Index("ix_images_created", "created_at", "id"),)


class ImageProperty(Base):
    """A custom property: any name, a string value."""

    __tablename__ = "image_properties"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey(_IMAGE, ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[str] = mapped_column(sa.Text)


class ImageTag(Base):
    __tablename__ = "image_tags"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey(_IMAGE, ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(sa.String(255), primary_key=True, index=True)


class ImageMember(Base):
    """A project that a shared image is shared with; `status` is pending, accepted or rejected."""

    __tablename__ = "image_members"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey(_IMAGE, ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(sa.String(20), default="pending")
    can_share: Mapped[bool] = mapped_column(default=False, server_default=sa.false())  # known to API v1 alone
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


class ImageTask(Base):
    """What was asked of the tasks API, or an import: what became of it, for those who ask. `status` is pending,
    processing, success or failure. It outlives its image, until `expires_at`."""

    __tablename__ = "image_jobs"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(30))
    image_id: Mapped[str | None] = mapped_column(sa.String(36), index=True)
    status: Mapped[str] = mapped_column(sa.String(30), default="pending")
    input: Mapped[Any] = mapped_column(Json, nullable=True)
    result: Mapped[Any] = mapped_column(Json, nullable=True)
    owner: Mapped[str | None] = mapped_column(sa.String(255))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    request_id: Mapped[str] = mapped_column(sa.String(64))
    message: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]
    expires_at: Mapped[datetime.datetime | None]
