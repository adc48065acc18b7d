"""Inventories of a provider."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, MethodNotAllowed, NotFound
from onestack.core.http import Request, Response
from onestack.placement import dialect, forms, schemas
from onestack.placement.api import common
from onestack.placement.models import Inventory, Provider
from onestack.placement.public import bump, usage

FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")
_DEFAULTS = {"reserved": 0, "min_unit": 1, "max_unit": forms.MAX_INT, "step_size": 1, "allocation_ratio": 1.0}
_LARGEST = (1 << 63) - 1


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
        return _render(session, common.provider(session, uuid, f"No resource provider with uuid {uuid} found : "))


def show(req: Request, uuid: str, resource_class: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid, f"No resource provider with uuid {uuid} found : ")
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            raise NotFound(f"No inventory of class {resource_class} for {uuid}")
        return _render_one(row, provider)


def create(req: Request, uuid: str) -> Response:
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        record = common.checked(req.body, schemas.NEW_INVENTORY)
        name = record["resource_class"]
        refused = f"Unable to create inventory for resource provider {uuid}: "
        _check(uuid, {name: record}, req.version, refused)
        common.known_classes(session, [name], refused)
        if session.get(Inventory, (uuid, name)) is not None:
            raise Conflict(f"Update conflict: inventory of class {name} already exists.", kind=dialect.CONCURRENT)
        row = _store(session, uuid, name, record, None)
        bump(session, [uuid])
        location = f"{req.base_url}/resource_providers/{uuid}/inventories/{name}"
        return Response(_render_one(row, provider), 201, {"Location": location})


def replace_all(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        body = common.checked(req.body, schemas.INVENTORIES)
        common.same_generation(provider, body["resource_provider_generation"])
        store_all(session, uuid, body["inventories"], req.version)
        drop_others(session, uuid, body["inventories"])
        return _render(session, provider)


def store_all(session: Session, uuid: str, records: dict[str, Any], version: Version) -> None:
    """The provider has these inventories, and still those that it had. Raises BadRequest."""
    _check(uuid, records, version, f"Unable to update inventory for resource provider {uuid}: ")
    common.known_classes(session, records, f"Unknown resource class in inventory for resource provider {uuid}: ")
    have = _rows(session, uuid)
    for name, record in records.items():
        _store(session, uuid, name, record, have.get(name))
    bump(session, [uuid])
    session.flush()


def drop_others(session: Session, uuid: str, names: Iterable[str]) -> None:
    """The provider has no inventories but those. Raises Conflict."""
    have = _rows(session, uuid)
    others = have.keys() - set(names)
    _unused(session, uuid, others, "update conflict: ")
    for name in others:
        session.delete(have[name])
    session.flush()


def replace(req: Request, uuid: str, resource_class: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        record = common.checked(req.body, schemas.INVENTORY)
        common.same_generation(provider, record["resource_provider_generation"])
        _check(
            uuid, {resource_class: record}, req.version, f"Unable to update inventory for resource provider {uuid}: "
        )
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            common.known_class(session, resource_class)
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


def not_yet(req: Request, uuid: str) -> None:
    """DELETE of all of them before 1.5."""
    raise MethodNotAllowed(f"The method {req.method} is not allowed for this resource. \n\n ")


def delete(req: Request, uuid: str, resource_class: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        row = session.get(Inventory, (uuid, resource_class))
        if row is None:
            words = f"No inventory of class {resource_class} found for delete: "
            common.known_class(session, resource_class, words)
            raise NotFound(f"{words}No inventory of class {resource_class} found.")
        _unused(session, uuid, {resource_class}, f"Unable to delete inventory of class {resource_class}: ",
                dialect.CONCURRENT)  # fmt: skip
        session.delete(row)
        bump(session, [uuid])


def _check(uuid: str, records: dict[str, Any], version: Version, refused: str) -> None:
    """All that is reserved may be the whole of it, from 1.26."""
    least, words = (0, "greater than") if version >= (1, 26) else (1, "greater than or equal to")
    for name, given in records.items():
        record = {**_DEFAULTS, **given}
        capacity = (record["total"] - record["reserved"]) * record["allocation_ratio"]
        if int(capacity) < least:
            raise BadRequest(
                f"{refused}Invalid inventory for '{name}' on resource provider '{uuid}'. "
                f"The reserved value is {words} total."
            )
        if capacity > _LARGEST:
            raise BadRequest("JSON does not validate: allocation_ratio is too large")


def _unused(session: Session, uuid: str, names: set[str], refused: str = "", kind: str = dialect.IN_USE) -> None:
    taken = sorted(names & set(usage(session, [uuid]).get(uuid, {})))
    if taken:
        raise Conflict(f"{refused}Inventory for '{', '.join(taken)}' on resource provider '{uuid}' in use.", kind=kind)


def _store(session: Session, uuid: str, name: str, record: dict[str, Any], row: Inventory | None) -> Inventory:
    if row is None:
        row = Inventory(provider_uuid=uuid, resource_class=name)
        session.add(row)
    values = {**_DEFAULTS, **record}
    for field in FIELDS:
        kind = float if field == "allocation_ratio" else int  # JSON's 1.0 is a whole number too
        setattr(row, field, kind(values[field]))
    return row
