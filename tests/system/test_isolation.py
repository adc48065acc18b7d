"""Who reaches whom: two tenants with the same addresses, two servers of one tenant, and what a rule changes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from openstack.exceptions import NotFoundException

from tests.system.tenants import Guest, Tenant
from tests.system.waiting import until

CIDR, FIRST, SECOND = "10.77.0.0/24", "10.77.0.11", "10.77.0.12"


def place(tenant: Tenant, name: str, address: str) -> Guest:
    network = tenant.conn.network.find_network("same", ignore_missing=False)
    return tenant.boot(name, networks=[{"uuid": network.id, "fixed_ip": address}])


@pytest.fixture(scope="module")
def red(tenant: Callable[[str], Tenant]) -> Tenant:
    one = tenant("red")
    one.network("same", CIDR, outside=True)
    one.allow_login()
    return one


@pytest.fixture(scope="module")
def blue(tenant: Callable[[str], Tenant]) -> Tenant:
    one = tenant("blue")
    one.network("same", CIDR, outside=True)
    one.allow_login()
    return one


@pytest.fixture(scope="module")
def guests(red: Tenant, blue: Tenant) -> tuple[Guest, Guest, Guest]:
    """Two of red, one of blue with the address of red's first; all three boot at once."""
    made = place(red, "red-1", FIRST), place(red, "red-2", SECOND), place(blue, "blue-1", FIRST)
    for one in made:
        one.reach()
    return made


def test_two_servers_of_a_tenant_reach_each_other(guests: tuple[Guest, Guest, Guest]) -> None:
    first, second, _ = guests
    assert first.ssh.pings(SECOND, 3)
    assert second.ssh.pings(FIRST, 3)


def test_another_tenant_with_the_same_addresses_does_not(guests: tuple[Guest, Guest, Guest]) -> None:
    _, second, other = guests
    assert other.ssh.addresses("eth0") == [FIRST]
    assert not other.ssh.pings(SECOND, 3)
    # Nor is there anything below IP: nobody answers the question who has the address.
    assert SECOND not in other.ssh("ip neigh show nud reachable")
    # And red's second server hears its neighbour in red, not the namesake in blue.
    mac = second.ssh(f"sudo ping -c1 -W1 {FIRST} >/dev/null; ip neigh show {FIRST}").split()
    assert mac[mac.index("lladdr") + 1] == guests[0].ports()[0].mac_address


def test_metadata_tells_each_who_it_is(guests: tuple[Guest, Guest, Guest]) -> None:
    for one in guests:
        found = json.loads(one.ssh("curl -s -m 10 http://169.254.169.254/openstack/latest/meta_data.json"))
        assert found["uuid"] == one.id
        assert found["project_id"] == one.tenant.project.id
        address = one.ssh("curl -s -m 10 http://169.254.169.254/latest/meta-data/public-ipv4")
        assert address == one.ssh.address


def test_a_forged_header_does_not_change_who_asks(guests: tuple[Guest, Guest, Guest]) -> None:
    first, _, other = guests
    headers = (
        f"-H 'X-Instance-ID: {first.id}' -H 'X-Tenant-ID: {first.tenant.project.id}' -H 'X-Forwarded-For: {SECOND}'"
    )
    found = json.loads(other.ssh(f"curl -s -m 10 {headers} http://169.254.169.254/openstack/latest/meta_data.json"))
    assert found["uuid"] == other.id


