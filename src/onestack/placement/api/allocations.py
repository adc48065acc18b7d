"""Allocations: what consumers hold, written whole for each consumer, never more than there is."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.placement import dialect
from onestack.placement.api import common
from onestack.placement.capacity import within_units
from onestack.placement.models import Allocation, Consumer, Provider
from onestack.placement.public import bump, lock, release, stock_of

UNSET = msgspec.UNSET


class Resources(msgspec.Struct, forbid_unknown_fields=True):
    resources: dict[str, int]
    generation: int | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """From 1.12: allocations by provider."""

    allocations: dict[str, Resources]
    project_id: str
    user_id: str
    consumer_generation: int | msgspec.UnsetType | None = UNSET
    consumer_type: str | msgspec.UnsetType = UNSET
    mappings: dict[str, list[str]] | msgspec.UnsetType = UNSET


class _ProviderRef(msgspec.Struct, forbid_unknown_fields=True):
    uuid: str


class _OldAllocation(msgspec.Struct, forbid_unknown_fields=True):
    resource_provider: _ProviderRef
    resources: dict[str, int]


class OldBody(msgspec.Struct, forbid_unknown_fields=True):
    """Before 1.12: a list; before 1.8 without an owner."""

    allocations: list[_OldAllocation]
    project_id: str = ""
    user_id: str = ""


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
        provider = common.provider(session, uuid)
        for row, generation in session.execute(query.where(Allocation.provider_uuid == uuid)):
            entry = allocations.setdefault(row.consumer_uuid, {"resources": {}})
            entry["resources"][row.resource_class] = row.used
            if req.version >= (1, 28):
                entry["consumer_generation"] = generation
        return {"allocations": allocations, "resource_provider_generation": provider.generation}


def replace(req: Request, consumer_uuid: str) -> None:
    body = _checked(req.body, req.version, consumer_uuid)
    if not body.allocations and req.version < (1, 28):
        raise BadRequest("JSON does not validate: {} does not have enough properties")
    with req.cloud.db.write() as session:
        _write(session, {consumer_uuid: body}, req.version)


def replace_old(req: Request, consumer_uuid: str) -> None:
    old: OldBody = req.body
    if req.version >= (1, 8) and not (old.project_id and old.user_id):
        raise BadRequest("JSON does not validate: 'project_id' and 'user_id' are required properties")
    allocations = {item.resource_provider.uuid: Resources(item.resources) for item in old.allocations}
    if not allocations:
        raise BadRequest("JSON does not validate: [] is too short")
    body = Body(
        allocations=allocations, project_id=old.project_id or UNKNOWN_OWNER, user_id=old.user_id or UNKNOWN_OWNER
    )
    body = _checked(body, (1, 12), consumer_uuid)
    with req.cloud.db.write() as session:
        _write(session, {consumer_uuid: body}, (1, 12))


def replace_many(req: Request) -> None:
    bodies: dict[str, Body] = req.body
    if not bodies:
        raise BadRequest("JSON does not validate: {} does not have enough properties")
    checked = {uuid: _checked(body, req.version, uuid) for uuid, body in bodies.items()}
    with req.cloud.db.write() as session:
        _write(session, checked, req.version)


def delete(req: Request, consumer_uuid: str) -> None:
    with req.cloud.db.write() as session:
        if session.get(Consumer, consumer_uuid) is None:
            raise NotFound(f"No allocations for consumer '{consumer_uuid}'")
        release(session, consumer_uuid)


def _checked(body: Body, version: Version, consumer_uuid: str) -> Body:
    def refuse(message: str) -> BadRequest:
        return BadRequest(f"JSON does not validate: {message}")

    if not common.is_uuid(consumer_uuid):
        raise BadRequest(f"Malformed consumer_uuid: {consumer_uuid}")
    for name, since in (("consumer_generation", (1, 28)), ("consumer_type", (1, 38))):
        given = getattr(body, name) is not UNSET
        if given != (version >= since):
            word = "is a required property" if not given else "was unexpected"
            raise refuse(f"'{name}' {word}")
    if body.mappings is not UNSET and version < (1, 34):
        raise refuse("Additional properties are not allowed ('mappings' was unexpected)")
    if not (0 < len(body.project_id) <= 255 and 0 < len(body.user_id) <= 255):
        raise refuse("project_id and user_id must have from 1 to 255 characters")
    for uuid, item in body.allocations.items():
        if not common.is_uuid(uuid):
            raise refuse(f"'{uuid}' is not a 'uuid'")
        if not item.resources:
            raise refuse("{} does not have enough properties")
        for name, amount in item.resources.items():
            if not common.CLASS_NAME.match(name) or not 1 <= amount <= common.MAX_INT:
                raise refuse(f"'{name}': {amount} is not an amount of a resource class")
    return body


def _write(session: Session, bodies: dict[str, Body], version: Version) -> None:
    """All consumers' allocations become what is asked, or nothing changes (the transaction is rolled back)."""
    wanted = {uuid for body in bodies.values() for uuid in body.allocations}
    held = session.scalars(sa.select(Allocation.provider_uuid).where(Allocation.consumer_uuid.in_(bodies)))
    touched = wanted | set(held)
    known = {row.uuid for row in lock(session, touched)}
    for uuid in wanted - known:
        raise BadRequest(f"Allocation for resource provider '{uuid}' that does not exist.")
    names = {name for body in bodies.values() for item in body.allocations.values() for name in item.resources}
    try:
        common.known_classes(session, names)
    except BadRequest as error:
        raise BadRequest(f"Unable to allocate inventory: {error.message}") from None
    for consumer_uuid, body in bodies.items():
        _consumer(session, consumer_uuid, body, version)
    session.execute(sa.delete(Allocation).where(Allocation.consumer_uuid.in_(bodies)))
    _check_units(session, bodies)
    rows = [
        {"consumer_uuid": consumer, "provider_uuid": provider, "resource_class": name, "used": amount}
        for consumer, body in bodies.items()
        for provider, item in body.allocations.items()
        for name, amount in item.resources.items()
    ]
    if rows:
        session.execute(sa.insert(Allocation), rows)
    _check_capacity(session, bodies)
    empty = [uuid for uuid, body in bodies.items() if not body.allocations]
    session.execute(sa.delete(Consumer).where(Consumer.uuid.in_(empty)))
    if touched:
        bump(session, touched)


