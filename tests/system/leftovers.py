"""What a deleted server must not leave behind: in libvirt, on disk, in Open vSwitch and OVN, in the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import requests

from tests.system.cloud import SystemCloud, ctl
from tests.system.waiting import until

OVS = "unix:/run/openvswitch/db.sock"


def of_server(cloud: SystemCloud, server_id: str, ports: list[str]) -> list[str]:
    """Everything that is still there of a server and of its ports, one line each."""
    return [
        *_domain(server_id),
        *_files(cloud, server_id),
        *of_ports(cloud, ports),
        *_allocations(cloud, server_id),
        *_rows(cloud, server_id),
    ]


def wait_for_none(cloud: SystemCloud, server_id: str, ports: list[str], seconds: float = 30) -> None:
    def clean() -> bool:
        left = of_server(cloud, server_id, ports)
        assert not left, left
        return True

    until(clean, seconds, f"nothing is left of server {server_id}")


def _domain(server_id: str) -> list[str]:
    import libvirt

    connection = libvirt.openReadOnly("qemu:///system")
    try:
        return [f"domain {found.name()}" for found in connection.listAllDomains() if server_id in found.name()]
    finally:
        connection.close()


def _files(cloud: SystemCloud, server_id: str) -> list[str]:
    roots = [cloud.state / "instances", Path("/run/onestack"), Path("/run/libvirt/qemu"), Path("/etc/libvirt/qemu"),
             Path("/var/lib/libvirt/qemu/save"), Path("/var/log/libvirt/qemu")]  # fmt: skip
    return [f"file {path}" for root in roots for path in root.glob(f"**/*{server_id}*")]


def of_ports(cloud: SystemCloud, ports: list[str]) -> list[str]:
    """On the host and in OVN."""
    found = []
    for port in ports:
        tap = f"tap{port[:11]}"
        if Path("/sys/class/net", tap).exists():
            found.append(f"device {tap}")
        rows = ctl("ovs-vsctl", OVS, "--bare", "--columns=name", "find", "Interface", f"external_ids:iface-id={port}")
        found += [f"Open vSwitch interface {name}" for name in rows.split()]
        for name, tool, table, column in (
            ("northbound", cloud.nbctl, "Logical_Switch_Port", "name"),
            ("southbound", cloud.sbctl, "Port_Binding", "logical_port"),
        ):
            if tool("--bare", "--columns=_uuid", "find", table, f"{column}={port}"):
                found.append(f"OVN {name} port {port}")
    return found


def _allocations(cloud: SystemCloud, server_id: str) -> list[str]:
    admin = cloud.connect("onestack")
    url = f"{cloud.settings.url('placement')}/allocations/{server_id}"
    answer = requests.get(url, headers={"X-Auth-Token": admin.auth_token}, timeout=10)
    return [f"allocation {answer.json()['allocations']}"] if answer.json()["allocations"] else []


def _rows(cloud: SystemCloud, server_id: str) -> list[str]:
    """Rows that only a living server may have. The database is read as it is on disk."""
    queries = {
        "unfinished operation": "SELECT id FROM operations WHERE object_id = ? AND finished_at IS NULL",
        "port": "SELECT id FROM ports WHERE device_id = ?",
        "server": "SELECT id FROM servers WHERE id = ? AND deleted_at IS NULL",
        "console token": "SELECT token_sha256 FROM console_tokens WHERE server_id = ?",
    }
    with sqlite3.connect(f"file:{cloud.state}/db/onestack.sqlite?mode=ro", uri=True) as database:
        return [f"{what} {row[0]}" for what, query in queries.items() for row in database.execute(query, (server_id,))]
