"""From descriptions to rows: routers with their ports, routes and SNAT, and floating IPs.

A router's gateway is centralised: its port is scheduled on the chassis given, and SNAT and floating IPs happen there.
"""

from __future__ import annotations

import ipaddress

from onestack.network.drivers import base
from onestack.network.drivers.ovn import schema
from onestack.network.drivers.ovn.schema import Membership, Piece, Place, Row, derived, mac_address, optional, row_id

_RA_MODES = {"slaac": "slaac", "dhcpv6-stateful": "dhcpv6_stateful", "dhcpv6-stateless": "dhcpv6_stateless"}
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


def router_name(router_id: str) -> str:
    return f"neutron-{router_id}"


def port_name(port_id: str) -> str:
    return f"lrp-{port_id}"


def router(item: base.Router) -> Piece:
    place = Place(schema.ROUTER, row_id(item.id))
    ids = {"neutron:router_name": item.name}
    if item.gateway:
        ids["neutron:gw_port_id"] = item.gateway.port_id
    columns = {
        "name": router_name(item.id),
        "enabled": frozenset((item.admin_state_up,)),
        "options": {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"},
        "external_ids": ids,
    }
    ports = [_interface(item, interface) for interface in item.interfaces]
    chassis: list[Row] = []
    if item.gateway:
        chassis = _gateway_chassis(item.gateway)
        ports.append(_gateway_port(item, item.gateway, chassis))
    routes, nats = _routes(item), _snat(item)
    members = [Membership(place, "ports", row.place) for row in ports]
    members += [Membership(place, "static_routes", row.place) for row in routes]
    members += [Membership(place, "nat", row.place) for row in nats]
    return Piece(
        key=f"router:{item.id}",
        rows=(Row(place, columns), *ports, *chassis, *routes, *nats),
        members=tuple(members),
        slots=(place,),
        scans=(schema.ROUTER_PORT, schema.ROUTE, schema.NAT),
    )


def _networks(addresses: tuple[str, ...]) -> frozenset[str]:
    if not addresses:
        raise ValueError("a router's port has no address")
    return frozenset(str(ipaddress.ip_interface(address)) for address in addresses)


def _interface(item: base.Router, interface: base.RouterPort) -> Row:
    advertised: dict[str, str] = {}
    mode = _RA_MODES.get(interface.ipv6_ra_mode or "")
    if mode:
        advertised = {"address_mode": mode, "send_periodic": "true", "mtu": str(interface.mtu)}
        if interface.dns_nameservers:
            advertised["rdnss"] = str(ipaddress.IPv6Address(interface.dns_nameservers[0]))
    return Row(
        Place(schema.ROUTER_PORT, row_id(interface.port_id)),
        {
            "name": port_name(interface.port_id),
            "mac": mac_address(interface.mac),
            "networks": _networks(interface.addresses),
            "options": {},
            "gateway_chassis": frozenset(),
            "ipv6_ra_configs": advertised,
            "external_ids": _port_ids(item, interface.network_id, interface.subnet_ids),
        },
    )


def _port_ids(item: base.Router, network_id: str, subnet_ids: tuple[str, ...]) -> dict[str, str]:
    return {
        "neutron:router_name": item.id,
        "neutron:network_name": f"neutron-{network_id}",
        "neutron:subnet_ids": " ".join(sorted(subnet_ids)),
    }


def _gateway_chassis(gateway: base.Gateway) -> list[Row]:
    rows = []
    for at, chassis in enumerate(gateway.chassis):
        name = f"{port_name(gateway.port_id)}_{chassis}"
        columns = {"name": name, "chassis_name": chassis, "priority": len(gateway.chassis) - at, "external_ids": {}}
        rows.append(Row(Place(schema.GATEWAY, derived("gateway", name)), columns))
    return rows


def _gateway_port(item: base.Router, gateway: base.Gateway, chassis: list[Row]) -> Row:
    # Tunnels make tenant networks narrower than the external one: the router must tell senders outside
    # (fragmentation needed), or path MTU discovery would end in a black hole.
    narrowest = min([gateway.mtu, *(interface.mtu for interface in item.interfaces)])
    ids = _port_ids(item, gateway.network_id, gateway.subnet_ids) | {"neutron:is_ext_gw": "True"}
    return Row(
        Place(schema.ROUTER_PORT, row_id(gateway.port_id)),
        {
            "name": port_name(gateway.port_id),
            "mac": mac_address(gateway.mac),
            "networks": _networks(gateway.addresses),
            "options": {"gateway_mtu": str(narrowest)},
            "gateway_chassis": frozenset(row_id(row.place.uuid) for row in chassis),
            "ipv6_ra_configs": {},
            "external_ids": ids,
        },
    )


def _routes(item: base.Router) -> list[Row]:
    wanted: dict[tuple[str, str], str] = {}
    for route in item.routes:
        destination = str(ipaddress.ip_network(route.destination, strict=False))
        wanted[destination, str(ipaddress.ip_address(route.nexthop))] = ""
    if item.gateway:
        for text in item.gateway.nexthops:
            nexthop = ipaddress.ip_address(text)
            wanted.setdefault((_EVERYWHERE[nexthop.version], str(nexthop)), port_name(item.gateway.port_id))
    rows = []
    for (destination, hop), port in wanted.items():
        columns = {
            "ip_prefix": destination,
            "nexthop": hop,
            "output_port": optional(port),
            "policy": frozenset(),
            "external_ids": {"neutron:is_ext_gw": "true"} if port else {},
        }
        rows.append(Row(Place(schema.ROUTE, derived("route", item.id, destination, hop)), columns))
    return rows


def _snat(item: base.Router) -> list[Row]:
    """One SNAT for each IPv4 range behind the router, to the router's own external address."""
    if not item.gateway or not item.gateway.enable_snat:
        return []
    outside = [str(found.ip) for found in map(ipaddress.ip_interface, item.gateway.addresses) if found.version == 4]
    if not outside:
        return []
    inside = [ipaddress.ip_interface(text) for port in item.interfaces for text in port.addresses]
    rows = {}
    for address in inside:
        if address.version == 4:
            cidr = str(address.network)
            place = Place(schema.NAT, derived("snat", item.id, cidr))
            rows[place] = Row(place, _nat("snat", outside[0], cidr, {"neutron:router_name": router_name(item.id)}))
    return list(rows.values())


def _nat(kind: str, external: str, inside: str, ids: dict[str, str], port: str = "") -> dict[str, object]:
    return {
        "type": kind,
        "external_ip": external,
        "logical_ip": inside,
        "logical_port": optional(port),
        "external_mac": frozenset(),
        "external_ids": ids,
    }


def floating_ip(item: base.FloatingIp) -> Piece:
    """Nothing while it is not associated."""
    place = Place(schema.NAT, row_id(item.id))
    key = f"floating_ip:{item.id}"
    if not item.router_id or not item.fixed_ip_address:
        return Piece(key=key, slots=(place,))
    ids = {
        "neutron:fip_id": item.id,
        "neutron:fip_port_id": item.port_id,
        "neutron:fip_network_id": item.floating_network_id,
        "neutron:router_name": router_name(item.router_id),
    }
    external = str(ipaddress.IPv4Address(item.floating_ip_address))
    inside = str(ipaddress.IPv4Address(item.fixed_ip_address))
    member = Membership(Place(schema.ROUTER, row_id(item.router_id)), "nat", place)
    row = Row(place, _nat("dnat_and_snat", external, inside, ids, item.port_id))
    return Piece(key=key, rows=(row,), members=(member,), slots=(place,))
