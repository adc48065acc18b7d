"""Resource classes and traits: the standard ones, and custom ones that come and go. Traits and aggregates of
providers."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.placement import forms, schemas, standard
from onestack.placement.api import common
from onestack.placement.models import Allocation, Inventory, ProviderAggregate, ProviderTrait, ResourceClass, Trait
from onestack.placement.public import bump

_STALE = "Resource provider's generation already changed. Please update the generation and try again."


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
    name = common.checked(req.body, schemas.RESOURCE_CLASS)["name"]
    with req.cloud.db.write() as session:
        if session.get(ResourceClass, name) is not None:
            raise Conflict(f"Conflicting resource class already exists: {name}")
        session.add(ResourceClass(name=name))
    return Response(None, 201, {"Location": f"{req.base_url}/resource_classes/{name}"})


def ensure_class(req: Request, name: str) -> Response:
    common.checked({"name": name}, schemas.RESOURCE_CLASS)
    with req.cloud.db.write() as session:
        new = session.get(ResourceClass, name) is None
        if new:
            session.add(ResourceClass(name=name))
    return Response(None, 201 if new else 204, {"Location": f"{req.base_url}/resource_classes/{name}"})


def rename_class(req: Request, name: str) -> dict[str, Any]:
    """Before 1.7 PUT renames."""
    new = common.checked(req.body, schemas.RESOURCE_CLASS)["name"]
    with req.cloud.db.write() as session:
        common.known_class(session, name)
        row = session.get(ResourceClass, name)
        if row is None:
            raise BadRequest(f"Cannot update standard resource class {name}")
        if new != name and session.get(ResourceClass, new) is not None:
            raise Conflict(f"Resource class already exists: {new}")
        for table in (Inventory, Allocation):
            session.execute(sa.update(table).where(table.resource_class == name).values(resource_class=new))
        row.name = new
    return _render_class(new)


def delete_class(req: Request, name: str) -> None:
    if name in standard.RESOURCE_CLASSES:
        raise BadRequest(f"Error in delete resource class: Cannot delete standard resource class {name}.")
    with req.cloud.db.write() as session:
        row = session.get(ResourceClass, name)
        if row is None:
            raise NotFound(f"No such resource class {name}.")
        if session.scalar(sa.select(Inventory.provider_uuid).where(Inventory.resource_class == name).limit(1)):
            raise Conflict(
                f"Error in delete resource class: Cannot delete resource class {name}. Class is in use in inventory."
            )
        session.delete(row)


def traits(req: Request) -> dict[str, Any]:
    asked = common.query(req, schemas.TRAIT_QUERY)
    kind, _, rest = asked.get("name", "startswith:").partition(":")
    if ":" not in asked.get("name", ":"):
        raise BadRequest(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{asked["name"]}"'
        )
    associated = asked.get("associated", "").lower()
    if "associated" in asked and associated not in ("true", "false"):
        raise BadRequest('The query parameter "associated" only accepts "true" or "false"')
    with req.cloud.db.read() as session:
        names = {*standard.TRAITS, *session.scalars(sa.select(Trait.name))}
        if associated:
            used = set(session.scalars(sa.select(ProviderTrait.trait).distinct()))
            names = names & used if associated == "true" else names - used
    if kind == "in":
        names &= set(rest.split(","))
    elif kind == "startswith":
        names = {name for name in names if name.startswith(rest)}
    return {"traits": sorted(names)}


def show_trait(req: Request, name: str) -> None:
    with req.cloud.db.read() as session:
        if name not in standard.TRAITS and session.get(Trait, name) is None:
            raise NotFound(f"No such trait(s): {name}.")


def ensure_trait(req: Request, name: str) -> Response:
    if len(name) > 255 or not re.search(forms.CUSTOM, name):
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
        provider = common.provider(session, uuid, f"No resource provider with uuid {uuid} found: ")
        return {"traits": list(session.scalars(_traits_of(uuid))), "resource_provider_generation": provider.generation}


def set_provider_traits(req: Request, uuid: str) -> dict[str, Any]:
    body = common.checked(req.body, schemas.TRAITS)
    names = sorted(set(body["traits"]))
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        common.same_generation(provider, body["resource_provider_generation"], _STALE)
        unknown = common.unknown_traits(session, names)
        if unknown:
            raise BadRequest(f"No such trait {', '.join(unknown)}")
        have = set(session.scalars(_traits_of(uuid)))
        if have != set(names):
            _store_traits(session, uuid, names)
        return {"traits": names, "resource_provider_generation": provider.generation}


def _traits_of(uuid: str) -> sa.Select[str]:
    return sa.select(ProviderTrait.trait).where(ProviderTrait.provider_uuid == uuid).order_by(ProviderTrait.trait)


def _store_traits(session: Session, uuid: str, names: list[str]) -> None:
    session.execute(sa.delete(ProviderTrait).where(ProviderTrait.provider_uuid == uuid))
    if names:
        session.execute(sa.insert(ProviderTrait), [{"provider_uuid": uuid, "trait": name} for name in names])
    bump(session, [uuid])


def delete_provider_traits(req: Request, uuid: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        if session.scalars(_traits_of(uuid)).first() is not None:
            _store_traits(session, uuid, [])


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
    """A bare list before 1.19, then an object with the generation, which it advances."""
    new = req.version >= (1, 19)
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        body = common.checked(req.body, schemas.aggregates(req.version))
        if new:
            common.same_generation(provider, body["resource_provider_generation"], _STALE)
        uuids = body["aggregates"] if new else body
        session.execute(sa.delete(ProviderAggregate).where(ProviderAggregate.provider_uuid == uuid))
        if uuids:
            rows = [{"provider_uuid": uuid, "aggregate_uuid": value} for value in uuids]
            session.execute(sa.insert(ProviderAggregate), rows)
        answer: dict[str, Any] = {"aggregates": uuids}
        if new:
            bump(session, [uuid])
            answer["resource_provider_generation"] = provider.generation
        return answer
