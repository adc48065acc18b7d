"""What other services call. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.db import fetch, many
from onestack.core.errors import Conflict
from onestack.placement import standard
from onestack.placement.capacity import Stock, fits, why_not
from onestack.placement.models import Allocation, Consumer, Inventory, Provider

Resources = Mapping[str, int]


def standard_traits() -> frozenset[str]:
    """The names of the traits that every Placement knows; all others are CUSTOM_…"""
    return standard.TRAITS


def standard_classes() -> tuple[str, ...]:
    """The names of the resource classes that every Placement knows; all others are CUSTOM_…"""
    return standard.RESOURCE_CLASSES


def ensure_provider(session: Session, cloud: Cloud, uuid: str, name: str) -> None:
    """A provider `uuid` called `name` exists afterwards."""
    provider = session.get(Provider, uuid)
    if provider is None:
        session.add(Provider(uuid=uuid, name=name, generation=0, root_uuid=uuid, updated_at=cloud.clock.now()))
        session.flush()
    elif provider.name != name:
        provider.name = name
        provider.updated_at = cloud.clock.now()


def set_inventory(session: Session, uuid: str, inventories: Mapping[str, Mapping[str, Any]]) -> None:
    """The provider has exactly `inventories`: {"VCPU": {"total": 8, "allocation_ratio": 4.0, …}}. A class that is
    in use stays although it isn't named: what is allocated is a fact. Nothing is written when nothing changed."""
    have = {row.resource_class: row for row in session.scalars(_inventories(uuid))}
    changed = False
    for name, fields in inventories.items():
        row = have.pop(name, None)
        if row is None:
            session.add(Inventory(provider_uuid=uuid, resource_class=name, **fields))
            changed = True
            continue
        for key, value in fields.items():
            if getattr(row, key) != value:
                setattr(row, key, value)
                changed = True
    if have:
        used = usage(session, [uuid]).get(uuid, {})
        for name, row in have.items():
            if not used.get(name):
                session.delete(row)
                changed = True
    if changed:
        bump(session, [uuid])
    session.flush()


def remove_provider(session: Session, uuid: str) -> None:
    """The provider is no more, with its inventory. Raises Conflict while something is allocated on it or it has
    children."""
    used = sa.select(Allocation.provider_uuid).where(Allocation.provider_uuid == uuid).limit(1)
    children = sa.select(Provider.uuid).where(Provider.parent_uuid == uuid).limit(1)
    if session.execute(used).first() is not None or session.execute(children).first() is not None:
        raise Conflict(f"Unable to delete resource provider {uuid}: it is in use or has children.")
    session.flush()
    session.execute(sa.delete(Provider).where(Provider.uuid == uuid))


def candidates(session: Session, resources: Resources) -> list[tuple[str, str, dict[str, Stock]]]:
    """Every provider on which all of `resources` fit now, by name: (uuid, name, {class: Stock}). One query."""
    wanted = _wanted(resources)
    return [
        (uuid, name, stocks)
        for uuid, (name, stocks) in stock_of(session, wanted).items()
        if all(fits(stocks.get(resource), amount) for resource, amount in wanted.items())
    ]


def refusals(session: Session, resources: Resources) -> dict[str, str]:
    """Host name → why `resources` do not fit there. Hosts where they do are not in it."""
    wanted = _wanted(resources)
    result: dict[str, str] = {}
    for name, stocks in stock_of(session, wanted).values():
        reasons = [why_not(resource, stocks.get(resource), amount) for resource, amount in wanted.items()]
        words = [reason for reason in reasons if reason]
        if words:
            result[name] = "; ".join(words)
    return result


def claim(
    session: Session, consumer_id: str, project_id: str, user_id: str, provider_uuid: str, resources: Resources
) -> bool:
    """Give `resources` of one provider to the consumer, instead of whatever it held; False when they do not fit (the
    transaction has then changed nothing). On SQLite the write transaction is alone; elsewhere the provider's row is
    locked, so two claims never both see the same free capacity."""
    wanted = _wanted(resources)
    if not lock(session, [provider_uuid]):
        return False
    found = stock_of(session, wanted, [provider_uuid], without=consumer_id)
    stocks = found[provider_uuid][1]
    if not all(fits(stocks.get(resource), amount) for resource, amount in wanted.items()):
        return False
    session.execute(sa.delete(Allocation).where(Allocation.consumer_uuid == consumer_id))
    if session.get(Consumer, consumer_id) is None:
        session.add(Consumer(uuid=consumer_id, project_id=project_id, user_id=user_id, consumer_type="INSTANCE"))
        session.flush()
    if wanted:
        rows = [
            {"consumer_uuid": consumer_id, "provider_uuid": provider_uuid, "resource_class": resource, "used": amount}
            for resource, amount in wanted.items()
        ]
        session.execute(sa.insert(Allocation), rows)
    bump(session, [provider_uuid])
    return True


