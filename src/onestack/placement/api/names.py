"""Resource classes and traits: the standard ones, and custom ones that come and go. Traits and aggregates of
providers."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.placement import standard
from onestack.placement.api import common
from onestack.placement.models import Inventory, ProviderAggregate, ProviderTrait, ResourceClass, Trait
from onestack.placement.public import bump


class ClassBody(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Traits(msgspec.Struct, forbid_unknown_fields=True):
    traits: list[str]
    resource_provider_generation: int


class Aggregates(msgspec.Struct, forbid_unknown_fields=True):
    aggregates: list[str]
    resource_provider_generation: int


def _render_class(name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": f"/resource_classes/{name}"}]}


def classes(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        custom = session.scalars(sa.select(ResourceClass.name).order_by(ResourceClass.name)).all()
    return {"resource_classes": [_render_class(name) for name in (*standard.RESOURCE_CLASSES, *custom)]}


def show_class(req: Request, name: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        if name not in standard.RESOURCE_CLASSES and session.get(ResourceClass, name) is None:
            raise NotFound(f"No such resource class {name}.")
    return _render_class(name)


def create_class(req: Request) -> Response:
    name = req.body.name
    _custom(name)
    with req.cloud.db.write() as session:
        if session.get(ResourceClass, name) is not None:
            raise Conflict(f"Conflicting resource class already exists: {name}")
        session.add(ResourceClass(name=name))
    return Response(None, 201, {"Location": f"{req.base_url}/resource_classes/{name}"})


def ensure_class(req: Request, name: str) -> Response:
    _custom(name)
    with req.cloud.db.write() as session:
        new = session.get(ResourceClass, name) is None
        if new:
            session.add(ResourceClass(name=name))
    return Response(None, 201 if new else 204, {"Location": f"{req.base_url}/resource_classes/{name}"})


def rename_class(req: Request, name: str) -> dict[str, Any]:
    """Before 1.7 PUT renames."""
    _custom(req.body.name)
    with req.cloud.db.write() as session:
        row = session.get(ResourceClass, name)
        if row is None:
            raise NotFound(f"No such resource class {name}.")
        if session.get(ResourceClass, req.body.name) is not None:
            raise Conflict(f"Resource class already exists: {req.body.name}")
        if session.scalar(sa.select(Inventory.provider_uuid).where(Inventory.resource_class == name).limit(1)):
            raise Conflict(f"Resource class {name} is in use and can't be renamed.")
        row.name = req.body.name
    return _render_class(req.body.name)


def delete_class(req: Request, name: str) -> None:
    if name in standard.RESOURCE_CLASSES:
        raise BadRequest(f"Error in delete resource class: Cannot delete standard resource class {name}.")
    with req.cloud.db.write() as session:
        row = session.get(ResourceClass, name)
        if row is None:
            raise NotFound(f"No such resource class {name}.")
        if session.scalar(sa.select(Inventory.provider_uuid).where(Inventory.resource_class == name).limit(1)):
            raise Conflict(f"Error in delete resource class: Cannot delete resource class {name}. Class is in use.")
        session.delete(row)


def traits(req: Request) -> dict[str, Any]:
    common.only(req, ["name", "associated"])
    associated = req.get_bool("associated")
    with req.cloud.db.read() as session:
        names = {*standard.TRAITS, *session.scalars(sa.select(Trait.name))}
        if associated is not None:
            used = set(session.scalars(sa.select(ProviderTrait.trait).distinct()))
            names = names & used if associated else names - used
    choice = req.get("name")
    if choice is not None:
        kind, _, rest = choice.partition(":")
        if kind == "in":
            names &= set(rest.split(","))
        elif kind == "startswith":
            names = {name for name in names if name.startswith(rest)}
        else:
            raise BadRequest(f"Badly formatted name parameter. Expected name query string parameter in form: "
                             f"?name=[in|startswith]:[name1,name2|prefix]. Got: \"{choice}\"")  # fmt: skip
    return {"traits": sorted(names)}


def show_trait(req: Request, name: str) -> None:
    with req.cloud.db.read() as session:
        if name not in standard.TRAITS and session.get(Trait, name) is None:
            raise NotFound(f"No such trait(s): {name}.")


def ensure_trait(req: Request, name: str) -> Response:
    if not common.CUSTOM_NAME.match(name):
        raise BadRequest(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "
            '"CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"'
        )
    with req.cloud.db.write() as session:
        new = session.get(Trait, name) is None
        if new:
            session.add(Trait(name=name))
    return Response(None, 201 if new else 204, {"Location": f"{req.base_url}/traits/{name}"})


def delete_trait(req: Request, name: str) -> None:
    if name in standard.TRAITS:
        raise BadRequest(f"Cannot delete standard trait {name}.")
    with req.cloud.db.write() as session:
        row = session.get(Trait, name)
        if row is None:
            raise NotFound(f"No such trait(s): {name}.")
        if session.scalar(sa.select(ProviderTrait.provider_uuid).where(ProviderTrait.trait == name).limit(1)):
            raise Conflict(f"The trait {name} is in use by a resource provider.")
        session.delete(row)


def provider_traits(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid)
        query = sa.select(ProviderTrait.trait).where(ProviderTrait.provider_uuid == uuid).order_by(ProviderTrait.trait)
        return {"traits": list(session.scalars(query)), "resource_provider_generation": provider.generation}


def set_provider_traits(req: Request, uuid: str) -> dict[str, Any]:
    names = sorted(set(req.body.traits))
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        common.same_generation(provider, req.body.resource_provider_generation)
        common.known_traits(session, names)
        session.execute(sa.delete(ProviderTrait).where(ProviderTrait.provider_uuid == uuid))
        if names:
            session.execute(sa.insert(ProviderTrait), [{"provider_uuid": uuid, "trait": name} for name in names])
        bump(session, [uuid])
        return {"traits": names, "resource_provider_generation": provider.generation}


def delete_provider_traits(req: Request, uuid: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        session.execute(sa.delete(ProviderTrait).where(ProviderTrait.provider_uuid == uuid))
        bump(session, [uuid])


def aggregates(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid)
        column = ProviderAggregate.aggregate_uuid
        query = sa.select(column).where(ProviderAggregate.provider_uuid == uuid).order_by(column)
        body: dict[str, Any] = {"aggregates": list(session.scalars(query))}
        if req.version >= (1, 19):
            body["resource_provider_generation"] = provider.generation
        return body


def set_aggregates(req: Request, uuid: str) -> dict[str, Any]:
    """A bare list before 1.19, then an object with the generation."""
    new = req.version >= (1, 19)
    try:
        body: Aggregates | list[str]
        body = msgspec.convert(req.body, Aggregates) if new else msgspec.convert(req.body, list[str])
    except msgspec.ValidationError as error:
        raise BadRequest(f"JSON does not validate: {error}") from None
    uuids = sorted(set(body.aggregates if isinstance(body, Aggregates) else body))
    if not all(common.is_uuid(value) for value in uuids):
        raise BadRequest("JSON does not validate: aggregates must be UUIDs")
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        if isinstance(body, Aggregates):
            common.same_generation(provider, body.resource_provider_generation)
        session.execute(sa.delete(ProviderAggregate).where(ProviderAggregate.provider_uuid == uuid))
        if uuids:
            rows = [{"provider_uuid": uuid, "aggregate_uuid": value} for value in uuids]
            session.execute(sa.insert(ProviderAggregate), rows)
        if new:
            bump(session, [uuid])
        answer: dict[str, Any] = {"aggregates": uuids}
        if new:
            answer["resource_provider_generation"] = provider.generation
        return answer


def _custom(name: str) -> None:
    if not common.CUSTOM_NAME.match(name):
        raise BadRequest(f"JSON does not validate: '{name}' does not match '^CUSTOM\\_[A-Z0-9_]+$'")
