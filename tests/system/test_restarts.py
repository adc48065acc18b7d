"""Everything but the VM is killed with SIGKILL, one after the other: the VM goes on, and the cloud heals by itself.

The pids are those of the pid files. Who starts a program again is the supervisor's business; the tests only wait.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from onestack.engines import ovs, paths, process
from tests.system.cloud import SystemCloud, alive, others
from tests.system.tenants import Guest, Tenant
from tests.system.waiting import until

CLOUDS_OWN = ["server", "agent", "ovn-nb", "ovn-sb", "ovn-northd", "ovn-controller"]
MACHINES = ["libvirtd", "virtlogd", "ovsdb-server", "ovs-vswitchd"]


class Life:
    """What must go on: the guest's process, its boot and its clock."""

    def __init__(self, vm: Guest) -> None:
        self.vm, self.pid = vm, vm.qemu
        self.boot, self.uptime = vm.ssh.boot_id(), vm.ssh.uptime()
        vm.ssh("echo here > /tmp/before")

    def check(self) -> None:
        assert self.vm.qemu == self.pid
        self.vm.ssh.wait(60)
        assert self.vm.ssh.boot_id() == self.boot
        assert self.vm.ssh("cat /tmp/before") == "here"
        now = self.vm.ssh.uptime()
        assert now > self.uptime
        self.uptime = now


@pytest.fixture
def life(vm: Guest) -> Life:
    if vm.show().status != "ACTIVE":
        vm.conn.compute.start_server(vm.id)
        vm.wait("ACTIVE")
    vm.ssh.wait()
    return Life(vm)


def pid_of(cloud: SystemCloud, name: str) -> int:
    """Of the process that does the work: ovs-vswitchd's pid file of ours is its watcher's."""
    if name == "ovs-vswitchd":
        return ovs.switch_pid() or 0
    if name == "ovsdb-server":
        return process.foreign_pid(f"{paths.OVS_RUN}/ovsdb-server.pid", "ovsdb-server") or 0
    if name in ("libvirtd", "virtlogd") and not cloud.pid(name):
        return process.foreign_pid(f"/run/{name}.pid", name) or 0
    return cloud.pid(name)


def kill_and_wait(cloud: SystemCloud, name: str) -> None:
    """SIGKILL, and until another process of that name runs and everything is well."""
    before = pid_of(cloud, name)
    assert before, f"{name} does not run"
    cloud.kill(before)
    until(lambda: pid_of(cloud, name) not in (0, before), 60, f"another {name}")
    cloud.wait_until_well(60)


def works(tenant: Tenant) -> None:
    """A server can be made, has its network, and goes without a trace of trouble."""
    guest = tenant.boot("after", networks=["net"])
    until(lambda: all(port.status == "ACTIVE" for port in guest.ports()), 60, "its port is up")
    guest.delete()


@pytest.mark.parametrize("name", CLOUDS_OWN)
def test_a_program_of_the_cloud(cloud: SystemCloud, shared: Tenant, life: Life, name: str) -> None:
    kill_and_wait(cloud, name)
    life.check()
    works(shared)


@pytest.mark.parametrize("name", MACHINES)
def test_an_engine_of_the_machine(cloud: SystemCloud, shared: Tenant, life: Life, name: str) -> None:
    if paths.systemd():
        pytest.skip("systemd's own units restart it")
    if found := others(cloud.settings):
        pytest.skip(f"another cloud uses it: {found}")
    kill_and_wait(cloud, name)
    life.check()
    works(shared)


def test_the_supervisor(cloud: SystemCloud, shared: Tenant, life: Life) -> None:
    """Without it everything goes on; `up` starts another, which watches again."""
    if paths.systemd():
        pytest.skip("systemd is the supervisor")
    kept = {name: pid_of(cloud, name) for name in CLOUDS_OWN}
    cloud.kill(cloud.pid("supervisor"))
    life.check()
    cloud.onestack("up", "--no-boot")
    assert {name: pid_of(cloud, name) for name in CLOUDS_OWN} == kept
    kill_and_wait(cloud, "agent")
    life.check()


def test_all_at_once(cloud: SystemCloud, shared: Tenant, life: Life) -> None:
    names = CLOUDS_OWN if others(cloud.settings) or paths.systemd() else [*CLOUDS_OWN, *MACHINES]
    pids = {name: pid_of(cloud, name) for name in names}
    for pid in pids.values():
        cloud.kill(pid)
    until(lambda: all(pid_of(cloud, name) not in (0, pid) for name, pid in pids.items()), 90, "all of them again")
    cloud.wait_until_well(90)
    life.check()
    works(shared)


def test_down_and_up(cloud: SystemCloud, shared: Tenant, life: Life) -> None:
    """`down` is not the end of VMs; `up` finds them."""
    cloud.onestack("down")
    assert alive(life.pid)
    assert Path(f"/proc/{life.pid}").exists()
    cloud.onestack("up", "--no-boot")
    life.check()
    works(shared)
