"""Allocations: what consumers hold, written whole for each consumer, never more than there is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.placement import dialect, forms, schemas
from onestack.placement.api import common
from onestack.placement.capacity import within_units
from onestack.placement.models import Allocation, Consumer, Provider
from onestack.placement.public import bump, lock, release, stock_of

Bodies = dict[str, dict[str, Any]]  # consumer → what is asked for it, in the form of 1.12 and later

# Who owns allocations that were written before 1.8 asked for it.
UNKNOWN_OWNER = "00000000-0000-0000-0000-000000000000"


def show(req: Request, consumer_uuid: str) -> dict[str, Any]:
    query = (
        sa.select(Allocation, Provider.generation)
        .join(Provider, Provider.uuid == Allocation.provider_uuid)
        .where(Allocation.consumer_uuid == consumer_uuid)
        .order_by(Allocation.provider_uuid, Allocation.resource_class)
    )
    allocations: dict[str, Any] = {}
    with req.cloud.db.read() as session:
        consumer = session.get(Consumer, consumer_uuid)
        for row, generation in session.execute(query):
            entry = allocations.setdefault(row.provider_uuid, {"resources": {}, "generation": generation})
            entry["resources"][row.resource_class] = row.used
    body: dict[str, Any] = {"allocations": allocations}
    if allocations and consumer is not None and req.version >= (1, 12):
        body["project_id"] = consumer.project_id
        body["user_id"] = consumer.user_id
        if req.version >= (1, 28):
            body["consumer_generation"] = consumer.generation
        if req.version >= (1, 38):
            body["consumer_type"] = consumer.consumer_type or "unknown"
    return body


def of_provider(req: Request, uuid: str) -> dict[str, Any]:
    query = sa.select(Allocation, Consumer.generation).join(Consumer, Consumer.uuid == Allocation.consumer_uuid)
    allocations: dict[str, Any] = {}
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid, f"Resource provider '{uuid}' not found: ")
        for row, generation in session.execute(query.where(Allocation.provider_uuid == uuid)):
            entry = allocations.setdefault(row.consumer_uuid, {"resources": {}})
            entry["resources"][row.resource_class] = row.used
            if req.version >= (1, 28):
                entry["consumer_generation"] = generation
        return {"allocations": allocations, "resource_provider_generation": provider.generation}


def replace(req: Request, consumer_uuid: str) -> None:
    if not forms.is_uuid(consumer_uuid):
        raise BadRequest(f"Malformed consumer_uuid: {consumer_uuid}")
    consumer = forms.dashed(consumer_uuid)
    body = common.checked(req.body, schemas.allocations(req.version))
    if req.version < (1, 12):
        body = _modern(body)
    with req.cloud.db.write() as session:
        write(session, {consumer: body}, req.version, f"Unable to allocate inventory for consumer {consumer}: ")


def _modern(old: dict[str, Any]) -> dict[str, Any]:
    allocations = {item["resource_provider"]["uuid"]: {"resources": item["resources"]} for item in old["allocations"]}
    owner = {name: old.get(name, UNKNOWN_OWNER) for name in ("project_id", "user_id")}
    return {"allocations": allocations, **owner}


def replace_many(req: Request) -> None:
    bodies = common.checked(req.body, schemas.all_allocations(req.version))
    with req.cloud.db.write() as session:
        write(session, bodies, req.version, "Unable to allocate inventory ")


def delete(req: Request, consumer_uuid: str) -> None:
    with req.cloud.db.write() as session:
        if session.get(Consumer, consumer_uuid) is None:
            raise NotFound(f"No allocations for consumer '{consumer_uuid}'")
        release(session, consumer_uuid)


def write(session: Session, bodies: Bodies, version: Version, refused: str) -> None:
    """All consumers' allocations become what is asked, or nothing changes (the transaction is rolled back)."""
    wanted = {uuid for body in bodies.values() for uuid in body["allocations"]}
    held = session.scalars(sa.select(Allocation.provider_uuid).where(Allocation.consumer_uuid.in_(bodies)))
    touched = wanted | set(held)
    known = {row.uuid for row in lock(session, touched)}
    for consumer_uuid, body in bodies.items():
        _consumer(session, consumer_uuid, body, version)
    for uuid in sorted(wanted - known):
        raise BadRequest(f"Allocation for resource provider '{uuid}' that does not exist.")
    rows = [
        {"consumer_uuid": consumer, "provider_uuid": provider, "resource_class": name, "used": int(amount)}
        for consumer, body in bodies.items()
        for provider, item in body["allocations"].items()
        for name, amount in item["resources"].items()
    ]
    common.known_classes(session, {row["resource_class"] for row in rows}, refused)
    session.execute(sa.delete(Allocation).where(Allocation.consumer_uuid.in_(bodies)))
    _check_units(session, rows)
    if rows:
        session.execute(sa.insert(Allocation), rows)
    _check_capacity(session, rows)
    empty = [uuid for uuid, body in bodies.items() if not body["allocations"]]
    session.execute(sa.delete(Consumer).where(Consumer.uuid.in_(empty)))
    if touched:
        bump(session, touched)


def _consumer(session: Session, uuid: str, body: dict[str, Any], version: Version) -> None:
    consumer = session.get(Consumer, uuid)
    if version >= (1, 28):
        generation = consumer.generation if consumer is not None else None
        if body["consumer_generation"] != generation:
            given = body["consumer_generation"]
            raise dialect.concurrent(f"consumer generation conflict - expected {generation or 'null'} but got {given}")
    kind = body.get("consumer_type")
    owner = {"project_id": body["project_id"], "user_id": body["user_id"]}
    if consumer is None:
        session.add(Consumer(uuid=uuid, consumer_type=kind, **owner))
    else:
        consumer.project_id, consumer.user_id = owner["project_id"], owner["user_id"]
        consumer.consumer_type = kind or consumer.consumer_type
        consumer.generation += 1
    session.flush()


def _check_units(session: Session, rows: list[dict[str, Any]]) -> None:
    stocks = stock_of(session, None, list({row["provider_uuid"] for row in rows}))
    for row in rows:
        provider, name = row["provider_uuid"], row["resource_class"]
        stock = stocks[provider][1].get(name)
        if stock is None:
            raise Conflict(
                f"Unable to allocate inventory: Inventory for '{name}' on resource provider '{provider}' invalid."
            )
        if not within_units(stock, row["used"]):
            raise Conflict(
                f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
                f"'{provider}'. The requested amount would violate inventory constraints."
            )


def _check_capacity(session: Session, rows: list[dict[str, Any]]) -> None:
    """After the rows are in: nothing that was asked may be overbooked."""
    stocks = stock_of(session, None, list({row["provider_uuid"] for row in rows}))
    for row in rows:
        provider, name = row["provider_uuid"], row["resource_class"]
        if stocks[provider][1][name].free < 0:
            raise Conflict(
                f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
                f"'{provider}'. The requested amount would exceed the capacity."
            )
