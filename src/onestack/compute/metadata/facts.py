"""What the documents are made of: one server, its interfaces and its keys, as plain values.

The documents are pure functions of Facts. `load` is the only thing here that asks the database.
"""

from __future__ import annotations

import base64

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability
from onestack.compute.metadata import passwords
from onestack.compute.models import Server
from onestack.network import public as network
from onestack.network.public import Nic

DOMAIN = "novalocal"  # what a guest's host name ends in, as Nova's [api]dhcp_domain


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
    interfaces: list[Nic] = []
    password: str = ""  # the encrypted one, that the guest has posted


def load(session: Session, server_id: str) -> Facts | None:
    """The facts of a server that exists; None otherwise. A constant number of queries."""
    server = session.scalars(sa.select(Server).where(Server.id == server_id, Server.deleted_at.is_(None))).first()
    if server is None:
        return None
    interfaces = network.info(session, [server.id]).get(server.id, [])
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
        security_groups=list(dict.fromkeys(name for nic in interfaces for _id, name in nic.security_groups)),
        interfaces=interfaces,
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
