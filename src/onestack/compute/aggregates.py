"""Host aggregates: finding and changing them, and what may not happen to a zone that servers are in.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability
from onestack.compute.models import Host, Server
from onestack.compute.models_admin import Aggregate, AggregateHost
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Conflict, Fault, NotFound


def load(session: Session, aggregate_id: str) -> Aggregate:
    """Raises BadRequest when `aggregate_id` is no number, NotFound."""
    digits = aggregate_id.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest("Invalid input received: id must be an integer")
    found = session.get(Aggregate, int(aggregate_id)) if len(aggregate_id) < 19 else None
    if found is None:
        raise NotFound(f"Aggregate {aggregate_id} could not be found.")
    return found


def members(session: Session, aggregate_ids: Iterable[int]) -> dict[int, list[str]]:
    """Aggregate id → the names of its hosts, sorted."""
    found: dict[int, list[str]] = {}
    query = (
        sa.select(AggregateHost.aggregate_id, AggregateHost.hostname)
        .where(AggregateHost.aggregate_id.in_(list(aggregate_ids)))
        .order_by(AggregateHost.hostname)
    )
    for aggregate_id, hostname in session.execute(query):
        found.setdefault(aggregate_id, []).append(hostname)
    return found


def hosts_of(session: Session, aggregate: Aggregate) -> list[str]:
    return members(session, [aggregate.id]).get(aggregate.id, [])


def check_name(session: Session, name: str, but: int | None = None) -> None:
    """Raises Conflict when another aggregate has the name."""
    other = session.scalar(sa.select(Aggregate.id).where(Aggregate.name == name))
    if other is not None and other != but:
        raise Conflict(f"Aggregate {name} already exists.")


def set_metadata(session: Session, cloud: Cloud, aggregate: Aggregate, values: Mapping[str, str | None]) -> None:
    """Set what `values` names; None takes a key away. Raises BadRequest when that would move servers into another zone
    or put a host into two."""
    zone = values.get(availability.KEY)
    if availability.KEY in values and zone == "":
        raise _refusal(aggregate, "Aggregate metadata cannot be empty for availability_zone key.")
    if availability.KEY in values and zone != aggregate.meta.get(availability.KEY):
        hostnames = hosts_of(session, aggregate)
        if zone is not None:
            check_zones(session, aggregate, hostnames, zone)
        if occupied(session, hostnames):
            raise _refusal(aggregate, "One or more hosts contain instances in this zone")
    kept = {**aggregate.meta, **values}
    aggregate.meta = {key: value for key, value in kept.items() if value is not None}
    aggregate.updated_at = cloud.clock.now()


def check_zones(
    session: Session, aggregate: Aggregate, hostnames: Iterable[str], zone: str, fault: type[Fault] = BadRequest
) -> None:
    """A host is in one zone: raises `fault` when another aggregate puts one of `hostnames` elsewhere."""
    query = (
        sa.select(Aggregate.meta)
        .join(AggregateHost, AggregateHost.aggregate_id == Aggregate.id)
        .where(AggregateHost.hostname.in_(list(hostnames)), Aggregate.id != aggregate.id)
    )
    others = {meta.get(availability.KEY) for meta in session.scalars(query)} - {None, zone}
    if others:
        raise _refusal(aggregate, f"Host already in availability zone {', '.join(sorted(others))}", fault)


def occupied(session: Session, hostnames: Iterable[str]) -> bool:
    """Whether any of the hosts has a server."""
    query = sa.select(Server.id).where(Server.host.in_(list(hostnames)), Server.deleted_at.is_(None)).limit(1)
    return session.execute(query).first() is not None


def add_host(session: Session, cloud: Cloud, aggregate: Aggregate, hostname: str) -> None:
    """Raises NotFound (no such host) and Conflict (in it already, in another zone, servers would change their zone)."""
    if session.scalar(sa.select(Host.id).where(Host.hostname == hostname)) is None:
        raise NotFound(f"Compute host {hostname} could not be found.")
    if session.get(AggregateHost, (aggregate.id, hostname)) is not None:
        raise Conflict(f"Aggregate {aggregate.id} already has host {hostname}.")
    zone = aggregate.meta.get(availability.KEY)
    if zone is not None:
        check_zones(session, aggregate, [hostname], zone, Conflict)
        if availability.zones(session, [hostname])[hostname] != zone and occupied(session, [hostname]):
            raise _refusal(aggregate, f"Host {hostname} contains instances of another availability zone", Conflict)
    session.add(AggregateHost(aggregate_id=aggregate.id, hostname=hostname))
    aggregate.updated_at = cloud.clock.now()


def remove_host(session: Session, cloud: Cloud, aggregate: Aggregate, hostname: str) -> None:
    """Raises NotFound when the host isn't in it, Conflict when its servers would change their zone."""
    member = session.get(AggregateHost, (aggregate.id, hostname))
    if member is None:
        raise NotFound(f"Cannot remove host {hostname} in aggregate {aggregate.id}")
    if aggregate.meta.get(availability.KEY) is not None and occupied(session, [hostname]):
        session.delete(member)
        session.flush()
        if availability.zones(session, [hostname])[hostname] != aggregate.meta[availability.KEY]:
            raise Conflict(f"Cannot remove host {hostname} in aggregate {aggregate.id}: invalid")
    else:
        session.delete(member)
    aggregate.updated_at = cloud.clock.now()


def delete(session: Session, aggregate: Aggregate) -> None:
    """Raises BadRequest unless it is empty."""
    if hosts_of(session, aggregate):
        raise BadRequest(f"Unable to delete aggregate {aggregate.id}. Reason: Host aggregate is not empty.")
    session.delete(aggregate)


def forget_host(session: Session, hostname: str) -> None:
    """The host is gone for good: out of every aggregate."""
    session.execute(sa.delete(AggregateHost).where(AggregateHost.hostname == hostname))


def _refusal(aggregate: Aggregate, reason: str, fault: type[Fault] = BadRequest) -> Any:
    return fault(f"Unable to perform action 'update' on aggregate {aggregate.id}. Reason: {reason}.")
