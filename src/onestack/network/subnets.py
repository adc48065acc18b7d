"""Subnets: create, change, delete, and what is wrong with a CIDR, a gateway or a pool."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.network import addresses, attributes, dirty, errors, ipam, metadata_ports, networks, objects
from onestack.network.attributes import REQUIRED, UNSET, Attr, boolean, integer, one_of, optional, standard
from onestack.network.models import Network, Port, PortAddress, Subnet

MODES = ("dhcpv6-stateful", "dhcpv6-stateless", "slaac")
MAX_NAMESERVERS = 5
MAX_ROUTES = 20


def _owners(value: Any) -> list[str]:
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise errors.bad_request("Subnet service types must be a list.")
    for item in value:
        if not item.startswith(("network:", "compute:", "baremetal:")):
            raise errors.bad("InvalidSubnetServiceType", f"Subnet service type {item} does not correspond to a valid "
                             "device owner.")  # fmt: skip
    return value


ATTRIBUTES = standard(
    name=Attr(attributes.name_text, default=""),
    ip_version=Attr(one_of(4, 6, convert=integer), put=False, default=REQUIRED),
    network_id=Attr(attributes.uuid, put=False, default=REQUIRED),
    subnetpool_id=Attr(optional(attributes.uuid), put=False, default=None),
    prefixlen=Attr(attributes.not_negative, put=False),
    cidr=Attr(optional(attributes.cidr), put=False, default=None),
    gateway_ip=Attr(optional(attributes.address)),
    allocation_pools=Attr(attributes.pools),
    dns_nameservers=Attr(attributes.addresses, default=list),
    host_routes=Attr(attributes.host_routes, default=list),
    enable_dhcp=Attr(boolean, default=True),
    ipv6_ra_mode=Attr(one_of(*MODES, None), put=False, default=None),
    ipv6_address_mode=Attr(one_of(*MODES, None), put=False, default=None),
    service_types=Attr(_owners, default=list),
    **{"router:external": Attr(post=False, put=False)},
)


def create(session: Session, cloud: Cloud, network: Network, project_id: str, values: dict[str, Any]) -> Subnet:
    """A new subnet. Raises OverQuota and the many errors of bad ranges."""
    objects.take_quota(session, project_id, {"subnet": 1})
    if values["subnetpool_id"] is not None:
        pool = values["subnetpool_id"]
        raise errors.NotFound(f"Subnet pool {pool} could not be found.", kind="SubnetPoolNotFound")
    if values["cidr"] is None:
        raise errors.bad_resource("subnets", "a subnetpool must be specified in the absence of a cidr")
    if values["prefixlen"] is not UNSET:
        raise errors.bad_resource("subnets", "cidr and prefixlen must not be supplied together")
    cidr = ipaddress.ip_network(values["cidr"])
    _check_range(cidr, values["ip_version"], values["enable_dhcp"])
    _check_modes(cidr, values)
    _check_overlap(session, network.id, cidr)
    networks.check_mtu(network.id, network.mtu, [cidr.version])
    gateway = values["gateway_ip"]
    if gateway is UNSET:
        gateway = ipam.text(cidr.version, ipam.default_gateway(cidr))
    elif gateway is not None:
        _check_gateway(cidr, gateway)
    if not values["allocation_pools"]:
        pools = ipam.default_pools(cidr, ipaddress.ip_address(gateway) if gateway else None)
    else:
        pools = _checked_pools(cidr, values["allocation_pools"])
        _check_gateway_outside(gateway, cidr, pools)
    _check_details("new subnet", cidr.version, values)
    subnet = Subnet(
        **objects.stamp(cloud, project_id, revision_number=0), network_id=network.id, name=values["name"],
        cidr=str(cidr), description=values["description"], ip_version=cidr.version, gateway_ip=gateway,
        enable_dhcp=values["enable_dhcp"], ipv6_ra_mode=values["ipv6_ra_mode"],
        ipv6_address_mode=values["ipv6_address_mode"], allocation_pools=_pools_text(cidr.version, pools),
        dns_nameservers=values["dns_nameservers"], host_routes=values["host_routes"],
        service_types=values["service_types"],
    )  # fmt: skip
    session.add(subnet)
    objects.touch(cloud, network)
    session.flush()
    _address_existing_ports(session, cloud, network, subnet)
    metadata_ports.ensure(session, cloud, network)
    networks.changed(session, cloud, network.id)
    return subnet


def _check_range(cidr: ipam.IPNetwork, version: int, dhcp: bool) -> None:
    if cidr.version != version:
        raise errors.invalid_input(f"cidr '{cidr}' does not match the ip_version '{version}'")
    if cidr.prefixlen == 0:
        raise errors.invalid_input("0 is not allowed as CIDR prefix length")
    if dhcp and cidr.num_addresses <= 2:
        raise errors.invalid_input("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if cidr.is_multicast:
        raise errors.invalid_input("Multicast IP subnet is not supported if enable_dhcp is True")
    if cidr.is_loopback:
        raise errors.invalid_input("Loopback IP subnet is not supported if enable_dhcp is True")
    if int(cidr.network_address) == 0:
        raise errors.invalid_input(f"First IP '{cidr.network_address}' of network is not supported if enable_dhcp is "
                                   "True")  # fmt: skip


def _check_modes(cidr: ipam.IPNetwork, values: dict[str, Any]) -> None:
    ra, address = values["ipv6_ra_mode"], values["ipv6_address_mode"]
    if cidr.version == 4:
        for name in ("ipv6_ra_mode", "ipv6_address_mode"):
            if values[name] is not None:
                raise errors.invalid_input(f"{name} is not valid when ip_version is 4")
        return
    if ra is None and address is None:
        return
    if not values["enable_dhcp"]:
        raise errors.invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra is not None and address is not None and ra != address:
        raise errors.invalid_input(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes "
            "are set, they must be the same value"
        )
    if ipam.is_auto(6, ra, address) and cidr.prefixlen != 64:
        raise errors.invalid_input(
            f"Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the "
            "prefix to be /64"
        )


def _check_overlap(session: Session, network_id: str, cidr: ipam.IPNetwork) -> None:
    for other in objects.subnets_of(session, network_id, lock=True):
        if other.ip_version == cidr.version and cidr.overlaps(ipaddress.ip_network(other.cidr)):
            raise errors.invalid_input(
                f"Requested subnet with cidr: {cidr} for network: {network_id} overlaps with another subnet"
            )


def _check_gateway(cidr: ipam.IPNetwork, gateway: str) -> None:
    found = ipaddress.ip_address(gateway)
    if found.version != cidr.version:
        raise errors.invalid_input(f"gateway_ip '{gateway}' does not match the ip_version '{cidr.version}'")
    first, last = ipam.usable(cidr)
    if found.version == 6 and found == cidr.network_address:
        return  # the anycast address of the subnet's routers
    if found in cidr and not first <= int(found) <= last:
        raise errors.invalid_input("Gateway is not valid on subnet")


def _checked_pools(cidr: ipam.IPNetwork, given: list[dict[str, str]]) -> list[ipam.Pool]:
    first, last = ipam.usable(cidr)
    pools: list[ipam.Pool] = []
    for item in given:
        start, end = ipaddress.ip_address(item["start"]), ipaddress.ip_address(item["end"])
        if start.version != cidr.version or end.version != cidr.version or int(end) < int(start):
            raise errors.bad("InvalidAllocationPool", f"The allocation pool {item} is not valid.")
        shown = f"{start}-{end}"
        if int(start) < first or int(end) > last:
            raise errors.bad(
                "OutOfBoundsAllocationPool", f"The allocation pool {shown} spans beyond the subnet cidr {cidr}."
            )
        pools.append((int(start), int(end)))
    clash = ipam.overlapping(pools)
    if clash:
        one, two = (f"{ipam.text(cidr.version, a)}-{ipam.text(cidr.version, b)}" for a, b in clash)
        raise errors.conflict(
            "OverlappingAllocationPools", f"Found overlapping allocation pools: {one} {two} for subnet {cidr}."
        )
    return sorted(pools)


def _check_gateway_outside(gateway: str | None, cidr: ipam.IPNetwork, pools: list[ipam.Pool]) -> None:
    if gateway is None:
        return
    number = int(ipaddress.ip_address(gateway))
    for first, last in pools:
        if first <= number <= last:
            shown = f"{ipam.text(cidr.version, first)}-{ipam.text(cidr.version, last)}"
            raise errors.conflict(
                "GatewayConflictWithAllocationPools", f"Gateway ip {gateway} conflicts with allocation pool {shown}."
            )


def _check_details(subnet_id: str, version: int, values: dict[str, Any]) -> None:
    for name, limit, kind, words in (
        ("dns_nameservers", MAX_NAMESERVERS, "DNSNameServersExhausted", "DNS nameservers"),
        ("host_routes", MAX_ROUTES, "HostRoutesExhausted", "host routes"),
    ):
        if len(values.get(name) or ()) > limit:
            raise errors.bad(
                kind, f"Unable to complete operation for {subnet_id}. The number of {words} exceeds the limit {limit}."
            )
    for server in values.get("dns_nameservers") or ():
        if (":" in server) != (version == 6):
            raise errors.invalid_input(f"dns_nameserver '{server}' does not match the ip_version '{version}'")
    for route in values.get("host_routes") or ():
        for item in ("nexthop", "destination"):
            if (":" in route[item]) != (version == 6):
                raise errors.invalid_input(f"{item} '{route[item]}' does not match the ip_version '{version}'")


def _pools_text(version: int, pools: list[ipam.Pool]) -> list[list[str]]:
    return [[ipam.text(version, first), ipam.text(version, last)] for first, last in pools]


def _address_existing_ports(session: Session, cloud: Cloud, network: Network, subnet: Subnet) -> None:
    """Guests that are there already make themselves an address in a new automatic subnet: write down which."""
    if not addresses.is_auto(subnet):
        return
    ports = session.execute(
        sa.select(Port.id, Port.mac_address, Port.host).where(
            Port.network_id == network.id, Port.device_owner.not_like("network:%")
        )
    ).all()
    cidr = ipaddress.ip_network(subnet.cidr)
    rows = [
        {"subnet_id": subnet.id, "ip_address": ipam.eui64(cidr, port.mac_address), "port_id": port.id,
         "network_id": network.id, "position": 1000}
        for port in ports
    ]  # fmt: skip
    if rows:
        session.execute(sa.insert(PortAddress), rows)
        dirty.note(session, cloud, "port", [port.id for port in ports])
        dirty.note_hosts(session, cloud, {port.host for port in ports})


def update(session: Session, cloud: Cloud, subnet: Subnet, values: dict[str, Any]) -> None:
    """Change a subnet. Raises GatewayIpInUse besides the errors of create."""
    cidr = ipaddress.ip_network(subnet.cidr)
    pools = addresses.pools_of(subnet)
    if "allocation_pools" in values:
        pools = _checked_pools(cidr, values.pop("allocation_pools"))
        subnet.allocation_pools = _pools_text(cidr.version, pools)
    gateway = values.get("gateway_ip", subnet.gateway_ip)
    if "gateway_ip" in values and gateway != subnet.gateway_ip:
        if gateway is not None:
            _check_gateway(cidr, gateway)
        _refuse_gateway_in_use(session, subnet)
    _check_gateway_outside(gateway, cidr, pools)
    _check_details(subnet.id, cidr.version, values)
    if values.get("enable_dhcp") is False and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise errors.invalid_input("Cannot disable enable_dhcp with ipv6 attributes set")
    if values.get("enable_dhcp"):
        _check_range(cidr, cidr.version, True)
    dhcp_changed = values.get("enable_dhcp", subnet.enable_dhcp) != subnet.enable_dhcp
    for name, value in values.items():
        setattr(subnet, name, value)
    objects.touch_if_changed(session, cloud, subnet)
    session.flush()
    if dhcp_changed:
        metadata_ports.ensure(session, cloud, objects.get(session, "network", subnet.network_id))
    _changed(session, cloud, subnet, ports=dhcp_changed)


def _changed(session: Session, cloud: Cloud, subnet: Subnet, *, ports: bool) -> None:
    dirty.note(session, cloud, "subnet", [subnet.id])
    dirty.note(session, cloud, "network", [subnet.network_id])
    rows = session.execute(
        sa.select(Port.id, Port.device_id, Port.device_owner, Port.host)
        .join(PortAddress, PortAddress.port_id == Port.id)
        .where(PortAddress.subnet_id == subnet.id)
    ).all()
    dirty.note(
        session, cloud, "router", [row.device_id for row in rows if row.device_owner.startswith("network:router")]
    )
    if ports:
        dirty.note(session, cloud, "port", [row.id for row in rows])
        dirty.note_hosts(session, cloud, {row.host for row in rows})


def _refuse_gateway_in_use(session: Session, subnet: Subnet) -> None:
    port = session.scalars(
        sa.select(Port.id)
        .join(PortAddress, PortAddress.port_id == Port.id)
        .where(
            PortAddress.subnet_id == subnet.id,
            PortAddress.ip_address == (subnet.gateway_ip or ""),
            Port.device_owner == "network:router_interface",
        )
    ).first()
    if port is not None:
        raise errors.conflict(
            "GatewayIpInUse",
            f"Current gateway ip {subnet.gateway_ip} already in use by port {port}. Unable to update.",
        )


def delete(session: Session, cloud: Cloud, subnet: Subnet) -> None:
    """Delete a subnet; 409 SubnetInUse while ports have addresses of it that they didn't make themselves."""
    rows = session.execute(
        sa.select(Port.id, Port.device_owner, Port.host)
        .join(PortAddress, PortAddress.port_id == Port.id)
        .where(PortAddress.subnet_id == subnet.id)
    ).all()
    automatic = addresses.is_auto(subnet)
    for row in rows:
        own = row.device_owner == metadata_ports.OWNER
        if not own and (not automatic or addresses.is_router_owner(row.device_owner)):
            raise errors.conflict(
                "SubnetInUse",
                f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation from "
                "this subnet.",
            )
    session.execute(sa.delete(PortAddress).where(PortAddress.subnet_id == subnet.id))
    dirty.note(session, cloud, "port", [row.id for row in rows])
    dirty.note_hosts(session, cloud, {row.host for row in rows})
    objects.forget_tags(session, [subnet.id])
    network_id = subnet.network_id
    session.delete(subnet)
    session.flush()
    network = objects.get(session, "network", network_id)
    objects.touch(cloud, network)
    metadata_ports.ensure(session, cloud, network)
    dirty.note(session, cloud, "subnet", [subnet.id])
    networks.changed(session, cloud, network_id)
