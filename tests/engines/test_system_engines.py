"""The real engines, in network and mount namespaces of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.system

SCENE = """
import json, os, signal, sys
from onestack import config
from onestack.engines import external, libvirt, ovn, ovs, process
settings = config.load(sys.argv[1])
for name in ("run", "log", "engines", "supervisor"):
    settings.path(name).mkdir(exist_ok=True)
seen = {}
def everything():
    rows = [*ovs.look(), *libvirt.look(), *ovn.look(settings), external.look(settings)]
    return {one.name: [one.state, one.pid] for one in rows}
def ensure():
    ovs.ensure_running()
    libvirt.ensure_running()
    ovn.ensure_running(settings, "")
    ovn.wait_for_chassis(settings)
    external.ensure_running(settings)
def settled():
    # Debian's ovn-controller now and then crashes as it starts; whoever watches it starts it again.
    ensure()
    return {state for state, _ in everything().values()} == {"up"}
try:
    process.wait_for(settled, 30)
    seen["first"] = everything()
    ensure()
    seen["again"] = everything()
    os.kill(seen["first"]["ovn-northd"][1], signal.SIGKILL)
    os.kill(seen["first"]["libvirtd"][1], signal.SIGKILL)
    process.wait_for(lambda: everything()["libvirtd"][0] != "up" and everything()["ovn-northd"][0] != "up", 10)
    seen["killed"] = everything()
    ensure()
    seen["back"] = everything()
    seen["address"] = external.addresses("br-ex")
    seen["conflict"] = external.conflict(external.address(settings).network, except_for="")
finally:
    external.stop(settings)
    ovn.stop(settings, "")
    libvirt.stop()
    ovs.stop()
seen["stopped"] = everything()
print(json.dumps(seen))
"""

PREPARE = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/openvswitch
mkdir -p /run/lock "$1/libvirt" "$1/etc"
mount --bind "$1/libvirt" /var/lib/libvirt
ip link set lo up
shift
exec "$@"
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = tmp_path_factory.mktemp("engines")
    (directory / "state").mkdir()
    shell = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", PREPARE, "sh", str(directory)]
    done = subprocess.run(
        [*shell, sys.executable, "-c", SCENE, str(directory / "state")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_all_are_up(seen):
    ours = {"ovn-nb", "ovn-sb", "ovn-northd", "ovn-controller", "br-ex"}
    assert set(seen["first"]) == {"ovsdb-server", "ovs-vswitchd", "libvirtd", "virtlogd"} | ours
    assert {state for state, _ in seen["first"].values()} == {"up"}


def test_again_changes_nothing(seen):
    assert seen["again"] == seen["first"]


def test_what_was_killed_is_seen_and_brought_back_alone(seen):
    assert seen["killed"]["libvirtd"][0] == seen["killed"]["ovn-northd"][0] == "down"
    assert {state for state, _ in seen["back"].values()} == {"up"}
    changed = {name for name in seen["back"] if seen["back"][name] != seen["first"][name]}
    assert changed == {"libvirtd", "ovn-northd"}


def test_the_host_is_the_first_address_of_the_external_network(seen):
    assert seen["address"] == ["172.24.4.1/24"]
    assert seen["conflict"] == "172.24.4.1/24 on br-ex"


def test_stopped_is_stopped(seen):
    assert "up" not in {state for state, _ in seen["stopped"].values()}
