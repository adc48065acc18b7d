"""From descriptions to rows: networks, subnets, ports and security groups (routers are in `routers`).

Names and external_ids are those that Neutron's OVN driver gives, so what operators know about
`ovn-nbctl show` holds. All functions are pure; they raise ValueError for a description that OVN could not take.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from onestack.network.drivers import base
from onestack.network.drivers.ovn import acl, dhcp, routers, schema
from onestack.network.drivers.ovn.schema import Membership, Piece, Place, Row, derived, mac_address, optional, row_id

DROP_GROUP = "neutron_pg_drop"
DROP_PLACE = Place(schema.GROUP, derived(DROP_GROUP))
BASE_KEY = "base:drop"

_ALLOW = 1002
_DROP = 1001

_ROUTER_OWNERS = ("network:router_interface", "network:router_gateway", "network:router_interface_distributed")
# Ports that only hold an address: they are never plugged.
_WITHOUT_ROWS = ("network:floatingip", "network:distributed")

# Guests may always ask for an address, whatever their groups say.
_DHCP_REQUESTS = {
    "v4": "ip4 && ip4.dst == 255.255.255.255 && udp && udp.src == 68 && udp.dst == 67",
    "v6": "ip6 && ip6.dst == ff02::1:2 && udp && udp.src == 546 && udp.dst == 547",
}


def piece(cloud: str, kind: base.Kind, item: Any) -> Piece:
    """The rows of one object, marked as this cloud's. Raises ValueError."""
    made: Piece = _BUILDERS[kind](item)
    return _marked(cloud, made)


def gone(kind: base.Kind, id: str) -> Piece:
    """The piece of an object that is no more. Raises ValueError for an id that is none."""
    return Piece(key=f"{kind}:{id}", slots=_slots(kind, id), scans=_SCANS.get(kind, ()))


def foundation(cloud: str) -> Piece:
    """What every port relies on: the group of all filtered ports, which drops what no security group allows."""
    rules = []
    for direction, side in (("from-lport", "inport"), ("to-lport", "outport")):
        rules.append((direction, _DROP, f"{side} == @{DROP_GROUP} && ip", "drop"))
    for request in _DHCP_REQUESTS.values():
        rules.append(("from-lport", _ALLOW, f"inport == @{DROP_GROUP} && {request}", "allow"))
    places = [Place(schema.ACL, derived(DROP_GROUP, rule[0], rule[2])) for rule in rules]
    group = Row(DROP_PLACE, {"name": DROP_GROUP, "acls": _refs(places), "external_ids": {}})
    acls = (_acl(place, *rule) for place, rule in zip(places, rules, strict=True))
    return _marked(cloud, Piece(key=BASE_KEY, rows=(group, *acls), slots=(DROP_PLACE,)))


def _marked(cloud: str, made: Piece) -> Piece:
    mark = {schema.CLOUD: cloud, schema.OWNER: made.key}
    rows = tuple(
        Row(row.place, {**row.columns, "external_ids": {**row.columns.get("external_ids", {}), **mark}})
        for row in made.rows
    )
    return dataclasses.replace(made, rows=rows)


def _slots(kind: base.Kind, id: str) -> tuple[Place, ...]:
    uuid = row_id(id)
    if kind == "network":
        return (Place(schema.SWITCH, uuid), _localnet(id))
    if kind == "subnet":
        return (Place(schema.DHCP, uuid),)
    if kind == "port":
        return (Place(schema.PORT, uuid), Place(schema.DNS, uuid))
    if kind == "router":
        return (Place(schema.ROUTER, uuid),)
    if kind == "floating_ip":
        return (Place(schema.NAT, uuid),)
    return (Place(schema.GROUP, uuid),)


# Which tables hold rows of an object whose uuids do not follow from its id.
_SCANS: dict[base.Kind, tuple[str, ...]] = {
    "network": (schema.PORT,),
    "router": (schema.ROUTER_PORT, schema.ROUTE, schema.NAT),
}


def switch_name(network_id: str) -> str:
    return f"neutron-{network_id}"


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _localnet(network_id: str) -> Place:
    return Place(schema.PORT, derived("localnet", network_id))


def _refs(places: list[Place]) -> frozenset[str]:
    return frozenset(row_id(place.uuid) for place in places)