def _consumer(session: Session, uuid: str, body: Body, version: Version) -> None:
    consumer = session.get(Consumer, uuid)
    if version >= (1, 28):
        generation = consumer.generation if consumer is not None else None
        if body.consumer_generation != generation:
            raise dialect.concurrent(
                f"consumer generation conflict - expected {generation} but got {body.consumer_generation}"
            )
    kind = body.consumer_type if isinstance(body.consumer_type, str) else None
    if consumer is None:
        session.add(Consumer(uuid=uuid, project_id=body.project_id, user_id=body.user_id, consumer_type=kind))
    else:
        consumer.project_id, consumer.user_id = body.project_id, body.user_id
        consumer.consumer_type = kind or consumer.consumer_type
        consumer.generation += 1
    session.flush()


def _check_units(session: Session, bodies: dict[str, Body]) -> None:
    stocks = stock_of(session, None, list({uuid for body in bodies.values() for uuid in body.allocations}))
    for body in bodies.values():
        for provider, item in body.allocations.items():
            for name, amount in item.resources.items():
                stock = stocks[provider][1].get(name)
                if stock is None:
                    raise Conflict(
                        f"Unable to allocate inventory: Inventory for '{name}' on resource provider '{provider}' "
                        "invalid."
                    )
                if not within_units(stock, amount):
                    raise Conflict(
                        f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
                        f"'{provider}'. The requested amount would violate inventory constraints."
                    )


def _check_capacity(session: Session, bodies: dict[str, Body]) -> None:
    """After the rows are in: nothing that was asked may be overbooked."""
    stocks = stock_of(session, None, list({uuid for body in bodies.values() for uuid in body.allocations}))
    for body in bodies.values():
        for provider, item in body.allocations.items():
            for name in item.resources:
                if stocks[provider][1][name].free < 0:
                    raise Conflict(
                        f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
                        f"'{provider}'. The requested amount would exceed the capacity."
                    )
