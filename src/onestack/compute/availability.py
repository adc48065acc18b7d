"""Which availability zone a host is in: the one that an aggregate of it names, or the default."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Host
from onestack.compute.models_admin import Aggregate, AggregateHost
from onestack.core.db import fetch, many

DEFAULT = "nova"  # of every host that no aggregate puts into another one
INTERNAL = "internal"  # of the services that are no hypervisors
KEY = "availability_zone"  # in an aggregate's metadata


_ZONES = (
    sa.select(AggregateHost.hostname, Aggregate.meta)
    .join(Aggregate, Aggregate.id == AggregateHost.aggregate_id)
    .where(AggregateHost.hostname.in_(many("hosts")))
    .order_by(Aggregate.id)
)


def zones(session: Session, hostnames: Iterable[str]) -> dict[str, str]:
    """Hostname → availability zone, for each of `hostnames`. One query."""
    found = dict.fromkeys(hostnames, DEFAULT)
    if not found:
        return found
    for hostname, metadata in fetch(session, _ZONES, hosts=list(found)):
        if zone := metadata.get(KEY):
            found[hostname] = zone
    return found


def by_zone(session: Session) -> dict[str, list[Host]]:
    """Zone → its hosts, both sorted by name. A zone without hosts is none."""
    hosts = list(session.scalars(sa.select(Host).order_by(Host.hostname)))
    where = zones(session, [host.hostname for host in hosts])
    found: dict[str, list[Host]] = {}
    for host in hosts:
        found.setdefault(where[host.hostname], []).append(host)
    return dict(sorted(found.items()))


def exists(session: Session, zone: str) -> bool:
    """Whether a server may ask for `zone`: one that has an enabled host, or the default while no host is known."""
    known = by_zone(session)
    if not known:
        return zone == DEFAULT
    return any(not host.disabled for host in known.get(zone, ()))