# --- networks -------------------------------------------------------------------------------------------------


def _network(network: base.Network) -> Piece:
    switch = Place(schema.SWITCH, row_id(network.id))
    rows = [
        Row(
            switch,
            {
                "name": switch_name(network.id),
                "other_config": {"mcast_snoop": "false", "vlan-passthru": "false"},
                "external_ids": {"neutron:network_name": network.name, "neutron:mtu": str(network.mtu)},
            },
        )
    ]
    if network.physical_network:
        rows.append(_localnet_port(network))
    if network.metadata:
        rows.append(_metadata_port(network, network.metadata))
    members = tuple(Membership(switch, "ports", row.place) for row in rows[1:])
    return Piece(
        key=f"network:{network.id}",
        rows=tuple(rows),
        members=members,
        slots=_slots("network", network.id),
        scans=_SCANS["network"],
    )


def _port_row(place: Place, name: str, kind: str, **columns: Any) -> Row:
    """A logical switch port with all of our columns, empty where not given."""
    nothing: frozenset[Any] = frozenset()
    values: dict[str, Any] = {
        "name": name,
        "type": kind,
        "options": {},
        "addresses": nothing,
        "port_security": nothing,
        "enabled": frozenset((True,)),
        "tag_request": nothing,
        "dhcpv4_options": nothing,
        "dhcpv6_options": nothing,
        "external_ids": {},
    }
    return Row(place, {**values, **columns})


def _localnet_port(network: base.Network) -> Row:
    """The way from a provider network to the bridge that ovn-bridge-mappings names for it on each host."""
    return _port_row(
        _localnet(network.id),
        f"provnet-{network.id}",
        "localnet",
        options={"network_name": network.physical_network},
        addresses=frozenset(("unknown",)),
        tag_request=optional(network.segmentation_id),
    )


def _metadata_port(network: base.Network, metadata: base.MetadataPort) -> Row:
    words = [mac_address(metadata.mac), *(_address(fixed.address) for fixed in metadata.fixed_ips)]
    return _port_row(
        Place(schema.PORT, row_id(metadata.port_id)),
        metadata.port_id,
        "localport",
        addresses=frozenset((" ".join(words),)),
        external_ids={
            "neutron:device_owner": "network:distributed",
            "neutron:device_id": f"ovnmeta-{network.id}",
            "neutron:network_name": switch_name(network.id),
        },
    )


def _subnet(subnet: base.Subnet) -> Piece:
    slots = _slots("subnet", subnet.id)
    if not base.serves_dhcp(subnet):
        return Piece(key=f"subnet:{subnet.id}", slots=slots)
    row = Row(
        slots[0],
        {
            "cidr": str(ipaddress.ip_network(subnet.cidr, strict=False)),
            "options": dhcp.options(subnet),
            "external_ids": {"subnet_id": subnet.id, "neutron:network_name": switch_name(subnet.network.id)},
        },
    )
    return Piece(key=f"subnet:{subnet.id}", rows=(row,), slots=slots)


# --- ports ----------------------------------------------------------------------------------------------------


def _port(port: base.Port) -> Piece:
    slots = _slots("port", port.id)
    if port.device_owner in _WITHOUT_ROWS:
        # A metadata port's place belongs to its network's piece.
        return Piece(key=f"port:{port.id}", slots=() if port.device_owner == "network:distributed" else slots)
    switch = Place(schema.SWITCH, row_id(port.network_id))
    if port.device_owner in _ROUTER_OWNERS:
        row = _router_side(port)
        return Piece(key=f"port:{port.id}", rows=(row,), members=(Membership(switch, "ports", row.place),), slots=slots)
    filtered = port.port_security_enabled and not port.device_owner.startswith("network:")
    row, needs = _guest_row(port, filtered)
    rows = [row]
    members = [Membership(switch, "ports", row.place)]
    groups = [Place(schema.GROUP, row_id(group)) for group in port.security_group_ids]
    if filtered:
        members += [Membership(group, "ports", row.place) for group in (DROP_PLACE, *groups)]
    names = dhcp.records(port)
    if names:
        rows.append(Row(Place(schema.DNS, row_id(port.id)), {"records": names, "external_ids": {}}))
        members.append(Membership(switch, "dns_records", rows[1].place))
    return Piece(key=f"port:{port.id}", rows=tuple(rows), members=tuple(members), slots=slots, needs=needs)


