"""A host with Open vSwitch (userspace datapath) and OVN inside a network namespace, and guests that are namespaces.

Needs root. Everything lives in one temporary directory and in namespaces with one prefix; `close` ends and removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .engine import Databases, wait_for

PROGRAMS = (
    "ovs-vswitchd",
    "ovsdb-server",
    "ovs-vsctl",
    "ovn-northd",
    "ovn-controller",
    "ip",
    "ping",
    "busybox",
    "ethtool",
)

UDHCPC_SCRIPT = """#!/bin/sh
case $1 in
bound|renew)
    ip addr replace $ip/$mask dev $interface
    [ -n "$mtu" ] && ip link set $interface mtu $mtu
    set -- $staticroutes
    while [ $# -ge 2 ]; do
        ip route replace $1 via $2 dev $interface
        shift 2
    done
    ;;
esac
"""


def missing() -> str:
    """What this machine lacks for such a host."""
    if os.geteuid() != 0:
        return "root"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun"
    return ", ".join(name for name in PROGRAMS if not shutil.which(name))


def run(*words: str, check: bool = True, timeout: float = 30) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Guest:
    """A namespace whose eth0 is plugged into the integration bridge."""

    def __init__(self, host: Host, name: str, port_id: str, mac: str) -> None:
        self.host, self.port_id = host, port_id
        self.namespace = f"{host.namespace}-{name}"
        self.tap = f"tap{port_id[:11]}"
        run("ip", "netns", "add", self.namespace)
        host.namespaces.append(self.namespace)
        pair = ("type", "veth", "peer", "name", "eth0", "address", mac, "netns", self.namespace)
        run("ip", "-n", host.namespace, "link", "add", self.tap, *pair)
        # Without checksum offload in the datapath a packet must leave its sender with a real checksum.
        self.run("ethtool", "-K", "eth0", "tx", "off")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "eth0", "up")
        run("ip", "-n", host.namespace, "link", "set", self.tap, "up")

    def plug(self) -> None:
        interface = ("--", "set", "Interface", self.tap, f"external_ids:iface-id={self.port_id}")
        self.host.vsctl("--may-exist", "add-port", "br-int", self.tap, *interface)

    def run(self, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.namespace, *words, check=check)

    def dhcp(self) -> None:
        script = self.host.root / "udhcpc.sh"
        self.run("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-T", "1", "-s", str(script))

    def pings(self, address: str) -> bool:
        """Whether one ping in a few was answered."""
        return any(self._ping(address) for _ in range(4))

    def never_pings(self, address: str) -> bool:
        return not any(self._ping(address) for _ in range(2))

    def _ping(self, address: str) -> bool:
        return " 0% packet loss" in self.run("ping", "-c1", "-W1", address, check=False)


class Host:
    def __init__(self) -> None:
        self.databases = Databases()
        self.root = self.databases.root
        self.namespace = self.root.name
        self.namespaces = [self.namespace]
        self.environment = {**os.environ, "OVS_RUNDIR": str(self.root), "OVN_RUNDIR": str(self.root)}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        (self.root / "udhcpc.sh").write_text(UDHCPC_SCRIPT)
        (self.root / "udhcpc.sh").chmod(0o755)
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        root = self.root
        run("ovsdb-tool", "create", str(root / "conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")
        self._daemon(
            "ovsdb-server", f"--remote=punix:{root}/db.sock", f"--unixctl={root}/ovsdb.ctl", str(root / "conf.db")
        )
        self.vsctl("--no-wait", "init")
        self._daemon("ovs-vswitchd", f"unix:{root}/db.sock", f"--unixctl={root}/ovs-vswitchd.ctl")
        remotes = [f"--ovnnb-db={self.databases.remote('nb')}", f"--ovnsb-db={self.databases.remote('sb')}"]
        self._daemon("ovn-northd", *remotes, f"--unixctl={root}/northd.ctl")
        ids = {
            "system-id": "host1",
            "hostname": "host1",
            "ovn-remote": self.databases.remote("sb"),
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge-datapath-type": "netdev",
            "ovn-bridge-mappings": "public:br-ex",
        }
        self.vsctl("set", "Open_vSwitch", ".", *(f"external_ids:{key}={value}" for key, value in ids.items()))
        self.vsctl("add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=netdev")
        self.run("ip", "addr", "add", "172.24.4.1/24", "dev", "br-ex")
        self.run("ip", "link", "set", "br-ex", "up")
        self.run("ethtool", "-K", "br-ex", "tx", "off")
        self._daemon("ovn-controller", f"unix:{root}/db.sock")
        wait_for(lambda: self.databases.rows("Chassis", ["name"], "sb"))

    def _daemon(self, program: str, *words: str) -> None:
        options = (
            "--detach",
            "--no-chdir",
            f"--pidfile={self.root}/{program}.pid",
            f"--log-file={self.root}/{program}.log",
        )
        command = ["ip", "netns", "exec", self.namespace, program, *options, "-vconsole:off", *words]
        subprocess.run(command, check=True, env=self.environment, timeout=30, capture_output=True)

    def vsctl(self, *words: str) -> str:
        return run("ovs-vsctl", "--timeout=10", f"--db=unix:{self.root}/db.sock", *words)

    def run(self, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.namespace, *words, check=check)

    def pings(self, address: str) -> bool:
        return any("1 received" in self.run("ping", "-c1", "-W1", address, check=False) for _ in range(4))

    def close(self) -> None:
        for file in self.root.glob("*.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while list(self.root.glob("*.pid")) and time.monotonic() < deadline:
            time.sleep(0.05)
        for file in self.root.glob("*.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for namespace in reversed(self.namespaces):
            run("ip", "netns", "del", namespace, check=False)
        self.databases.close()
