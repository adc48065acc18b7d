"""What objects look like in the northbound database."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from onestack.network.drivers import base
from onestack.network.drivers.ovn import dhcp, rows, schema
from onestack.network.drivers.ovn.schema import Place

from . import worlds
from .worlds import NET, SUBNET, VM1, mac_of, vm1


def columns(kind: base.Kind, item: Any, table: str, uuid: str) -> dict[str, Any]:
    piece = rows.piece("c", kind, item)
    return next(row.columns for row in piece.rows if row.place == Place(table, uuid))


def port_columns(port: base.Port) -> dict[str, Any]:
    return columns("port", port, schema.PORT, port.id)


def tables(kind: base.Kind, item: Any) -> list[str]:
    return sorted(row.place.table for row in rows.piece("c", kind, item).rows)


# --- DHCP -----------------------------------------------------------------------------------------------------


def test_dhcp_options_of_an_ordinary_subnet() -> None:
    assert dhcp.options(worlds.subnet) == {
        "server_id": "10.0.0.1",
        "server_mac": dhcp.server_mac(SUBNET),
        "lease_time": "43200",
        "mtu": "1442",
        "router": "10.0.0.1",
        "dns_server": "{9.9.9.9, 1.1.1.1}",
        "domain_name": '"cloud.example"',
        "classless_static_route": "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}",
    }


def test_without_a_gateway_the_metadata_port_answers_and_there_is_no_default_route() -> None:
    options = dhcp.options(replace(worlds.subnet, gateway_ip=None, host_routes=(("192.168.5.0/24", "10.0.0.7"),)))
    assert options["server_id"] == "10.0.0.2"
    assert "router" not in options
    assert options["classless_static_route"] == "{169.254.169.254/32,10.0.0.2, 192.168.5.0/24,10.0.0.7}"


def test_a_default_host_route_replaces_the_gateway() -> None:
    options = dhcp.options(replace(worlds.subnet, host_routes=(("0.0.0.0/0", "10.0.0.9"),)))
    assert options["classless_static_route"] == "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.9}"


def test_without_routes_the_router_option_is_enough() -> None:
    network = replace(worlds.network, metadata=None, dns_domain="")
    options = dhcp.options(replace(worlds.subnet, network=network, dns_nameservers=()))
    assert set(options) == {"server_id", "server_mac", "lease_time", "mtu", "router"}


def test_dhcpv6_options() -> None:
    stateful = replace(worlds.subnet6, dns_nameservers=("FD00::53",))
    options = dhcp.options(stateful)
    assert options == {
        "server_id": dhcp.server_mac(worlds.SUBNET6),
        "dns_server": "{fd00::53}",
        "domain_search": '"cloud.example"',
    }
    assert dhcp.options(replace(stateful, ipv6_address_mode="dhcpv6-stateless"))["dhcpv6_stateless"] == "true"


@pytest.mark.parametrize(
    "subnet",
    [
        replace(worlds.subnet, enable_dhcp=False),
        replace(worlds.subnet6, ipv6_address_mode="slaac"),
        replace(worlds.subnet6, ipv6_address_mode=None),
    ],
)
def test_subnets_that_dhcp_does_not_serve_have_no_row(subnet: base.Subnet) -> None:
    assert tables("subnet", subnet) == []
    assert rows.piece("c", "subnet", subnet).slots == (Place(schema.DHCP, subnet.id),)


@pytest.mark.parametrize("domain", ['x" y', "a b", "-x", "x..y", "a}b"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        dhcp.options(replace(worlds.subnet, network=replace(worlds.network, dns_domain=domain)))


# --- networks -------------------------------------------------------------------------------------------------


def test_a_network_is_a_switch_with_a_metadata_port() -> None:
    assert columns("network", worlds.network, schema.SWITCH, NET)["name"] == f"neutron-{NET}"
    metadata = columns("network", worlds.network, schema.PORT, worlds.METADATA)
    assert metadata["type"] == "localport"
    assert metadata["addresses"] == {f"{mac_of(2)} 10.0.0.2"}


def test_a_provider_network_has_a_localnet_port() -> None:
    piece = rows.piece("c", "network", replace(worlds.public, segmentation_id=100))
    localnet = next(row.columns for row in piece.rows if row.place.table == schema.PORT)
    assert localnet["type"] == "localnet"
    assert localnet["name"] == f"provnet-{worlds.PUBLIC}"
    assert localnet["options"] == {"network_name": "public"}
    assert localnet["addresses"] == {"unknown"}
    assert localnet["tag_request"] == {100}


# --- ports ----------------------------------------------------------------------------------------------------


def test_a_guests_port() -> None:
    row = port_columns(vm1)
    own = f"{vm1.mac} 10.0.0.11 fd00:1::11"
    assert row["addresses"] == row["port_security"] == {own}
    assert row["options"] == {"requested-chassis": "host1"}
    assert row["enabled"] == {True}
    assert row["dhcpv4_options"] == {SUBNET}
    assert row["dhcpv6_options"] == {worlds.SUBNET6}
    assert row["external_ids"] == {
        "neutron:port_name": "vm1",
        "neutron:project_id": "",
        "neutron:device_id": "",
        "neutron:device_owner": "compute:nova",
        "neutron:network_name": f"neutron-{NET}",
        "neutron:security_group_ids": worlds.GROUP,
        "onestack:cloud": "c",
        "onestack:owner": f"port:{VM1}",
    }


def test_a_port_without_port_security_is_in_no_group_and_takes_unknown_addresses() -> None:
    port = replace(vm1, port_security_enabled=False)
    row = port_columns(port)
    assert "unknown" in row["addresses"]
    assert row["port_security"] == set()
    assert not [member for member in rows.piece("c", "port", port).members if member.parent.table == schema.GROUP]


def test_a_port_without_security_groups_lets_nothing_through() -> None:
    piece = rows.piece("c", "port", replace(vm1, security_group_ids=()))
    assert [member.parent for member in piece.members if member.parent.table == schema.GROUP] == [rows.DROP_PLACE]


def test_allowed_address_pairs() -> None:
    pairs = (
        base.AddressPair(ip="10.0.0.200"),
        base.AddressPair(ip="10.9.0.0/16", mac=mac_of(77)),
        base.AddressPair(ip="10.8.0.1/32", mac=mac_of(77).upper()),
    )
    row = port_columns(replace(vm1, allowed_address_pairs=pairs))
    own = f"{vm1.mac} 10.0.0.11 fd00:1::11"
    assert row["port_security"] == {f"{own} 10.0.0.200", f"{mac_of(77)} 10.9.0.0/16 10.8.0.1"}
    assert row["addresses"] == {own, mac_of(77)}


def test_a_disabled_port_and_one_whose_subnet_has_no_dhcp() -> None:
    row = port_columns(replace(vm1, admin_state_up=False))
    assert row["enabled"] == {False}
    fixed = (base.FixedIp(subnet_id=SUBNET, address="10.0.0.11", dhcp=False),)
    assert port_columns(replace(vm1, fixed_ips=fixed))["dhcpv4_options"] == set()


def test_router_ports_are_the_routers_own_and_unfiltered() -> None:
    piece = rows.piece("c", "port", worlds.gateway_port)
    (row,) = piece.rows
    assert row.columns["type"] == "router"
    assert row.columns["addresses"] == {"router"}
    assert row.columns["options"]["router-port"] == f"lrp-{worlds.GATEWAY_PORT}"
    assert row.columns["options"]["nat-addresses"] == "router"
    assert [member.parent.table for member in piece.members] == [schema.SWITCH]


@pytest.mark.parametrize("owner", ["network:floatingip", "network:distributed"])
def test_ports_that_only_hold_an_address_have_no_row(owner: str) -> None:
    assert tables("port", replace(vm1, device_owner=owner)) == []


def test_dns_records_of_a_port() -> None:
    row = columns("port", vm1, schema.DNS, VM1)
    assert row["records"]["vm1"] == row["records"]["vm1.cloud.example"] == "10.0.0.11 fd00:1::11"
    assert row["records"]["11.0.0.10.in-addr.arpa"] == "vm1.cloud.example"
    assert schema.DNS not in tables("port", replace(vm1, dns_name=""))


# --- routers --------------------------------------------------------------------------------------------------


def test_a_routers_gateway() -> None:
    row = columns("router", worlds.router, schema.ROUTER_PORT, worlds.GATEWAY_PORT)
    assert row["networks"] == {"172.24.4.10/24"}
    assert row["options"] == {"gateway_mtu": "1442"}
    piece = rows.piece("c", "router", worlds.router)
    chassis = [item.columns for item in piece.rows if item.place.table == schema.GATEWAY]
    assert [(item["chassis_name"], item["priority"]) for item in chassis] == [("host1", 1)]
    nats = [item.columns for item in piece.rows if item.place.table == schema.NAT]
    assert [(nat["type"], nat["external_ip"], nat["logical_ip"]) for nat in nats] == [
        ("snat", "172.24.4.10", "10.0.0.0/24")
    ]
    routes = {
        (item.columns["ip_prefix"], item.columns["nexthop"]) for item in piece.rows if item.place.table == schema.ROUTE
    }
    assert routes == {("0.0.0.0/0", "172.24.4.1"), ("192.168.0.0/16", "10.0.0.50")}


def test_chassis_are_preferred_in_the_order_given() -> None:
    gateway = replace(worlds.router.gateway, chassis=("b", "a", "c"))
    piece = rows.piece("c", "router", replace(worlds.router, gateway=gateway))
    chassis = {
        row.columns["chassis_name"]: row.columns["priority"] for row in piece.rows if row.place.table == schema.GATEWAY
    }
    assert chassis == {"b": 3, "a": 2, "c": 1}


def test_a_router_without_snat() -> None:
    gateway = replace(worlds.router.gateway, enable_snat=False)
    assert schema.NAT not in tables("router", replace(worlds.router, gateway=gateway))


def test_router_advertisements() -> None:
    row = columns("router", worlds.router, schema.ROUTER_PORT, worlds.INTERFACE)
    assert row["ipv6_ra_configs"] == {"address_mode": "dhcpv6_stateful", "send_periodic": "true", "mtu": "1442"}
    plain = replace(worlds.router.interfaces[0], ipv6_ra_mode=None)
    row = columns("router", replace(worlds.router, interfaces=(plain,)), schema.ROUTER_PORT, worlds.INTERFACE)
    assert row["ipv6_ra_configs"] == {}


def test_a_floating_ip() -> None:
    row = columns("floating_ip", worlds.floating, schema.NAT, worlds.FLOATING)
    assert (row["type"], row["external_ip"], row["logical_ip"]) == ("dnat_and_snat", "172.24.4.20", "10.0.0.11")
    assert row["external_mac"] == set()


def test_every_row_carries_its_marks_and_only_columns_that_are_ours() -> None:
    for kind, item in base.described(worlds.world):
        for row in rows.piece("c", kind, item).rows:
            assert row.columns["external_ids"]["onestack:cloud"] == "c"
            assert row.columns["external_ids"]["onestack:owner"] == f"{kind}:{item.id}"
            assert set(row.columns) == set(schema.COLUMNS[row.place.table])
