"""Servers' interfaces as compute sees them: plain data, loaded for many servers with a constant number of queries."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.db import fetch, many
from onestack.network.models import FloatingIp, Network, Port, PortAddress, PortSecurityGroup, SecurityGroup, Subnet


class NicAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A fixed address with what network data says about its subnet. `routes`: (destination, next hop)."""

    address: str
    version: int
    subnet_id: str
    cidr: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    dhcp: bool = True
    ipv6_address_mode: str | None = None


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of a server. `floating_ips`: (floating address, fixed address)."""

    port_id: str
    mac: str
    network_id: str
    network_name: str
    mtu: int
    status: str
    host: str = ""
    tag: str = ""
    of_compute: bool = True
    vnic_type: str = "normal"
    fixed_ips: tuple[NicAddress, ...] = ()
    floating_ips: tuple[tuple[str, str], ...] = ()
    security_groups: tuple[tuple[str, str], ...] = ()  # (id, name)


class ServerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a server's `addresses`."""

    network_name: str
    address: str
    version: int
    mac: str
    kind: str  # fixed, floating


class HostNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network with a server's port on a host, and its metadata port there. `addresses` with prefix."""

    id: str
    metadata_port_id: str
    mac: str
    addresses: list[str]
    mtu: int


_PORTS = (
    sa.select(
        Port.id, Port.device_id, Port.mac_address, Port.network_id, Port.status, Port.host, Port.tag,
        Port.of_compute, Port.vnic_type, Network.name.label("network_name"), Network.mtu,
    )
    .join(Network, Network.id == Port.network_id)
    .where(Port.device_id.in_(many("servers")), Port.device_owner.like("compute:%"))
    .order_by(Port.nic_index, Port.id)
)  # fmt: skip
_FIXED = (
    sa.select(
        PortAddress.port_id, PortAddress.ip_address, Subnet.id, Subnet.cidr, Subnet.ip_version, Subnet.gateway_ip,
        Subnet.dns_nameservers, Subnet.host_routes, Subnet.enable_dhcp, Subnet.ipv6_address_mode,
    )
    .join(Subnet, Subnet.id == PortAddress.subnet_id)
    .where(PortAddress.port_id.in_(many("ports")))
    .order_by(PortAddress.port_id, PortAddress.position)
)  # fmt: skip
_FLOATING = (
    sa.select(FloatingIp.port_id, FloatingIp.floating_ip_address, FloatingIp.fixed_ip_address)
    .where(FloatingIp.port_id.in_(many("ports")))
    .order_by(FloatingIp.id)
)
_GROUPS = (
    sa.select(PortSecurityGroup.port_id, SecurityGroup.id, SecurityGroup.name)
    .join(SecurityGroup, SecurityGroup.id == PortSecurityGroup.security_group_id)
    .where(PortSecurityGroup.port_id.in_(many("ports")))
    .order_by(SecurityGroup.name, SecurityGroup.id)
)


def info(session: Session, server_ids: Sequence[str]) -> dict[str, list[Nic]]:
    """Server → its interfaces, in their order."""
    rows = fetch(session, _PORTS, servers=server_ids).all()
    ids = [row.id for row in rows]
    fixed = _fixed(session, ids)
    floating = _floating(session, ids)
    groups = _groups(session, ids)
    found: dict[str, list[Nic]] = {}
    for row in rows:
        found.setdefault(row.device_id, []).append(
            Nic(
                port_id=row.id, mac=row.mac_address, network_id=row.network_id, network_name=row.network_name,
                mtu=row.mtu, status=row.status, host=row.host, tag=row.tag, of_compute=row.of_compute,
                vnic_type=row.vnic_type, fixed_ips=tuple(fixed.get(row.id, ())),
                floating_ips=tuple(floating.get(row.id, ())), security_groups=tuple(groups.get(row.id, ())),
            )
        )  # fmt: skip
    return found


def _fixed(session: Session, port_ids: list[str]) -> dict[str, list[NicAddress]]:
    found: dict[str, list[NicAddress]] = {}
    for row in fetch(session, _FIXED, ports=port_ids):
        found.setdefault(row.port_id, []).append(
            NicAddress(
                address=row.ip_address, version=row.ip_version, subnet_id=row.id, cidr=row.cidr,
                gateway=row.gateway_ip, dns=tuple(row.dns_nameservers), dhcp=row.enable_dhcp,
                ipv6_address_mode=row.ipv6_address_mode,
                routes=tuple((route["destination"], route["nexthop"]) for route in row.host_routes),
            )
        )  # fmt: skip
    return found


