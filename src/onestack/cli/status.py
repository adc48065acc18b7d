"""`onestack status`: every process, API, host and engine, with the reason where something is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack import config
from onestack.cli import client, demo, programs
from onestack.cli.problems import Problem
from onestack.cli.settings import existing
from onestack.config import Settings
from onestack.engines import external, libvirt, ovn, ovs, process
from onestack.engines.health import EngineError, Health

MARKS = {"up": "●", "down": "○", "wrong": "▲", "absent": "○"}
COLOURS = {"up": "32", "down": "31", "wrong": "33", "absent": "31"}


def run(options: argparse.Namespace) -> int:
    """0 when all is well, 3 when something is not."""
    settings = existing(options)
    found = look(settings)
    if options.json:
        print(json.dumps(document(settings, found), indent=2))
    else:
        print(table(settings, found))
    return 0 if all(health.good for rows in found.values() for health in rows) else 3


def look(settings: Settings) -> dict[str, list[Health]]:
    with ThreadPoolExecutor(8) as pool:
        apis = list(pool.map(lambda service: api(settings, service), config.PORTS))
    return {
        "processes": processes(settings),
        "apis": apis,
        "hosts": hosts(settings),
        "engines": engines(settings),
    }


def processes(settings: Settings) -> list[Health]:
    keeper = [] if programs.under_systemd() else [programs.supervisor(settings)]
    found = []
    for program in [*keeper, *programs.servers(settings), programs.agent(settings)]:
        pid = programs.pid(program)
        reason = memory(pid) if pid else process.last_line(program.log)
        found.append(Health(program.name, "up" if pid else "down", reason, pid))
    return found


def memory(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as handle:
            kilobytes = next(int(line.split()[1]) for line in handle if line.startswith("VmRSS:"))
    except (OSError, StopIteration):
        return ""
    return f"{kilobytes // 1024} MB"


def api(settings: Settings, service: str) -> Health:
    url = client.base_url(settings, service)
    reason = client.answers(settings, service)
    if service == "console" and reason.startswith("answers"):
        # Its websockets work without noVNC's pages, which a cloud of an ordinary user may not have.
        return Health(service, "up", f"{url}, {reason}")
    return Health(service, "down" if reason else "up", f"{url}: {reason}" if reason else url)


def hosts(settings: Settings) -> list[Health]:
    """As the compute API sees them."""
    try:
        operator = demo.admin(settings)
        services = operator.get("compute", "/os-services?binary=nova-compute")["services"]
        details = {
            row["hypervisor_hostname"]: row for row in operator.get("compute", "/os-hypervisors/detail")["hypervisors"]
        }
    except Problem as error:
        return [Health("hosts", "wrong", str(error))]
    if not services:
        return [Health("hosts", "wrong", "no host has registered; see the agent's log")]
    return [host(row, details.get(row["host"], {})) for row in services]


def host(service: dict[str, Any], detail: dict[str, Any]) -> Health:
    words = []
    if detail:
        kind = detail.get("hypervisor_type", "?")
        words.append(
            f"{kind}, {detail.get('vcpus')} vCPUs, {detail.get('memory_mb')} MiB, {detail.get('running_vms')} VMs"
        )
    if service["status"] != "enabled":
        words.append(f"disabled: {service.get('disabled_reason') or 'no reason given'}")
    if service["state"] != "up":
        words.append(f"last heard of at {service.get('updated_at') or 'no time'}")
    return Health(service["host"], "up" if service["state"] == "up" else "down", "; ".join(words))


def engines(settings: Settings) -> list[Health]:
    if not programs.real(settings):
        return []
    found: list[Health] = []
    for looks in (libvirt.look, ovs.look, lambda: ovn.look(settings), lambda: [external.look(settings)]):
        try:
            found += looks()
        except EngineError as error:
            found.append(Health("engine", "wrong", str(error)))
    return found


def document(settings: Settings, found: dict[str, list[Health]]) -> dict[str, Any]:
    rows = {
        kind: [{"name": one.name, "state": one.state, "reason": one.reason, "pid": one.pid} for one in healths]
        for kind, healths in found.items()
    }
    good = all(one.good for healths in found.values() for one in healths)
    return {"state": settings.state, "hypervisor": settings.hypervisor, "ok": good, **rows}


def table(settings: Settings, found: dict[str, list[Health]]) -> str:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = [f"{settings.state} ({settings.hypervisor})"]
    for kind, healths in found.items():
        if healths:
            lines += ["", kind.capitalize() if kind != "apis" else "APIs"]
        for one in healths:
            mark = MARKS[one.state]
            if colour:
                mark = f"\x1b[{COLOURS[one.state]}m{mark}\x1b[0m"
            pid = f"pid {one.pid}" if one.pid else ""
            lines.append(f"  {mark} {one.name:<16} {one.state:<6} {pid:<12} {one.reason}".rstrip())
    return "\n".join(lines)
