"""Packets, on a real OVN: what the driver writes does what the networking API promises."""

from __future__ import annotations

import ipaddress
import queue
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from onestack.network.drivers import base
from onestack.network.drivers.ovn.driver import OvnDriver

from . import worlds
from .host import Guest, Host, missing
from .worlds import id_of, mac_of, world

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(missing()), reason=f"this machine lacks {missing()}"),
]

ICMP = base.Rule(id=id_of("icmp"), direction="ingress", protocol="icmp", remote_ip_prefix="172.24.4.0/24")
WITH_ICMP = replace(worlds.group, rules=(*worlds.rules, ICMP))

# Another tenant with the same addresses, and a port of the first one that is in no group with the others.
THEIR_NET, THEIR_SUBNET, THEIR_GROUP = id_of("their-net"), id_of("their-subnet"), id_of("their-group")
their_network = base.Network(id=THEIR_NET, name="theirs")
their_subnet = base.Subnet(id=THEIR_SUBNET, network=their_network, cidr="10.0.0.0/24", gateway_ip="10.0.0.1")
their_rules = (
    base.Rule(id=id_of("t1"), direction="egress"),
    base.Rule(id=id_of("t2"), direction="ingress", remote_group_id=THEIR_GROUP),
)
their_group = base.SecurityGroup(id=THEIR_GROUP, rules=their_rules)
their_vms = tuple(
    worlds.vm(
        number,
        id=id_of("their-vm", number),
        mac=mac_of(0x300 + number),
        network_id=THEIR_NET,
        fixed_ips=(base.FixedIp(subnet_id=THEIR_SUBNET, address=f"10.0.0.{10 + number}"),),
        security_group_ids=(THEIR_GROUP,),
    )
    for number in (1, 3)
)
loner = worlds.vm(9, security_group_ids=(worlds.OTHER,))


class Cloud:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.events: queue.Queue[tuple[str, bool, str | None]] = queue.Queue()
        self.driver = OvnDriver(host.databases.remote("nb"), host.databases.remote("sb"), "cloud-1")
        self.driver.watch(lambda *event: self.events.put(event))
        self.guests: dict[str, Guest] = {}

    def boot(self, *ports: base.Port) -> None:
        """Plug guests and wait until the driver says that they are up."""
        for port in ports:
            self.guests[port.id] = Guest(self.host, f"g{len(self.guests)}", port.id, port.mac)
            self.guests[port.id].plug()
        waiting = {port.id for port in ports}
        while waiting:
            port_id, up, on = self.events.get(timeout=20)
            if up:
                assert on == "host1"
                waiting.discard(port_id)
        for port in ports:
            self.guests[port.id].dhcp()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    host = Host()
    cloud = Cloud(host)
    try:
        everything = replace(
            world,
            networks=(*world.networks, their_network),
            subnets=(*world.subnets, their_subnet),
            ports=(*world.ports, *their_vms, loner),
            security_groups=(WITH_ICMP, worlds.other, their_group),
        )
        cloud.driver.apply(worlds.changes(everything))
        cloud.boot(worlds.vm1, worlds.vm2, *their_vms, loner)
        yield cloud
    finally:
        cloud.driver.close()
        host.close()


def guest(cloud: Cloud, port: base.Port) -> Guest:
    return cloud.guests[port.id]


def test_dhcp_gives_address_mtu_and_routes(cloud: Cloud) -> None:
    vm1 = guest(cloud, worlds.vm1)
    assert "10.0.0.11/24" in vm1.run("ip", "-4", "addr", "show", "eth0")
    assert "mtu 1442" in vm1.run("ip", "link", "show", "eth0")
    routes = vm1.run("ip", "route")
    assert "default via 10.0.0.1" in routes
    assert "169.254.169.254 via 10.0.0.2" in routes


def test_dns_knows_the_neighbours(cloud: Cloud) -> None:
    answer = guest(cloud, worlds.vm1).run("busybox", "nslookup", "-type=a", "vm2.cloud.example", "9.9.9.9", check=False)
    assert "10.0.0.12" in answer


def test_one_group_talks_and_others_do_not(cloud: Cloud) -> None:
    assert guest(cloud, worlds.vm2).pings("10.0.0.11")
    assert guest(cloud, loner).never_pings("10.0.0.11")


def test_the_same_addresses_in_another_tenant_are_another_world(cloud: Cloud) -> None:
    mine, theirs, third = guest(cloud, worlds.vm1), guest(cloud, their_vms[0]), guest(cloud, their_vms[1])
    assert third.pings("10.0.0.11")
    neighbours = third.run("ip", "neigh", "show", "10.0.0.11")
    assert their_vms[0].mac in neighbours
    assert worlds.vm1.mac not in neighbours
    assert third.never_pings("10.0.0.12")
    assert mine.run("ip", "-4", "addr", "show", "eth0").count("10.0.0.11/24") == 1
    assert theirs.run("ip", "-4", "addr", "show", "eth0").count("10.0.0.11/24") == 1


