"""Host aggregates: finding and changing them, and what may not happen to a zone that servers are in.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability
from onestack.compute.models import Host, Server
from onestack.compute.models_admin import Aggregate, AggregateHost
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Conflict, NotFound


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


def set_metadata(
    session: Session, cloud: Cloud, aggregate: Aggregate, values: Mapping[str, str | None], what: str = "metadata of "
) -> None:
    """Set what `values` names; None takes a key away, but not the zone's. `what`: of the aggregate is changed, in the
    words of a refusal. Raises BadRequest when that would move servers into another zone or put a host into two."""
    if availability.KEY in values:
        zone = values[availability.KEY]
        try:
            _check_change_of_zone(session, aggregate, zone)
        except BadRequest as fault:
            raise BadRequest(f"Cannot update {what}aggregate {aggregate.id}. Reason: {fault.message}.") from None
    kept = {**aggregate.meta, **values}
    aggregate.meta = {key: value for key, value in kept.items() if value is not None}
    aggregate.updated_at = cloud.clock.now()


def _check_change_of_zone(session: Session, aggregate: Aggregate, zone: str | None) -> None:
    if not zone:
        raise BadRequest(f"Aggregate {aggregate.name} does not support empty named availability zone")
    if zone == aggregate.meta.get(availability.KEY):
        return
    hostnames = hosts_of(session, aggregate)
    _check_zones(session, aggregate, hostnames, zone)
    if occupied(session, hostnames):
        raise BadRequest("One or more hosts contain instances in this zone")


def _check_zones(session: Session, aggregate: Aggregate, hostnames: Iterable[str], zone: str) -> None:
    """A host is in one zone: raises BadRequest when another aggregate puts one of `hostnames` elsewhere."""
    query = (
        sa.select(Aggregate.meta)
        .join(AggregateHost, AggregateHost.aggregate_id == Aggregate.id)
        .where(AggregateHost.hostname.in_(list(hostnames)), Aggregate.id != aggregate.id)
    )
    others = {meta.get(availability.KEY) for meta in session.scalars(query)} - {None, zone}
    if others:
        raise BadRequest(f"One or more hosts already in availability zone(s) {sorted(others)}")


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
        try:
            _check_zones(session, aggregate, [hostname], zone)
            _check_move(session, aggregate, hostname, "added to")
        except BadRequest as fault:
            raise Conflict(f"Cannot add host to aggregate {aggregate.id}. Reason: {fault.message}.") from None
    session.add(AggregateHost(aggregate_id=aggregate.id, hostname=hostname))
    aggregate.updated_at = cloud.clock.now()


def remove_host(session: Session, cloud: Cloud, aggregate: Aggregate, hostname: str) -> None:
    """Raises NotFound when the host isn't in it, Conflict when its servers would change their zone."""
    member = session.get(AggregateHost, (aggregate.id, hostname))
    if member is None:
        raise NotFound(f"Cannot remove host {hostname} in aggregate {aggregate.id}")
    if aggregate.meta.get(availability.KEY) is not None:
        try:
            _check_move(session, aggregate, hostname, "removed from")
        except BadRequest as fault:
            raise Conflict(f"Cannot remove host from aggregate {aggregate.id}. Reason: {fault.message}.") from None
    session.delete(member)
    aggregate.updated_at = cloud.clock.now()


def _check_move(session: Session, aggregate: Aggregate, hostname: str, what: str) -> None:
    """Raises BadRequest when the host has servers and would be in another zone with, or without, this aggregate."""
    own = aggregate.meta[availability.KEY]
    query = (
        sa.select(Aggregate.meta)
        .join(AggregateHost, AggregateHost.aggregate_id == Aggregate.id)
        .where(AggregateHost.hostname == hostname, Aggregate.id != aggregate.id)
    )
    other = next((meta[availability.KEY] for meta in session.scalars(query) if availability.KEY in meta), None)
    there = sa.select(sa.func.count()).where(Server.host == hostname, Server.deleted_at.is_(None))
    if other == own or not (number := session.scalar(there)):
        return
    old, new = (other, own) if what == "added to" else (own, other)
    raise BadRequest(
        f"The host cannot be {what} the aggregate as the availability zone of the host would change from '{old}' to "
        f"'{new}' but the host already has {number} instance(s). Changing the AZ of an existing instance is not "
        "supported by this action. Move the instances away from this host then try again. If you need to move the "
        "instances between AZs then you can use shelve_offload and unshelve to achieve this."
    )


def delete(session: Session, aggregate: Aggregate) -> None:
    """Raises BadRequest unless it is empty."""
    if hosts_of(session, aggregate):
        raise BadRequest(f"Cannot remove host from aggregate {aggregate.id}. Reason: Host aggregate is not empty.")
    session.delete(aggregate)


def forget_host(session: Session, hostname: str) -> None:
    """The host is gone for good: out of every aggregate."""
    session.execute(sa.delete(AggregateHost).where(AggregateHost.hostname == hostname))
