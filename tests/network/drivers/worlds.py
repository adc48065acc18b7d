"""Descriptions to test with: a small cloud, every kind of object in it."""

from __future__ import annotations

import uuid

import msgspec

from onestack.network.drivers import base


def id_of(*words: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, words))))


def mac_of(number: int) -> str:
    return f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"


NET, PUBLIC = id_of("net"), id_of("public")
SUBNET, SUBNET6, PUBLIC_SUBNET = id_of("subnet"), id_of("subnet6"), id_of("public-subnet")
GROUP, OTHER = id_of("group"), id_of("other")
ROUTER, GATEWAY_PORT, INTERFACE = id_of("router"), id_of("gateway-port"), id_of("interface")
METADATA = id_of("metadata")
VM1, VM2, FLOATING = id_of("vm1"), id_of("vm2"), id_of("floating")

network = base.Network(
    id=NET,
    name="private",
    dns_domain="cloud.example.",
    metadata=base.MetadataPort(
        port_id=METADATA, mac=mac_of(2), fixed_ips=(base.FixedIp(subnet_id=SUBNET, address="10.0.0.2"),)
    ),
)
public = base.Network(id=PUBLIC, name="public", mtu=1500, external=True, physical_network="public")
subnet = base.Subnet(
    id=SUBNET, network=network, cidr="10.0.0.0/24", gateway_ip="10.0.0.1", dns_nameservers=("9.9.9.9", "1.1.1.1")
)
subnet6 = base.Subnet(
    id=SUBNET6,
    network=network,
    cidr="fd00:1::/64",
    ip_version=6,
    gateway_ip="fd00:1::1",
    ipv6_ra_mode="dhcpv6-stateful",
    ipv6_address_mode="dhcpv6-stateful",
)
public_subnet = base.Subnet(
    id=PUBLIC_SUBNET, network=public, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", enable_dhcp=False
)
rules = (
    base.Rule(id=id_of("r1"), direction="egress"),
    base.Rule(id=id_of("r2"), direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22),
    base.Rule(id=id_of("r3"), direction="ingress", remote_group_id=GROUP),
)
group = base.SecurityGroup(id=GROUP, name="default", rules=rules)
other = base.SecurityGroup(id=OTHER, name="other", rules=(base.Rule(id=id_of("r4"), direction="egress"),))


def vm(number: int, id: str = "", **changes: object) -> base.Port:
    port = base.Port(
        id=id or id_of("vm", number),
        network_id=NET,
        mac=mac_of(0x100 + number),
        fixed_ips=(
            base.FixedIp(subnet_id=SUBNET, address=f"10.0.0.{10 + number}"),
            base.FixedIp(subnet_id=SUBNET6, address=f"fd00:1::{10 + number}"),
        ),
        name=f"vm{number}",
        device_owner="compute:nova",
        security_group_ids=(GROUP,),
        host="host1",
        dns_name=f"vm{number}",
        dns_domain="cloud.example.",
    )
    return msgspec.structs.replace(port, **changes)


vm1, vm2 = vm(1, VM1), vm(2, VM2)
interface = base.Port(
    id=INTERFACE,
    network_id=NET,
    mac=mac_of(1),
    fixed_ips=(base.FixedIp(subnet_id=SUBNET, address="10.0.0.1"),),
    device_id=ROUTER,
    device_owner="network:router_interface",
)
gateway_port = base.Port(
    id=GATEWAY_PORT,
    network_id=PUBLIC,
    mac=mac_of(3),
    fixed_ips=(base.FixedIp(subnet_id=PUBLIC_SUBNET, address="172.24.4.10", dhcp=False),),
    device_id=ROUTER,
    device_owner="network:router_gateway",
)
router = base.Router(
    id=ROUTER,
    name="edge",
    gateway=base.Gateway(
        port_id=GATEWAY_PORT,
        network_id=PUBLIC,
        mac=mac_of(3),
        addresses=("172.24.4.10/24",),
        nexthops=("172.24.4.1",),
        chassis=("host1",),
    ),
    interfaces=(
        base.RouterPort(
            port_id=INTERFACE,
            network_id=NET,
            mac=mac_of(1),
            addresses=("10.0.0.1/24", "fd00:1::1/64"),
            ipv6_ra_mode="dhcpv6-stateful",
        ),
    ),
    routes=(base.Route(destination="192.168.0.0/16", nexthop="10.0.0.50"),),
)
floating = base.FloatingIp(
    id=FLOATING,
    floating_ip_address="172.24.4.20",
    floating_network_id=PUBLIC,
    router_id=ROUTER,
    port_id=VM1,
    fixed_ip_address="10.0.0.11",
)

world = base.World(
    networks=(network, public),
    subnets=(subnet, subnet6, public_subnet),
    ports=(vm1, vm2, interface, gateway_port),
    routers=(router,),
    floating_ips=(floating,),
    security_groups=(group, other),
)


def changes(source: base.World = world, gone: frozenset[tuple[base.Kind, str]] = frozenset()) -> base.Changes:
    return base.Changes(**{name: getattr(source, name) for name in base.World.__struct_fields__}, gone=gone)