def test_a_removed_rule_ends_pings_and_a_connection_that_runs(guests: tuple[Guest, Guest, Guest]) -> None:
    """SSH comes from outside and stays; what the default group lets in from itself ends."""
    first, second, _ = guests
    tenant = first.tenant
    group = tenant.default_group().id
    rules = [
        rule
        for rule in tenant.conn.network.security_group_rules(security_group_id=group, direction="ingress")
        if rule.remote_group_id == group or rule.protocol == "icmp"
    ]
    assert len(rules) == 3  # from the group itself, IPv4 and IPv6; and ping
    # The listener's own input stays open: at its end nc would hang up.
    second.ssh("setsid sh -c 'while :; do sleep 600 | nc -l -p 7000; done' > /tmp/heard 2>/dev/null < /dev/null &")
    lines = "while sleep 1; do echo still there; done"  # the guest knows whole seconds only
    first.ssh(f"setsid sh -c 'while sleep 1; do ({lines}) | nc {SECOND} 7000; done' > /tmp/log 2>&1 < /dev/null &")

    def heard() -> int:
        return int(second.ssh("wc -c < /tmp/heard"))

    before = until(heard, 20, "the connection")
    until(lambda: heard() > before, 20, "the connection goes on")
    for rule in rules:
        tenant.conn.network.delete_security_group_rule(rule)
    until(lambda: not first.ssh.pings(SECOND), 20, "no answer to a ping")

    def silent() -> bool:
        """Four seconds of the guest's own time without a byte; it sends once a second."""
        counts = second.ssh("wc -c < /tmp/heard; sleep 4; wc -c < /tmp/heard").split()
        return counts[0] == counts[1]

    until(silent, 20, "the connection is silent")
    # A group as the source lets its members in again, and only them.
    tenant.rule(group, None, remote_group_id=group)
    until(lambda: first.ssh.pings(SECOND), 20, "an answer to a ping")
    tenant.rule(group, "icmp")


def test_a_remote_group_lets_in_its_members_only(guests: tuple[Guest, Guest, Guest]) -> None:
    first, second, _ = guests
    tenant, network = first.tenant, first.conn.network
    friends = network.create_security_group(name="friends")
    strict = network.create_security_group(name="strict")
    tenant.rule(strict.id, "tcp", port_range_min=22, port_range_max=22)
    tenant.rule(strict.id, "icmp", remote_group_id=friends.id)
    mine, theirs = first.ports()[0], second.ports()[0]
    default = tenant.default_group().id
    network.update_port(theirs, security_groups=[strict.id])
    until(lambda: not first.ssh.pings(SECOND), 20, "a stranger is kept out")
    network.update_port(mine, security_groups=[default, friends.id])
    until(lambda: first.ssh.pings(SECOND), 20, "a friend is let in")
    network.update_port(mine, security_groups=[default])
    until(lambda: not first.ssh.pings(SECOND), 20, "no longer a friend")
    network.update_port(theirs, security_groups=[default])
    until(lambda: first.ssh.pings(SECOND), 20, "as before")


def test_a_spoofed_address_goes_nowhere(guests: tuple[Guest, Guest, Guest]) -> None:
    first, _, _ = guests
    first.ssh("sudo ip addr add 10.77.0.99/24 dev eth0")
    assert "100% packet loss" in first.ssh.run(f"sudo ping -c 2 -W 1 -I 10.77.0.99 {SECOND}").stdout
    first.ssh("sudo ip addr del 10.77.0.99/24 dev eth0")
    assert first.ssh.pings(SECOND, 3)


def test_what_is_anothers_does_not_exist(guests: tuple[Guest, Guest, Guest], blue: Tenant) -> None:
    mine = guests[0]
    network, port = mine.ports()[0].network_id, mine.ports()[0].id
    group, conn = mine.tenant.default_group().id, blue.conn
    for ask in (
        lambda: conn.compute.get_server(mine.id),
        lambda: conn.compute.stop_server(mine.id),
        lambda: conn.compute.delete_server(mine.id, ignore_missing=False),
        lambda: conn.compute.get_server_console_output(mine.id),
        lambda: conn.compute.create_server_interface(mine.id, net_id=network),
        lambda: conn.network.get_network(network),
        lambda: conn.network.get_port(port),
        lambda: conn.network.delete_port(port, ignore_missing=False),
        lambda: conn.network.get_security_group(group),
        lambda: conn.network.create_security_group_rule(security_group_id=group, direction="ingress"),
    ):
        with pytest.raises(NotFoundException):
            ask()
    assert mine.id not in [server.id for server in conn.compute.servers()]
    assert mine.show().status == "ACTIVE"