def test_a_guest_can_not_use_addresses_that_are_not_its_own(cloud: Cloud) -> None:
    vm2 = guest(cloud, worlds.vm2)
    vm2.run("ip", "addr", "add", "10.0.0.77/24", "dev", "eth0")
    answer = vm2.run("ping", "-c2", "-W1", "-I", "10.0.0.77", "10.0.0.11", check=False)
    vm2.run("ip", "addr", "del", "10.0.0.77/24", "dev", "eth0")
    assert " 0 received" in answer


def test_guests_reach_out_by_snat_and_are_reached_by_floating_ip(cloud: Cloud) -> None:
    assert guest(cloud, worlds.vm2).pings("172.24.4.1")
    assert cloud.host.pings("172.24.4.20")
    assert guest(cloud, worlds.vm1).pings("172.24.4.1")


def test_a_floating_ip_that_is_taken_away_answers_no_more(cloud: Cloud) -> None:
    assert cloud.host.pings("172.24.4.20")
    released = replace(worlds.floating, router_id="", port_id="", fixed_ip_address="")
    cloud.driver.apply(base.Changes(floating_ips=(released,)))
    _until_silent(cloud, "172.24.4.20")
    cloud.driver.apply(base.Changes(floating_ips=(worlds.floating,)))
    assert cloud.host.pings("172.24.4.20")


def test_a_rule_that_is_removed_cuts_at_once_even_what_is_established(cloud: Cloud) -> None:
    assert cloud.host.pings("172.24.4.20")
    cloud.driver.apply(base.Changes(security_groups=(worlds.group,)))
    _until_silent(cloud, "172.24.4.20")
    cloud.driver.apply(base.Changes(security_groups=(WITH_ICMP,)))
    assert cloud.host.pings("172.24.4.20")


def _until_silent(cloud: Cloud, address: str) -> None:
    """One flow of pings (the same ICMP id, so the same connection) must stop within two seconds."""
    answer = cloud.host.run("ping", "-i", "0.2", "-c", "20", "-W", "1", address, check=False)
    answered = [int(found) for found in re.findall(r"icmp_seq=(\d+)", answer)]
    assert not answered or max(answered) < 10, answer


def test_a_port_that_leaves_a_group_is_cut_off(cloud: Cloud) -> None:
    assert guest(cloud, worlds.vm2).pings("10.0.0.11")
    cloud.driver.apply(base.Changes(ports=(replace(worlds.vm2, security_group_ids=(worlds.OTHER,)),)))
    deadline = time.monotonic() + 10
    while not guest(cloud, worlds.vm2).never_pings("10.0.0.11"):
        assert time.monotonic() < deadline
    cloud.driver.apply(base.Changes(ports=(worlds.vm2,)))
    assert guest(cloud, worlds.vm2).pings("10.0.0.11")


def test_a_rule_may_name_a_group_that_comes_later(cloud: Cloud) -> None:
    later = base.SecurityGroup(id=id_of("later"))
    rule = base.Rule(id=id_of("from-later"), direction="ingress", remote_group_id=later.id)
    named = replace(worlds.group, rules=(*WITH_ICMP.rules, rule))
    cloud.driver.apply(base.Changes(security_groups=(named,)))
    assert guest(cloud, loner).never_pings("10.0.0.11")
    assert guest(cloud, worlds.vm2).pings("10.0.0.11")
    member = replace(loner, security_group_ids=(worlds.OTHER, later.id))
    cloud.driver.apply(base.Changes(security_groups=(later,), ports=(member,)))
    assert guest(cloud, loner).pings("10.0.0.11")
    gone: frozenset[tuple[base.Kind, str]] = frozenset({("security_group", later.id)})
    cloud.driver.apply(base.Changes(security_groups=(WITH_ICMP,), ports=(loner,), gone=gone))


def test_an_unplugged_port_goes_down_and_a_plugged_one_comes_up_soon(cloud: Cloud) -> None:
    vm2 = guest(cloud, worlds.vm2)
    _drain(cloud)
    cloud.host.vsctl("del-port", "br-int", vm2.tap)
    assert cloud.events.get(timeout=10) == (worlds.vm2.id, False, None)
    vm2.plug()
    assert cloud.events.get(timeout=10) == (worlds.vm2.id, True, "host1")
    assert vm2.pings("10.0.0.11")