def _floating(session: Session, port_ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for row in fetch(session, _FLOATING, ports=port_ids):
        found.setdefault(str(row.port_id), []).append((row.floating_ip_address, row.fixed_ip_address or ""))
    return found


def _groups(session: Session, port_ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for port, group, name in fetch(session, _GROUPS, ports=port_ids):
        found.setdefault(port, []).append((group, name))
    return found


def addresses_of(session: Session, server_ids: Sequence[str]) -> dict[str, list[ServerAddress]]:
    """Server → its addresses, for lists of many servers: two queries."""
    rows = session.execute(
        sa.select(
            Port.device_id, Port.id, Port.mac_address, PortAddress.ip_address, Network.name, Port.network_id,
        )
        .join(PortAddress, PortAddress.port_id == Port.id)
        .join(Network, Network.id == Port.network_id)
        .where(Port.device_id.in_(server_ids), Port.device_owner.like("compute:%"))
        .order_by(Port.nic_index, Port.id, PortAddress.position)
    ).all()  # fmt: skip
    floating: dict[tuple[Any, Any], list[str]] = {}
    query = (
        sa.select(FloatingIp.port_id, FloatingIp.fixed_ip_address, FloatingIp.floating_ip_address)
        .join(Port, Port.id == FloatingIp.port_id)
        .where(Port.device_id.in_(server_ids))
    )
    for row in session.execute(query):
        floating.setdefault((row.port_id, row.fixed_ip_address), []).append(row.floating_ip_address)
    found: dict[str, list[ServerAddress]] = {}
    for line in rows:
        lines = found.setdefault(line.device_id, [])
        loose = floating.get((line.id, line.ip_address), [])
        for kind, addresses in (("fixed", [line.ip_address]), ("floating", loose)):
            for address in addresses:
                lines.append(
                    ServerAddress(
                        network_name=line.name, address=address, version=6 if ":" in address else 4,
                        mac=line.mac_address, kind=kind,
                    )
                )  # fmt: skip
    return found


def networks_on_host(session: Session, host: str) -> list[HostNetwork]:
    """The networks that have a server's port on a host, and a metadata port: two queries."""
    metadata = sa.orm.aliased(Port)
    rows = session.execute(
        sa.select(Network.id, Network.mtu, metadata.id.label("port_id"), metadata.mac_address)
        .join(metadata, sa.and_(metadata.network_id == Network.id, metadata.device_owner == "network:distributed"))
        .where(sa.exists().where(Port.network_id == Network.id, Port.host == host, Port.device_owner.like("compute:%")))
        .order_by(Network.id)
    ).all()
    addresses: dict[str, list[str]] = {}
    query = (
        sa.select(PortAddress.port_id, PortAddress.ip_address, Subnet.cidr)
        .join(Subnet, Subnet.id == PortAddress.subnet_id)
        .where(PortAddress.port_id.in_([row.port_id for row in rows]), Subnet.ip_version == 4)
        .order_by(PortAddress.position)
    )
    for row in session.execute(query):
        prefix = ipaddress.ip_network(row.cidr).prefixlen
        addresses.setdefault(row.port_id, []).append(f"{row.ip_address}/{prefix}")
    return [
        HostNetwork(
            id=row.id, metadata_port_id=row.port_id, mac=row.mac_address, mtu=row.mtu,
            addresses=addresses.get(row.port_id, []),
        )
        for row in rows
    ]  # fmt: skip


def port_by_address(session: Session, network_id: str, address: str) -> tuple[str, str, str] | None:
    """(port id, device id, project id) of who has an address on a network: whom a metadata request is from."""
    row = session.execute(
        sa.select(Port.id, Port.device_id, Port.project_id)
        .join(PortAddress, PortAddress.port_id == Port.id)
        .where(PortAddress.network_id == network_id, PortAddress.ip_address == address)
        .limit(1)
    ).first()
    return None if row is None else (row.id, row.device_id, row.project_id)
