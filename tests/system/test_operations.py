"""What is done to running servers: power, interfaces, names, counts; and that a delete leaves nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from openstack.exceptions import ConflictException, HttpException

from tests.system import leftovers
from tests.system.tenants import Guest, Tenant
from tests.system.waiting import until


@pytest.fixture(autouse=True)
def active_again(vm: Guest) -> None:
    """Each test begins with the shared server up and logged in to."""
    if vm.show().status != "ACTIVE":
        vm.conn.compute.start_server(vm.id)
    vm.wait("ACTIVE").ssh.wait()


def test_stop_and_start(vm: Guest) -> None:
    before = vm.ssh.boot_id()
    vm.conn.compute.stop_server(vm.id)
    vm.wait("SHUTOFF")
    assert not vm.qemu
    vm.conn.compute.start_server(vm.id)
    assert vm.wait("ACTIVE").qemu
    assert vm.ssh.wait().boot_id() != before


def test_a_soft_reboot_asks_the_guest(vm: Guest) -> None:
    before = vm.ssh.boot_id()
    vm.conn.compute.reboot_server(vm.id, "SOFT")
    vm.wait("ACTIVE")
    until(lambda: vm.ssh.answers() and vm.ssh.boot_id() != before, 90, "another boot of the guest")
    actions = list(vm.conn.compute.server_actions(vm.id))
    events = vm.conn.compute.get_server_action(actions[0].request_id, vm.id).events
    assert "compute_destroy" not in [event["event"] for event in events]
    assert "destroy" not in [event["event"] for event in events]


def test_a_hard_reboot_is_a_new_qemu(vm: Guest) -> None:
    before, pid = vm.ssh.boot_id(), vm.qemu
    vm.conn.compute.reboot_server(vm.id, "HARD")
    vm.wait("ACTIVE")
    assert vm.qemu not in (0, pid)
    assert vm.ssh.wait().boot_id() != before


def test_pause_stops_time_and_unpause_goes_on(vm: Guest) -> None:
    boot, pid = vm.ssh.boot_id(), vm.qemu
    vm.conn.compute.pause_server(vm.id)
    vm.wait("PAUSED")
    assert vm.ssh.run("true", 4).returncode != 0
    vm.conn.compute.unpause_server(vm.id)
    vm.wait("ACTIVE")
    assert vm.ssh.wait().boot_id() == boot
    assert vm.qemu == pid


def test_suspend_keeps_the_memory_without_a_process(vm: Guest) -> None:
    boot = vm.ssh.boot_id()
    vm.ssh("echo kept > /tmp/in-memory")
    vm.conn.compute.suspend_server(vm.id)
    vm.wait("SUSPENDED")
    assert not vm.qemu
    vm.conn.compute.resume_server(vm.id)
    vm.wait("ACTIVE")
    assert vm.ssh.wait().boot_id() == boot
    assert vm.ssh("cat /tmp/in-memory") == "kept"


def test_an_interface_comes_and_goes_while_it_runs(vm: Guest, shared: Tenant) -> None:
    boot = vm.ssh.boot_id()
    second = shared.network("second", "10.21.0.0/24")
    interface = vm.conn.compute.create_server_interface(vm.id, net_id=second.id)
    (fixed,) = interface.fixed_ips
    until(lambda: vm.ssh.addresses("eth1") == [fixed["ip_address"]], 60, "an address on eth1")
    assert second.name in vm.show().addresses
    vm.conn.compute.delete_server_interface(interface.port_id, vm.id)
    until(lambda: vm.ssh.run("ip link show eth1").returncode != 0, 60, "no eth1")
    until(lambda: second.name not in vm.show().addresses, 30, "no address of it")
    until(lambda: not leftovers.of_ports(shared.cloud, [interface.port_id]), 30, "nothing is left of the port")
    assert vm.ssh.boot_id() == boot
    shared.conn.network.delete_network(second)


def test_rename(vm: Guest) -> None:
    vm.conn.compute.update_server(vm.id, name="renamed")
    assert vm.show().name == "renamed"
    assert vm.ssh("hostname") == "shared-vm"
    vm.conn.compute.update_server(vm.id, name="shared-vm")


def test_a_locked_server_is_left_alone(vm: Guest) -> None:
    vm.conn.compute.lock_server(vm.id)
    with pytest.raises(ConflictException, match="is locked"):
        vm.conn.compute.stop_server(vm.id)
    vm.conn.compute.unlock_server(vm.id)
    assert vm.show().status == "ACTIVE"


def test_console_output(vm: Guest) -> None:
    vm.ssh("echo seen on the console | sudo tee /dev/ttyS0")
    until(lambda: "seen on the console" in vm.console(), 20, "what the guest printed")
    last = vm.conn.compute.get_server_console_output(vm.id, length=2)["output"]
    assert 0 < len(last.splitlines()) <= 2


def test_a_guest_that_powers_off_is_seen_as_shutoff(vm: Guest) -> None:
    vm.ssh.run("sudo poweroff", 10)
    vm.wait("SHUTOFF")
    assert not vm.qemu


def test_a_group_rule_reaches_a_running_server(vm: Guest, shared: Tenant) -> None:
    group = shared.default_group().id
    (icmp,) = [rule for rule in shared.conn.network.security_group_rules(security_group_id=group)
               if rule.protocol == "icmp"]  # fmt: skip
    shared.conn.network.delete_security_group_rule(icmp)

    def pings() -> bool:
        return subprocess.run(["ping", "-c1", "-W1", vm.ssh.address], capture_output=True).returncode == 0

    until(lambda: not pings(), 20, "no answer to a ping")
    shared.rule(group, "icmp")
    until(pings, 20, "an answer to a ping")


def test_several_interfaces_a_fixed_address_and_a_delete_that_leaves_nothing(
    vm: Guest, shared: Tenant, tenant: Callable[[str], Tenant]
) -> None:
    one = tenant("careful")
    before = one.used()
    first, second = one.network("first", "10.30.0.0/24"), one.network("second", "10.31.0.0/24")
    guest = one.boot("several", networks=[{"uuid": first.id, "fixed_ip": "10.30.0.77"}, {"uuid": second.id}])
    assert guest.show().addresses["first"][0]["addr"] == "10.30.0.77"
    until(lambda: "eth1" in guest.console() or "boot done" in guest.console(), 90, "a guest with two interfaces", 1.0)
    ports = [port.id for port in guest.ports()]
    assert len(ports) == 2
    used = one.used()
    assert (used["instances"], used["cores"], used["ram"]) == (1, 1, 128)
    assert leftovers.of_server(one.cloud, guest.id, ports), "what is looked for later must be there now"
    guest.delete()
    leftovers.wait_for_none(one.cloud, guest.id, ports)
    assert one.used() == {**before, "ports": one.used()["ports"]}
    assert not [port for port in one.conn.network.ports() if port.device_owner.startswith("compute:")]


def test_without_a_network(shared: Tenant) -> None:
    guest = shared.boot("lonely", networks="none")
    assert guest.ports() == []
    assert guest.show().addresses == {}
    guest.delete()
    leftovers.wait_for_none(shared.cloud, guest.id, [])


def test_several_servers_at_once(shared: Tenant) -> None:
    shared.create("many", networks="none", min_count=2, max_count=3)
    found = until(lambda: [one for one in shared.conn.compute.servers() if one.name.startswith("many-")], 20)
    assert sorted(one.name for one in found) == ["many-1", "many-2", "many-3"]
    guests = [Guest(shared, one.id).wait("ACTIVE") for one in found]
    assert len({guest.qemu for guest in guests} - {0}) == 3
    for guest in guests:
        shared.conn.compute.delete_server(guest.id)
    for guest in guests:
        leftovers.wait_for_none(shared.cloud, guest.id, [])


def test_more_than_the_quota_is_refused_whole(shared: Tenant) -> None:
    before = len(list(shared.conn.compute.servers()))
    with pytest.raises(HttpException, match="Quota exceeded") as refused:
        shared.create("greedy", networks="none", min_count=50, max_count=50)
    assert refused.value.status_code == 403
    assert len(list(shared.conn.compute.servers())) == before
