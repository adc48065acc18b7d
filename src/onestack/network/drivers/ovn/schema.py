"""The part of OVN's northbound schema that we write (ovn-nb(5)), and what a piece of desired state looks like.

Every row gets a uuid that follows from the object's own id, so nothing is ever looked up by name: a network's switch
has the network's id as its uuid, a port's logical port the port's, and so on (docs/network-engine.md has the table).
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from typing import Any, Literal, NamedTuple

from onestack.network.drivers.ovn.ovsdb import Ref

CLOUD = "onestack:cloud"
OWNER = "onestack:owner"

SWITCH = "Logical_Switch"
PORT = "Logical_Switch_Port"
DHCP = "DHCP_Options"
DNS = "DNS"
GROUP = "Port_Group"
ACL = "ACL"
ROUTER = "Logical_Router"
ROUTER_PORT = "Logical_Router_Port"
GATEWAY = "Gateway_Chassis"
ROUTE = "Logical_Router_Static_Route"
NAT = "NAT"

ColumnKind = Literal["atom", "set", "map"]

# The columns that are ours. Others (a port's `up`, an operator's QoS) are neither read nor written.
COLUMNS: dict[str, dict[str, ColumnKind]] = {
    SWITCH: {"name": "atom", "other_config": "map", "external_ids": "map"},
    PORT: {
        "name": "atom",
        "type": "atom",
        "options": "map",
        "addresses": "set",
        "port_security": "set",
        "enabled": "set",
        "tag_request": "set",
        "dhcpv4_options": "set",
        "dhcpv6_options": "set",
        "external_ids": "map",
    },
    DHCP: {"cidr": "atom", "options": "map", "external_ids": "map"},
    DNS: {"records": "map", "external_ids": "map"},
    GROUP: {"name": "atom", "acls": "set", "external_ids": "map"},
    ACL: {
        "priority": "atom",
        "direction": "atom",
        "match": "atom",
        "action": "atom",
        "log": "atom",
        "external_ids": "map",
    },
    ROUTER: {"name": "atom", "enabled": "set", "options": "map", "external_ids": "map"},
    ROUTER_PORT: {
        "name": "atom",
        "mac": "atom",
        "networks": "set",
        "options": "map",
        "gateway_chassis": "set",
        "ipv6_ra_configs": "map",
        "external_ids": "map",
    },
    GATEWAY: {"name": "atom", "chassis_name": "atom", "priority": "atom", "external_ids": "map"},
    ROUTE: {"ip_prefix": "atom", "nexthop": "atom", "output_port": "set", "policy": "set", "external_ids": "map"},
    NAT: {
        "type": "atom",
        "external_ip": "atom",
        "logical_ip": "atom",
        "logical_port": "set",
        "external_mac": "set",
        "external_ids": "map",
    },
}

# Set columns that several objects share, each adding its own members. (The other references, a group's ACLs and a
# router port's chassis, belong to one object and are ordinary columns of it.)
SHARED: dict[str, tuple[tuple[str, str], ...]] = {
    PORT: ((SWITCH, "ports"), (GROUP, "ports")),
    DNS: ((SWITCH, "dns_records"),),
    ROUTER_PORT: ((ROUTER, "ports"),),
    ROUTE: ((ROUTER, "static_routes"),),
    NAT: ((ROUTER, "nat"),),
}
SHARED_BY_PARENT: dict[str, tuple[str, ...]] = {
    SWITCH: ("ports", "dns_records"),
    GROUP: ("ports",),
    ROUTER: ("ports", "static_routes", "nat"),
}

# Rows that live by themselves; all others are garbage once nothing refers to them.
ROOTS = frozenset({SWITCH, DHCP, DNS, GROUP, ROUTER})

# Tables in which no two rows may have the same name.
UNIQUE_NAMES = frozenset({PORT, GROUP, ROUTER_PORT, GATEWAY})

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NAMESPACE = uuid.UUID("5f4c1c0e-6c5d-5b52-9d6e-0b5a7d3f0c11")


class Place(NamedTuple):
    """Where a row is: table and uuid."""

    table: str
    uuid: str


class Membership(NamedTuple):
    """A row is a member of a shared set column of its parent."""

    parent: Place
    column: str
    child: Place


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    place: Place
    columns: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """What one object needs in the database; with no rows: nothing any more.

    `slots`: every place that the object may ever occupy and that follows from its id. `scans`: tables in which it
    has rows whose uuids do not, found by their owner mark. `home`: the row that holds those. `needs`: rows of
    other objects that must be there.
    """

    key: str
    rows: tuple[Row, ...] = ()
    members: tuple[Membership, ...] = ()
    slots: tuple[Place, ...] = ()
    scans: tuple[str, ...] = ()
    needs: tuple[Place, ...] = ()


def row_id(text: str) -> Ref:
    """An object's id as the uuid of its row. Raises ValueError when it is none."""
    return Ref(uuid.UUID(text))


def derived(*words: str) -> Ref:
    """The uuid of a row that has no object of its own, from words that identify it."""
    return Ref(uuid.uuid5(_NAMESPACE, "/".join(words)))


def normal(table: str, column: str, value: Any) -> Any:
    """A decoded value in the one form that its column's type has here."""
    if COLUMNS[table].get(column, "set") == "set" and not isinstance(value, frozenset):
        return frozenset((value,))
    return value


def optional(value: Any) -> frozenset[Any]:
    """An optional column's value: a set of none or one."""
    return frozenset() if value is None or value == "" else frozenset((value,))


def mac_address(text: str) -> str:
    """A MAC address in OVN's form. Raises ValueError."""
    mac = text.lower()
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{text!r} is not a MAC address")
    return mac
