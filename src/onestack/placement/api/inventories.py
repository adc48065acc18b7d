"""Inventories of a provider."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.placement import dialect
from onestack.placement.api import common
from onestack.placement.models import Inventory, Provider
from onestack.placement.public import bump, usage


class Record(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = common.MAX_INT
    step_size: int = 1
    allocation_ratio: float = 1.0
    resource_provider_generation: int | None = None
    resource_class: str | None = None


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    resource_provider_generation: int
    inventories: dict[str, Record]


FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")


def render_inventory(row: Inventory) -> dict[str, Any]:
    return {field: getattr(row, field) for field in FIELDS}


def _rows(session: Session, uuid: str) -> dict[str, Inventory]:
    query = sa.select(Inventory).where(Inventory.provider_uuid == uuid).order_by(Inventory.resource_class)
    return {row.resource_class: row for row in session.scalars(query)}


def _render(session: Session, provider: Provider) -> dict[str, Any]:
    rows = _rows(session, provider.uuid)
    return {
        "inventories": {name: render_inventory(row) for name, row in rows.items()},
        "resource_provider_generation": provider.generation,
    }


def _render_one(row: Inventory, provider: Provider) -> dict[str, Any]:
    return {**render_inventory(row), "resource_provider_generation": provider.generation}


def index(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return _render(session, common.provider(session, uuid))


def show(req: Request, uuid: str, resource_class: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid)
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            raise NotFound(f"No inventory of class {resource_class} for {uuid}")
        return _render_one(row, provider)


def create(req: Request, uuid: str) -> Response:
    record: Record = req.body
    name = record.resource_class or ""
    _check(name, record, req.version)
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        if record.resource_provider_generation is not None:
            common.same_generation(provider, record.resource_provider_generation)
        common.known_classes(session, [name])
        if session.get(Inventory, (uuid, name)) is not None:
            raise Conflict(f"Update conflict: inventory of class {name} already exists.", kind=dialect.CONCURRENT)
        row = _store(session, uuid, name, record, None)
        bump(session, [uuid])
        location = f"{req.base_url}/resource_providers/{uuid}/inventories/{name}"
        return Response(_render_one(row, provider), 201, {"Location": location})


def replace_all(req: Request, uuid: str) -> dict[str, Any]:
    body: Whole = req.body
    for name, record in body.inventories.items():
        _check(name, record, req.version)
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        common.same_generation(provider, body.resource_provider_generation)
        common.known_classes(session, body.inventories)
        have = _rows(session, uuid)
        _unused(session, uuid, have.keys() - body.inventories.keys())
        for name, record in body.inventories.items():
            _store(session, uuid, name, record, have.pop(name, None))
        for row in have.values():
            session.delete(row)
        bump(session, [uuid])
        session.flush()
        return _render(session, provider)


def replace(req: Request, uuid: str, resource_class: str) -> dict[str, Any]:
    record: Record = req.body
    _check(resource_class, record, req.version)
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        common.same_generation(provider, record.resource_provider_generation)
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            raise BadRequest(
                f"No inventory record with resource class for resource provider {uuid}: "
                f"No inventory of class {resource_class} found."
            )
        _store(session, uuid, resource_class, record, row)
        bump(session, [uuid])
        session.flush()
        return _render_one(row, provider)


def delete_all(req: Request, uuid: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        _unused(session, uuid, set(_rows(session, uuid)))
        session.execute(sa.delete(Inventory).where(Inventory.provider_uuid == uuid))
        bump(session, [uuid])


def delete(req: Request, uuid: str, resource_class: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            raise NotFound(
                f"No inventory of class {resource_class} found for delete: "
                f"No inventory of class {resource_class} found."
            )  # fmt: skip
        _unused(session, uuid, {resource_class})
        session.delete(row)
        bump(session, [uuid])


def _check(name: str, record: Record, version: Version) -> None:
    def refuse(message: str) -> BadRequest:
        return BadRequest(f"JSON does not validate: {message}")

    if not common.CLASS_NAME.match(name):
        raise refuse(f"'{name}' is not the name of a resource class")
    for field in ("total", "min_unit", "max_unit", "step_size", "reserved"):
        lowest = 0 if field == "reserved" else 1
        if not lowest <= getattr(record, field) <= common.MAX_INT:
            raise refuse(f"{field} must be from {lowest} to {common.MAX_INT}")
    if not math.isfinite(record.allocation_ratio) or not 0 < record.allocation_ratio <= 3.40282e38:
        raise refuse("allocation_ratio must be a positive number")
    if (record.total - record.reserved) * record.allocation_ratio > (1 << 63) - 1:
        raise refuse("allocation_ratio is too large")
    highest = record.total if version >= (1, 26) else record.total - 1
    if record.reserved > highest:
        raise BadRequest(
            f"Unable to create inventory: Invalid inventory for '{name}'. The reserved value is greater than "
            f"{'' if version >= (1, 26) else 'or equal to '}total."
        )


def _unused(session: Session, uuid: str, names: set[str]) -> None:
    taken = sorted(names & set(usage(session, [uuid]).get(uuid, {})))
    if taken:
        raise Conflict(
            f"update conflict: Inventory for '{', '.join(taken)}' on resource provider '{uuid}' in use.",
            kind=dialect.IN_USE,
        )


def _store(session: Session, uuid: str, name: str, record: Record, row: Inventory | None) -> Inventory:
    if row is None:
        row = Inventory(provider_uuid=uuid, resource_class=name)
        session.add(row)
    for field in FIELDS:
        setattr(row, field, getattr(record, field))
    return row
