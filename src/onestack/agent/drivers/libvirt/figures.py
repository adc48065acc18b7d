"""Figures of the host and of one server, in the shapes of the compute API."""

from __future__ import annotations

import grp
import xml.etree.ElementTree as ET
from typing import Any

import libvirt

from onestack.agent.drivers.base import NoConsole

STATES = {1: "running", 2: "running", 3: "paused", 4: "running", 5: "shutdown", 6: "crashed", 7: "suspended"}


def cpu_info(capabilities: str) -> dict[str, Any]:
    """os-hypervisors' `cpu_info` from virConnectGetCapabilities."""
    cpu = ET.fromstring(capabilities).find("host/cpu")  # noqa: S314
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "topology": {
            "cells": 1,
            **{
                name: int(topology.get(name, "1")) if topology is not None else 1
                for name in ("sockets", "cores", "threads")
            },
        },
        "features": sorted(feature.get("name", "") for feature in cpu.iterfind("feature")),
    }


def qemu_group(capabilities: str) -> int:
    """The group that QEMU runs as, e.g. from `<baselabel type='qemu'>+64055:+108</baselabel>`; root if not said."""
    for label in ET.fromstring(capabilities).iterfind("host/secmodel/baselabel"):  # noqa: S314
        _user, colon, group = (label.text or "").partition(":")
        if not colon:
            continue
        try:
            return int(group.lstrip("+")) if group.lstrip("+").isdigit() else grp.getgrnam(group).gr_gid
        except KeyError:
            continue
    return 0


def diagnostics(
    connection: libvirt.virConnect, domain: libvirt.virDomain | None, *, config_drive: bool
) -> dict[str, Any]:
    """os-diagnostics as of microversion 2.48; MiB for memory, nanoseconds for CPU time. Raises NoConsole."""
    if domain is None or not domain.isActive():
        raise NoConsole("the server is not running")
    stats = connection.domainListGetStats([domain], 0)[0][1]
    cpus = [
        {"id": number, "time": stats.get(f"vcpu.{number}.time", 0), "utilisation": None}
        for number in range(stats.get("vcpu.current", 0))
    ]
    nics = _nics(stats, domain)
    disks = [_disk(stats, number) for number in range(stats.get("block.count", 0))]
    return {
        "state": STATES.get(stats.get("state.state", 0), "pending"),
        "driver": "libvirt",
        "hypervisor": "kvm" if domain.XMLDesc(0).startswith("<domain type='kvm'") else "qemu",
        "hypervisor_os": "linux",
        "uptime": None,
        "config_drive": config_drive,
        "num_cpus": len(cpus),
        "num_nics": len(nics),
        "num_disks": len(disks),
        "cpu_details": cpus,
        "nic_details": nics,
        "disk_details": disks,
        "memory_details": {
            "maximum": stats.get("balloon.maximum", 0) // 1024,
            "used": stats.get("balloon.current", 0) // 1024,
        },
    }


def _nics(stats: dict[str, Any], domain: libvirt.virDomain) -> list[dict[str, Any]]:
    macs = [
        element.get("address", "")
        for element in ET.fromstring(domain.XMLDesc(0)).iterfind("devices/interface/mac")  # noqa: S314
    ]
    result = []
    for number in range(stats.get("net.count", 0)):
        nic: dict[str, Any] = {"mac_address": macs[number] if number < len(macs) else ""}
        for way in ("rx", "tx"):
            for ours, libvirts in (("octets", "bytes"), ("errors", "errs"), ("drop", "drop"), ("packets", "pkts")):
                nic[f"{way}_{ours}"] = stats.get(f"net.{number}.{way}.{libvirts}", 0)
            nic[f"{way}_rate"] = None
        result.append(nic)
    return result


def _disk(stats: dict[str, Any], number: int) -> dict[str, Any]:
    prefix = f"block.{number}"
    return {
        "read_bytes": stats.get(f"{prefix}.rd.bytes", 0),
        "read_requests": stats.get(f"{prefix}.rd.reqs", 0),
        "write_bytes": stats.get(f"{prefix}.wr.bytes", 0),
        "write_requests": stats.get(f"{prefix}.wr.reqs", 0),
        "errors_count": stats.get(f"{prefix}.errors", 0),
    }