def _port_ids(port: base.Port) -> dict[str, str]:
    return {
        "neutron:port_name": port.name,
        "neutron:project_id": port.project_id,
        "neutron:device_id": port.device_id,
        "neutron:device_owner": port.device_owner,
        "neutron:network_name": switch_name(port.network_id),
        "neutron:security_group_ids": " ".join(sorted(port.security_group_ids)),
    }


def _router_side(port: base.Port) -> Row:
    """The switch's end of a router's port; the router's own end is in its router's piece."""
    options = {"router-port": routers.port_name(port.id)}
    if port.device_owner == "network:router_gateway":
        # Announce the router's external addresses (its own, SNAT, floating IPs) when the gateway moves.
        options |= {"nat-addresses": "router", "exclude-lb-vips-from-garp": "true"}
    return _port_row(
        Place(schema.PORT, row_id(port.id)),
        port.id,
        "router",
        options=options,
        addresses=frozenset(("router",)),
        enabled=frozenset((port.admin_state_up,)),
        external_ids=_port_ids(port),
    )


def _guest_row(port: base.Port, filtered: bool) -> tuple[Row, tuple[Place, ...]]:
    mac = mac_address(port.mac)
    own = [mac, *(_address(fixed.address) for fixed in port.fixed_ips)]
    others: dict[str, list[str]] = {}
    for pair in port.allowed_address_pairs:
        other = mac_address(pair.mac) if pair.mac else mac
        address = str(ipaddress.ip_network(pair.ip, strict=False))
        single = address.removesuffix("/32") if "." in address else address.removesuffix("/128")
        others.setdefault(other, []).append(single)
    security = {" ".join([*own, *others.pop(mac, [])])} | {" ".join([other, *ips]) for other, ips in others.items()}
    addresses = {" ".join(own), *others}
    if not filtered:
        addresses.add("unknown")
    columns: dict[str, Any] = {"dhcpv4_options": frozenset(), "dhcpv6_options": frozenset()}
    needs = []
    for fixed in port.fixed_ips:
        column = "dhcpv6_options" if ":" in fixed.address else "dhcpv4_options"
        if fixed.dhcp and not columns[column] and not port.device_owner.startswith("network:"):
            columns[column] = frozenset((row_id(fixed.subnet_id),))
            needs.append(Place(schema.DHCP, row_id(fixed.subnet_id)))
    row = _port_row(
        Place(schema.PORT, row_id(port.id)),
        port.id,
        "",
        options={"requested-chassis": port.host} if port.host else {},
        addresses=frozenset(addresses),
        port_security=frozenset(security) if filtered else frozenset(),
        enabled=frozenset((port.admin_state_up,)),
        external_ids=_port_ids(port),
        **columns,
    )
    return row, tuple(needs)


# --- security groups ------------------------------------------------------------------------------------------


def _security_group(group: base.SecurityGroup) -> Piece:
    name = acl.group_name(group.id)
    place = Place(schema.GROUP, row_id(group.id))
    acls = []
    for rule in group.rules:
        match = acl.match(rule, name)
        if match is not None:
            direction = "to-lport" if rule.direction == "ingress" else "from-lport"
            ids = {"neutron:security_group_rule_id": rule.id}
            acls.append(_acl(Place(schema.ACL, row_id(rule.id)), direction, _ALLOW, match, "allow-related", ids))
    row = Row(
        place,
        {
            "name": name,
            "acls": _refs([item.place for item in acls]),
            "external_ids": {"neutron:security_group_id": group.id, "neutron:security_group_name": group.name},
        },
    )
    return Piece(key=f"security_group:{group.id}", rows=(row, *acls), slots=(place,))


def _acl(
    place: Place, direction: str, priority: int, match: str, action: str, ids: dict[str, str] | None = None
) -> Row:
    return Row(
        place,
        {
            "priority": priority,
            "direction": direction,
            "match": match,
            "action": action,
            "log": False,
            "external_ids": ids or {},
        },
    )


_BUILDERS: dict[base.Kind, Any] = {
    "network": _network,
    "subnet": _subnet,
    "port": _port,
    "security_group": _security_group,
    "router": routers.router,
    "floating_ip": routers.floating_ip,
}
