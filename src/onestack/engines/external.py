"""The bridge to the outside (`br-ex`): how VMs reach the world and the host reaches VMs.

The bridge's own port holds the first address of `network.external_cidr`; the host forwards, and masquerades what
leaves that network, in an nftables table of its own. No network card is taken over.

    python -m onestack.engines.external --state DIR      ensures all of it (after a boot, from systemd)
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import socket
import subprocess
import sys
from pathlib import Path

from onestack.config import ConfigError, Settings, load
from onestack.engines import ovs, process
from onestack.engines.health import EngineError, Health
from onestack.engines.paths import cloud_tag

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def address(settings: Settings) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """What the host is called on the external network: its first address."""
    network = ipaddress.ip_network(settings.network.external_cidr)
    return ipaddress.ip_interface(f"{network[1]}/{network.prefixlen}")


def table(settings: Settings) -> str:
    return "onestack" + cloud_tag(settings).replace("-", "_")


def hardware_address(bridge: str) -> str:
    """A locally administered MAC made from the name, so that neighbours' ARP entries outlive a restart."""
    digest = hashlib.sha256(bridge.encode()).hexdigest()
    return "0e:" + ":".join(digest[index : index + 2] for index in range(0, 10, 2))


def ensure_running(settings: Settings) -> None:
    """Raises EngineError with one line that says what is wrong."""
    bridge, wanted = settings.external_bridge, address(settings)
    taken = conflict(wanted.network, except_for=bridge)
    if taken:
        file = settings.path("onestack.toml")
        raise EngineError(f"network.external_cidr {wanted.network} overlaps {taken}; choose another in {file}")
    ovs.vsctl(
        "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, f"datapath_type={ovs.datapath()}",
        f'other_config:hwaddr="{hardware_address(bridge)}"', "--", "set", "Interface", bridge,
        f"mtu_request={settings.network.mtu}",
    )  # fmt: skip
    if not process.wait_for(lambda: exists(bridge), 5):
        raise EngineError(f"Open vSwitch did not make {bridge}: {ovs.why() or 'see its log'}")
    if str(wanted) not in addresses(bridge):
        process.run(["ip", "address", "replace", str(wanted), "dev", bridge])
    process.run(["ip", "link", "set", bridge, "up"])
    if ovs.datapath() == "netdev":
        # Without this the userspace datapath gets packets whose checksums nobody computed: pings work, TCP does not.
        process.run(["ethtool", "-K", bridge, "tx", "off"])
    if FORWARD.read_text(encoding="ascii").strip() != "1":
        try:
            FORWARD.write_text("1", encoding="ascii")
        except OSError as error:
            raise EngineError(f"cannot turn on forwarding: {FORWARD}: {error.strerror}") from error
    masquerade(settings)


def masquerade(settings: Settings) -> None:
    """Replace our table in one transaction."""
    name, network = table(settings), settings.network.external_cidr
    rules = f"""
        table ip {name} {{}}
        delete table ip {name}
        table ip {name} {{
            chain outward {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {network} ip daddr != {network} oifname != "{settings.external_bridge}" masquerade
            }}
        }}
    """
    try:
        done = subprocess.run(
            ["nft", "-f", "-"],
            input=rules,
            text=True,
            capture_output=True,
            env=process.clean_environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise EngineError("nft is not installed (package nftables)") from error
    if done.returncode:
        raise EngineError(f"nft refuses the masquerade rule: {done.stderr.strip().splitlines()[0]}")


def interfaces() -> list[tuple[str, list[str]]]:
    """(name, addresses with prefix length) of every IPv4 interface."""
    rows = json.loads(process.run(["ip", "-json", "-4", "address", "show"]) or "[]")
    return [
        (row["ifname"], [f"{info['local']}/{info['prefixlen']}" for info in row.get("addr_info", [])])
        for row in rows
        if row.get("ifname")
    ]


def exists(interface: str) -> bool:
    return any(name == interface for _, name in socket.if_nameindex())


def addresses(interface: str) -> list[str]:
    return next((found for name, found in interfaces() if name == interface), [])


def conflict(network: ipaddress.IPv4Network | ipaddress.IPv6Network, *, except_for: str) -> str:
    """`10.0.0.5/24 on eth0` when that overlaps the network; else nothing."""
    for name, found in interfaces():
        for one in found if name != except_for else []:
            if ipaddress.ip_interface(one).network.overlaps(network):
                return f"{one} on {name}"
    return ""


def stop(settings: Settings) -> None:
    """Take away what `ensure_running` made. `down` does not: VMs stay reachable as soon as the engines are back."""
    subprocess.run(
        ["nft", "delete", "table", "ip", table(settings)],
        capture_output=True,
        env=process.clean_environment(),
        check=False,
    )
    if ovs.database_answers():
        ovs.vsctl("--if-exists", "del-br", settings.external_bridge)


def look(settings: Settings) -> Health:
    bridge, wanted = settings.external_bridge, str(address(settings))
    if not exists(bridge):
        return Health(bridge, "down", "there is no such interface")
    if wanted not in addresses(bridge):
        return Health(bridge, "wrong", f"has not the address {wanted}; `onestack up` puts it back")
    if FORWARD.read_text(encoding="ascii").strip() != "1":
        return Health(bridge, "wrong", "net.ipv4.ip_forward is off: VMs do not reach the world")
    return Health(bridge, "up", f"{wanted}, masqueraded")


def main() -> int:
    parser = argparse.ArgumentParser(prog="onestack.engines.external")
    parser.add_argument("--state", required=True)
    try:
        ensure_running(load(parser.parse_args().state))
    except (ConfigError, EngineError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
