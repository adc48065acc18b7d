"""Availability zones: /os-availability-zone. Source: the compute API reference, "Availability zones"."""

from __future__ import annotations

from typing import Any

from onestack.compute import availability, hosts
from onestack.compute.api import services
from onestack.compute.models import Host
from onestack.core.clock import micros
from onestack.core.http import Request


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        zones = availability.by_zone(session)
    return {"availabilityZoneInfo": _rendered(zones, None)}


def detail(req: Request) -> dict[str, Any]:
    now = req.cloud.clock.now()
    with req.cloud.db.read() as session:
        zones = availability.by_zone(session)
    ours = {"available": True, "active": True, "updated_at": micros(now)}
    internal = {
        "zoneName": availability.INTERNAL,
        "zoneState": {"available": True},
        "hosts": {req.cloud.settings.hostname: dict.fromkeys(services.OURS, ours)},
    }
    shown = {
        name: {
            host.hostname: {
                services.COMPUTE: {
                    "available": hosts.is_up(host, now), "active": not host.disabled,
                    "updated_at": micros(host.seen_at),
                }
            }
            for host in members
        }
        for name, members in zones.items()
    }  # fmt: skip
    return {"availabilityZoneInfo": [internal, *_rendered(zones, shown)]}


def _rendered(zones: dict[str, list[Host]], shown: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Zones with an enabled host first. Those without say so, and show no hosts."""
    available, rest = [], []
    for name, members in zones.items():
        if any(not host.disabled for host in members):
            found = None if shown is None else shown[name]
            available.append({"zoneName": name, "zoneState": {"available": True}, "hosts": found})
        else:
            rest.append({"zoneName": name, "zoneState": {"available": False}, "hosts": None})
    return available + rest
