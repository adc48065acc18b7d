"""The tables. Their rows are the truth; the engine's are derived from them."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class Standard:
    """What every object of the API has."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), default="", index=True)  # empty: the cloud's own
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    revision_number: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


class Network(Standard, Base):
    __tablename__ = "networks"

    name: Mapped[str] = mapped_column(sa.String(255), default="")
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    shared: Mapped[bool] = mapped_column(default=False)
    external: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    mtu: Mapped[int]
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    dns_domain: Mapped[str] = mapped_column(sa.String(255), default="")
    network_type: Mapped[str] = mapped_column(sa.String(16))  # geneve, flat, vlan
    physical_network: Mapped[str | None] = mapped_column(sa.String(64))
    segmentation_id: Mapped[int | None]
    availability_zone_hints: Mapped[Any] = mapped_column(Json, default=list)

    __table_args__ = (
        sa.UniqueConstraint("network_type", "physical_network", "segmentation_id", name="uq_networks_segment"),
    )


class Subnet(Standard, Base):
    __tablename__ = "subnets"

    name: Mapped[str] = mapped_column(sa.String(255), default="")
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    ip_version: Mapped[int]
    cidr: Mapped[str] = mapped_column(sa.String(64))
    gateway_ip: Mapped[str | None] = mapped_column(sa.String(64))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    ipv6_ra_mode: Mapped[str | None] = mapped_column(sa.String(16))
    ipv6_address_mode: Mapped[str | None] = mapped_column(sa.String(16))
    allocation_pools: Mapped[Any] = mapped_column(Json, default=list)  # [[first, last], …] as text
    dns_nameservers: Mapped[Any] = mapped_column(Json, default=list)
    host_routes: Mapped[Any] = mapped_column(Json, default=list)
    service_types: Mapped[Any] = mapped_column(Json, default=list)


class Port(Standard, Base):
    __tablename__ = "ports"

    name: Mapped[str] = mapped_column(sa.String(255), default="")
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    mac_address: Mapped[str] = mapped_column(sa.String(17))
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(sa.String(16), default="DOWN")
    device_id: Mapped[str] = mapped_column(sa.String(255), default="", index=True)
    device_owner: Mapped[str] = mapped_column(sa.String(255), default="")
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    allowed_address_pairs: Mapped[Any] = mapped_column(Json, default=list)
    dns_name: Mapped[str] = mapped_column(sa.String(255), default="")
    host: Mapped[str] = mapped_column(sa.String(255), default="", index=True)
    vnic_type: Mapped[str] = mapped_column(sa.String(64), default="normal")
    profile: Mapped[Any] = mapped_column(Json, default=dict)
    # Compute made it, and deletes it with the server; a port that the user made is only set free.
    of_compute: Mapped[bool] = mapped_column(default=False)
    tag: Mapped[str] = mapped_column(sa.String(255), default="")  # of the server's interface
    nic_index: Mapped[int] = mapped_column(default=0)  # its place among the server's interfaces

    __table_args__ = (sa.UniqueConstraint("network_id", "mac_address"),)


class PortAddress(Base):
    __tablename__ = "port_addresses"

    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"), primary_key=True)
    ip_address: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id", ondelete="CASCADE"), index=True)
    network_id: Mapped[str] = mapped_column(sa.String(36))
    position: Mapped[int] = mapped_column(default=0)

    __table_args__ = (sa.Index("ix_port_addresses_address", "network_id", "ip_address"),)


class PortSecurityGroup(Base):
    __tablename__ = "port_security_groups"

    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True)
    security_group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), primary_key=True, index=True)


class Router(Standard, Base):
    __tablename__ = "routers"

    name: Mapped[str] = mapped_column(sa.String(255), default="")
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    gateway_port_id: Mapped[str | None] = mapped_column(sa.ForeignKey("ports.id"))
    enable_snat: Mapped[bool] = mapped_column(default=True)
    routes: Mapped[Any] = mapped_column(Json, default=list)
    availability_zone_hints: Mapped[Any] = mapped_column(Json, default=list)


class FloatingIp(Standard, Base):
    __tablename__ = "floating_ips"

    floating_network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    floating_ip_address: Mapped[str] = mapped_column(sa.String(64), index=True)
    floating_port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id"))
    port_id: Mapped[str | None] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    fixed_ip_address: Mapped[str | None] = mapped_column(sa.String(64))
    router_id: Mapped[str | None] = mapped_column(sa.ForeignKey("routers.id"), index=True)
    status: Mapped[str] = mapped_column(sa.String(16), default="DOWN")
    dns_name: Mapped[str] = mapped_column(sa.String(255), default="")

    __table_args__ = (sa.UniqueConstraint("port_id", "fixed_ip_address", "floating_network_id"),)


class SecurityGroup(Standard, Base):
    __tablename__ = "security_groups"

    name: Mapped[str] = mapped_column(sa.String(255), default="")
    stateful: Mapped[bool] = mapped_column(default=True)
    # Set on a project's default group alone, so that there is never a second one.
    default_of: Mapped[str | None] = mapped_column(sa.String(64), unique=True)


class SecurityGroupRule(Standard, Base):
    __tablename__ = "security_group_rules"

    security_group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), index=True)
    direction: Mapped[str] = mapped_column(sa.String(8))
    ethertype: Mapped[str] = mapped_column(sa.String(8))
    protocol: Mapped[str | None] = mapped_column(sa.String(32))
    port_range_min: Mapped[int | None]
    port_range_max: Mapped[int | None]
    remote_ip_prefix: Mapped[str | None] = mapped_column(sa.String(64))
    remote_group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("security_groups.id"), index=True)


class Tag(Base):
    __tablename__ = "network_tags"

    object_id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    tag: Mapped[str] = mapped_column(sa.String(255), primary_key=True)


class Change(Base):
    """An object that the engine hasn't been told about yet."""

    __tablename__ = "network_changes"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    revision: Mapped[int] = mapped_column(sa.BigInteger)


class AutoTopology(Base):
    """The network that a project got by asking for `auto`."""

    __tablename__ = "auto_allocated_topologies"

    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id", ondelete="CASCADE"))
    router_id: Mapped[str | None] = mapped_column(sa.ForeignKey("routers.id", ondelete="SET NULL"))