def release(session: Session, consumer_id: str) -> None:
    """The consumer holds nothing afterwards. The providers keep their generations, since nobody's plans are upset."""
    session.execute(sa.delete(Allocation).where(Allocation.consumer_uuid == consumer_id))
    session.execute(sa.delete(Consumer).where(Consumer.uuid == consumer_id))


def usage(session: Session, provider_uuids: Iterable[str]) -> dict[str, dict[str, int]]:
    """{provider: {class: used}}, for those that are used at all."""
    query = (
        sa.select(Allocation.provider_uuid, Allocation.resource_class, sa.func.sum(Allocation.used))
        .where(Allocation.provider_uuid.in_(list(provider_uuids)))
        .group_by(Allocation.provider_uuid, Allocation.resource_class)
    )
    result: dict[str, dict[str, int]] = {}
    for provider, resource, used in session.execute(query):
        result.setdefault(provider, {})[resource] = int(used)
    return result


def lock(session: Session, provider_uuids: Iterable[str]) -> list[Provider]:
    """The providers, locked in one order until the transaction ends (SQLite has no row locks and needs none)."""
    query = sa.select(Provider).where(Provider.uuid.in_(list(provider_uuids))).order_by(Provider.uuid)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def bump(session: Session, provider_uuids: Iterable[str]) -> None:
    """Advance the providers' generations."""
    session.execute(
        sa.update(Provider)
        .where(Provider.uuid.in_(list(provider_uuids)))
        .values(generation=Provider.generation + 1)
        .execution_options(synchronize_session="fetch")
    )


def stock_of(
    session: Session, classes: Iterable[str] | None, provider_uuids: list[str] | None = None, without: str | None = None
) -> dict[str, tuple[str, dict[str, Stock]]]:
    """{provider uuid: (name, {class: Stock})} in one query; `without` leaves a consumer's own allocations out.
    `classes` None means all; a provider without any of them is there with an empty dict."""
    given: dict[str, Any] = {}
    if classes is not None:
        given["classes"] = list(classes)
    if provider_uuids is not None:
        given["providers"] = provider_uuids
    if without is not None:
        given["without"] = without
    result: dict[str, tuple[str, dict[str, Stock]]] = {}
    for uuid, name, resource, *figures in fetch(session, _stock(frozenset(given)), **given):
        entry = result.setdefault(uuid, (name, {}))
        if resource is not None:
            *limits, taken = figures
            entry[1][resource] = Stock._make((*limits, int(taken)))
    return result


@cache
def _stock(given: frozenset[str]) -> sa.Executable:
    """What `stock_of` asks when it was told `given`, its parameters."""
    used = sa.select(
        Allocation.provider_uuid, Allocation.resource_class, sa.func.sum(Allocation.used).label("used")
    ).group_by(Allocation.provider_uuid, Allocation.resource_class)
    if "without" in given:
        used = used.where(Allocation.consumer_uuid != sa.bindparam("without"))
    if "providers" in given:
        used = used.where(Allocation.provider_uuid.in_(many("providers")))
    sums = used.subquery()
    of_provider: sa.ColumnElement[bool] = Inventory.provider_uuid == Provider.uuid
    if "classes" in given:
        of_provider = sa.and_(of_provider, Inventory.resource_class.in_(many("classes")))
    query = (
        sa.select(
            Provider.uuid, Provider.name, Inventory.resource_class, Inventory.total, Inventory.reserved,
            Inventory.min_unit, Inventory.max_unit, Inventory.step_size, Inventory.allocation_ratio,
            sa.func.coalesce(sums.c.used, 0),
        )
        .select_from(Provider)
        .outerjoin(Inventory, of_provider)
        .outerjoin(
            sums,
            sa.and_(sums.c.provider_uuid == Provider.uuid, sums.c.resource_class == Inventory.resource_class),
        )
        .order_by(Provider.name, Inventory.resource_class)
    )  # fmt: skip
    return query.where(Provider.uuid.in_(many("providers"))) if "providers" in given else query


def _inventories(uuid: str) -> sa.Select[Inventory]:
    return sa.select(Inventory).where(Inventory.provider_uuid == uuid)


def _wanted(resources: Resources) -> dict[str, int]:
    return {name: int(amount) for name, amount in resources.items() if amount}