def _drain(cloud: Cloud) -> None:
    while not cloud.events.empty():
        cloud.events.get()


def test_a_port_bound_to_another_host_is_not_claimed_here(cloud: Cloud) -> None:
    elsewhere = worlds.vm(20, host="host2")
    cloud.driver.apply(base.Changes(ports=(elsewhere,)))
    stranger = Guest(cloud.host, "elsewhere", elsewhere.id, elsewhere.mac)
    _drain(cloud)
    stranger.plug()
    with pytest.raises(queue.Empty):
        cloud.events.get(timeout=1)
    cloud.driver.apply(base.Changes(ports=(replace(elsewhere, host="host1"),)))
    assert cloud.events.get(timeout=10) == (elsewhere.id, True, "host1")


def test_a_port_without_any_rule_gets_its_address_and_nothing_else(cloud: Cloud) -> None:
    bare = worlds.vm(21, security_group_ids=())
    cloud.driver.apply(base.Changes(ports=(bare,)))
    cloud.boot(bare)
    assert "10.0.0.31/24" in guest(cloud, bare).run("ip", "-4", "addr", "show", "eth0")
    assert guest(cloud, bare).never_pings("10.0.0.1")


def test_a_guest_directly_on_the_provider_network(cloud: Cloud) -> None:
    fixed = base.FixedIp(subnet_id=worlds.PUBLIC_SUBNET, address="172.24.4.50", dhcp=False)
    outside = worlds.vm(22, network_id=worlds.PUBLIC, fixed_ips=(fixed,), dns_name="")
    cloud.driver.apply(base.Changes(ports=(outside,)))
    plugged = Guest(cloud.host, "outside", outside.id, outside.mac)
    plugged.run("ip", "addr", "add", "172.24.4.50/24", "dev", "eth0")
    plugged.plug()
    assert plugged.pings("172.24.4.1")
    assert plugged.pings("172.24.4.20")
    assert cloud.host.pings("172.24.4.50")
    cloud.driver.apply(base.Changes(gone=frozenset({("port", outside.id)})))


def test_the_metadata_address_leads_to_the_networks_own_port(cloud: Cloud) -> None:
    metadata = Guest(cloud.host, "metadata", worlds.METADATA, worlds.network.metadata.mac)
    metadata.plug()
    for address in ("10.0.0.2/24", "169.254.169.254/32"):
        metadata.run("ip", "addr", "add", address, "dev", "eth0")
    assert guest(cloud, worlds.vm1).pings("169.254.169.254")
    assert guest(cloud, their_vms[0]).never_pings("10.0.0.2")


SOLICIT = """
import os, socket, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
transaction = os.urandom(3)
duid = b"\\x00\\x03\\x00\\x01" + mac
options = b"\\x00\\x01" + len(duid).to_bytes(2, "big") + duid + b"\\x00\\x03\\x00\\x0c" + mac[2:] + bytes(8)
link = socket.if_nametoindex("eth0")
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.bind(("::", 546))
client.settimeout(1)
for attempt in range(10):
    client.sendto(b"\\x01" + transaction + options, ("ff02::1:2", 547, 0, link))
    try:
        answer = client.recv(2000)
    except TimeoutError:
        continue
    if answer[1:4] == transaction:
        print(answer[0], answer.hex())
        break
"""


def test_dhcpv6_offers_the_ports_address(cloud: Cloud) -> None:
    answer = guest(cloud, worlds.vm1).run(sys.executable, "-c", SOLICIT, worlds.vm1.mac).split()
    assert answer[0] == "2"  # Advertise
    assert ipaddress.IPv6Address("fd00:1::11").packed.hex() in answer[1]


def test_router_advertisements_arrive(cloud: Cloud) -> None:
    vm1 = guest(cloud, worlds.vm1)
    vm1.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=2")
    vm1.run("ip", "link", "set", "eth0", "down")
    vm1.run("ip", "link", "set", "eth0", "up")
    deadline = time.monotonic() + 20
    while "default via fe80" not in vm1.run("ip", "-6", "route"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    vm1.dhcp()


def test_at_the_end_there_was_nothing_to_repair(cloud: Cloud) -> None:
    everything: dict[str, Any] = {
        "networks": (*world.networks, their_network),
        "subnets": (*world.subnets, their_subnet),
        "ports": (*world.ports, *their_vms, loner, worlds.vm(20, host="host1"), worlds.vm(21, security_group_ids=())),
        "security_groups": (WITH_ICMP, worlds.other, their_group),
        "routers": world.routers,
        "floating_ips": world.floating_ips,
    }
    assert cloud.driver.reconcile(lambda: base.World(**everything)).repairs == ()
    assert cloud.driver.look().ok
