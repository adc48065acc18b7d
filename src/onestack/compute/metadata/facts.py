"""What the documents are made of: one server, its interfaces and its keys, as plain values.

The documents are pure functions of Facts. `load` is the only thing here that asks the database.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability, nics
from onestack.compute.metadata import passwords
from onestack.compute.models import Server
from onestack.network import public as network

DOMAIN = "novalocal"  # what a guest's host name ends in, as Nova's [api]dhcp_domain


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """`host_routes`: [{"destination": cidr, "nexthop": address}]."""

    ip_version: int
    cidr: str
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    ipv6_address_mode: str | None = None
    dns_nameservers: list[str] = []
    host_routes: list[dict[str, str]] = []


class Address(msgspec.Struct, frozen=True, kw_only=True):
    ip: str
    subnet: Subnet
    floating: list[str] = []


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    port_id: str
    mac: str
    network_id: str
    mtu: int
    tag: str = ""
    addresses: list[Address] = []


class Key(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    data: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`disks`: device names by what they are: {"root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"}.

    `admin_password` and `files` ([path, content]) are for the config drive only: what the network serves can be read
    by everybody in the guest, for as long as it lives.
    """

    id: str
    number: int
    project_id: str
    name: str
    hostname: str  # with its domain
    flavor_name: str
    availability_zone: str | None = None
    launch_index: int = 0
    reservation_id: str = ""
    image_id: str | None = None
    disks: dict[str, str] = {}
    meta: dict[str, str] = {}
    key: Key | None = None
    user_data: bytes | None = None
    admin_password: str | None = None
    files: list[tuple[str, bytes]] = []
    security_groups: list[str] = []
    interfaces: list[Interface] = []
    password: str = ""  # the encrypted one, that the guest has posted


def load(session: Session, server_id: str) -> Facts | None:
    """The facts of a server that exists; None otherwise. A constant number of queries."""
    server = session.scalars(sa.select(Server).where(Server.id == server_id, Server.deleted_at.is_(None))).first()
    if server is None:
        return None
    ports = nics.of(session, [server.id]).get(server.id, [])
    return Facts(
        id=server.id,
        number=server.number,
        project_id=server.project_id,
        name=server.name,
        hostname=f"{server.hostname}.{DOMAIN}",
        flavor_name=server.flavor_name,
        availability_zone=_zone(session, server),
        launch_index=server.launch_index,
        reservation_id=server.reservation_id,
        image_id=server.image_id,
        disks=_disks(server),
        meta=server.meta,
        key=_key(server),
        user_data=None if server.user_data is None else _decoded(server.user_data),
        admin_password=server.admin_password,
        files=[(file["path"], _decoded(file["contents"])) for file in server.personality],
        security_groups=[group["name"] for group in nics.security_groups(ports)],
        interfaces=_interfaces(session, ports),
        password=passwords.stored(session, server.id),
    )


def _zone(session: Session, server: Server) -> str | None:
    if server.host is None:
        return server.availability_zone
    return availability.zones(session, [server.host])[server.host]


def _key(server: Server) -> Key | None:
    if server.key_name is None or server.public_key is None:
        return None
    return Key(name=server.key_name, type=server.key_type or "ssh", data=server.public_key)


def _disks(server: Server) -> dict[str, str]:
    """In the order in which the host attaches them (spec.disks)."""
    names = ["root"]
    if server.ephemeral:
        names.append("ephemeral0")
    if server.swap:
        names.append("swap")
    prefix = server.root_device_name[:-1]
    return {name: f"{prefix}{'abc'[place]}" for place, name in enumerate(names)}


def _decoded(text: str) -> bytes:
    return base64.b64decode("".join(text.split()))


def _interfaces(session: Session, ports: list[Any]) -> list[Interface]:
    ids = {fixed.subnet_id for nic in ports for fixed in nic.fixed_ips}
    subnets = {
        row.id: msgspec.convert(row, Subnet, from_attributes=True) for row in network.subnets(session, sorted(ids))
    }
    return [
        Interface(
            port_id=nic.port_id, mac=nic.mac, network_id=nic.network_id, mtu=nic.mtu, tag=nic.tag or "",
            addresses=[
                Address(ip=fixed.address, subnet=subnets[fixed.subnet_id], floating=list(fixed.floating))
                for fixed in nic.fixed_ips
            ],
        )
        for nic in ports
    ]  # fmt: skip
