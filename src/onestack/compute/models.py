"""Tables of compute. What a list shows or filters by is a plain column; a server's status is nowhere: state.py
computes it from what is desired, what was observed and the unfinished operation."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class Flavor(Base):
    """`id` is what clients call it ("1", "m1.tiny's UUID"). Deleted flavors are gone: servers keep a copy."""

    __tablename__ = "flavors"

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    vcpus: Mapped[int]
    ram: Mapped[int]  # MiB
    disk: Mapped[int]  # GiB of the root disk; 0: as large as the image
    ephemeral: Mapped[int] = mapped_column(default=0)  # GiB
    swap: Mapped[int] = mapped_column(default=0)  # MiB
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    extra_specs: Mapped[Any] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class FlavorAccess(Base):
    """A project that may use a flavor that isn't public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[str] = mapped_column(sa.ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


class Keypair(Base):
    __tablename__ = "keypairs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(8), default="ssh")
    fingerprint: Mapped[str] = mapped_column(sa.String(255))
    public_key: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime.datetime]

    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)


class HostToken(Base):
    """The bearer token of an agent, as its SHA-256. `agent` is the name of the machine that it was made for."""

    __tablename__ = "host_tokens"

    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    agent: Mapped[str] = mapped_column(sa.String(255), index=True)


class Host(Base):
    """A hypervisor, as its agent last described it. Up while `seen_at` is recent (hosts.py)."""

    __tablename__ = "hosts"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)  # the id before 2.53
    id: Mapped[str] = mapped_column(sa.String(36), unique=True)  # also its service's and resource provider's
    hostname: Mapped[str] = mapped_column(sa.String(255), unique=True)
    agent: Mapped[str] = mapped_column(sa.String(255), index=True)
    hypervisor_type: Mapped[str] = mapped_column(sa.String(64))
    virt_type: Mapped[str] = mapped_column(sa.String(16))
    hypervisor_version: Mapped[int]
    host_ip: Mapped[str] = mapped_column(sa.String(64), default="")
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    memory_used_mb: Mapped[int] = mapped_column(default=0)
    disk_gb: Mapped[int]
    disk_used_gb: Mapped[int] = mapped_column(default=0)
    disk_free_gb: Mapped[int] = mapped_column(default=0)
    running_vms: Mapped[int] = mapped_column(default=0)
    cpu_info: Mapped[Any] = mapped_column(Json, default=dict)
    boot_id: Mapped[str] = mapped_column(sa.String(64), default="")
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String(255))
    forced_down: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime.datetime]
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class Stray(Base):
    """A server that a host has and that isn't bound to it: its agent is told to remove it."""

    __tablename__ = "strays"

    hostname: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    server_id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    revision: Mapped[int] = mapped_column(sa.BigInteger)


class Server(Base):
    """A server, deleted ones included (`deleted_at`).

    Desired: `desired`, `host` (None: not scheduled). Observed: `power` is the newest that the agent said, `settled`
    what it was when no operation was under way. `error`: the last operation that counts left it unusable.
    """

    __tablename__ = "servers"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    number: Mapped[int] = mapped_column(sa.BigInteger, default=0)  # for instance-%08x
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.String(255))
    hostname: Mapped[str] = mapped_column(sa.String(255))
    image_id: Mapped[str | None] = mapped_column(sa.String(36))
    image: Mapped[Any] = mapped_column(Json, nullable=True)  # wire.ImageSpec as it was at create or rebuild
    flavor_id: Mapped[str] = mapped_column(sa.String(255))
    flavor_name: Mapped[str] = mapped_column(sa.String(255))
    vcpus: Mapped[int]
    ram: Mapped[int]
    disk: Mapped[int]
    ephemeral: Mapped[int] = mapped_column(default=0)
    swap: Mapped[int] = mapped_column(default=0)
    extra_specs: Mapped[Any] = mapped_column(Json, default=dict)
    key_name: Mapped[str | None] = mapped_column(sa.String(255))
    key_type: Mapped[str | None] = mapped_column(sa.String(8))
    public_key: Mapped[str | None] = mapped_column(sa.Text)
    user_data: Mapped[str | None] = mapped_column(sa.Text)  # base64, as given
    admin_password: Mapped[str | None] = mapped_column(sa.String(255))  # for the guest's first boot
    personality: Mapped[Any] = mapped_column(Json, default=list)  # [{"path", "contents" (base64)}]
    config_drive: Mapped[bool] = mapped_column(default=False)
    disk_config: Mapped[str] = mapped_column(sa.String(8), default="MANUAL")
    availability_zone: Mapped[str | None] = mapped_column(sa.String(255))  # asked for, "pinned"
    requested_host: Mapped[str | None] = mapped_column(sa.String(255))
    scheduler_hints: Mapped[Any] = mapped_column(Json, default=dict)
    access_ip_v4: Mapped[str] = mapped_column(sa.String(64), default="")
    access_ip_v6: Mapped[str] = mapped_column(sa.String(64), default="")
    meta: Mapped[Any] = mapped_column("metadata", Json, default=dict)
    # What images that are made of it say of its image and its maker, by Nova's names (snapshots.py).
    system_metadata: Mapped[Any] = mapped_column(Json, default=dict, server_default="{}")
    trusted_certs: Mapped[Any] = mapped_column(Json, nullable=True)
    reservation_id: Mapped[str] = mapped_column(sa.String(64), default="")
    launch_index: Mapped[int] = mapped_column(default=0)
    root_device_name: Mapped[str] = mapped_column(sa.String(64), default="/dev/vda")
    locked_by: Mapped[str | None] = mapped_column(sa.String(8))  # "owner" or "admin"
    locked_reason: Mapped[str | None] = mapped_column(sa.String(255))
    desired: Mapped[str] = mapped_column(sa.String(16), default="running")
    host: Mapped[str | None] = mapped_column(sa.String(255))
    power: Mapped[str] = mapped_column(sa.String(16), default="pending")
    settled: Mapped[str] = mapped_column(sa.String(16), default="pending")
    error: Mapped[bool] = mapped_column(default=False)
    fault_code: Mapped[int | None]
    fault_message: Mapped[str | None] = mapped_column(sa.Text)
    fault_details: Mapped[str | None] = mapped_column(sa.Text)
    fault_at: Mapped[datetime.datetime | None]
    revision: Mapped[int] = mapped_column(sa.BigInteger, default=0)  # of the host's feed when its spec last changed
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]
    launched_at: Mapped[datetime.datetime | None]
    terminated_at: Mapped[datetime.datetime | None]
    deleted_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        sa.Index("ix_servers_project", "project_id", "deleted_at", "created_at"),
        sa.Index("ix_servers_host", "host", "revision"),
        sa.Index("ix_servers_created", "created_at", "id"),
        sa.Index("ix_servers_changed", "updated_at"),
        sa.Index("ix_servers_number", "number"),
    )


class ServerTag(Base):
    __tablename__ = "server_tags"

    server_id: Mapped[str] = mapped_column(sa.ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(sa.String(80), primary_key=True)


class Question(Base):
    """Something asked of a host while a user waits (wire.Question). `answer` is a wire.Answer; rows are short-lived."""

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255), index=True)
    server_id: Mapped[str] = mapped_column(sa.String(36))
    kind: Mapped[str] = mapped_column(sa.String(32))
    args: Mapped[Any] = mapped_column(Json, default=dict)
    answer: Mapped[Any] = mapped_column(Json, nullable=True)
    created_at: Mapped[datetime.datetime] = mapped_column(index=True)
