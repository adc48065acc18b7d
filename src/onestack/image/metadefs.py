"""Metadata definitions: who sees a namespace, what may not be deleted, and the shapes that are served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import seconds
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request
from onestack.image.metadef_schemas import property_shape
from onestack.image.models_metadefs import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
)

CONTENTS = (MetadefTag, MetadefObject, MetadefProperty, MetadefAssociation)
PATH = "/v2/metadefs/namespaces"
Named = TypeVar("Named", MetadefObject, MetadefProperty, MetadefTag)
WORDS = {MetadefObject: "metadata object", MetadefProperty: "property", MetadefTag: "metadata tag"}


def visible(ctx: Context) -> sa.ColumnElement[bool]:
    """The namespaces that the caller's list shows."""
    if ctx.is_admin:
        return sa.true()
    return sa.or_(MetadefNamespace.visibility == "public", MetadefNamespace.owner == ctx.project_id)


def storable(body: Mapping[str, Any], verb: str, what: str) -> None:
    """Raises BadRequest for characters that Glance's tables don't hold, in names, texts and what is required."""
    for name, value in body.items():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                storable(item, verb, what)
            elif item is not value and name != "required":
                continue
            elif isinstance(item, str) and any(ord(character) > 0xFFFF for character in item):
                words = f"{name.title()} can't contain 4 byte unicode characters."
                raise BadRequest(f"Couldn't {verb} metadata {what}: {words}")


def find(
    req: Request, session: Session, name: str, rules: tuple[str, ...], missing: str = "Namespace {} not found"
) -> MetadefNamespace:
    """The namespace, when the caller sees it and every one of `rules` allows them to. Raises NotFound, Forbidden."""
    row = session.scalars(sa.select(MetadefNamespace).where(MetadefNamespace.namespace == name)).one_or_none()
    ctx = req.ctx
    if row is None or not (
        ctx.is_admin or row.owner is None or row.visibility == "public" or row.owner == ctx.project_id
    ):
        raise NotFound(missing.format(name))
    what = {"project_id": row.owner, "visibility": row.visibility}
    for rule in rules:
        try:
            req.authorize(what, rule)
        except Forbidden:
            # Who may not even see the namespace isn't told that it exists.
            if not req.allows("get_metadef_namespace", what):
                raise NotFound("The resource could not be found.") from None
            raise
    return row


def find_in(session: Session, kind: type[Named], namespace: MetadefNamespace, name: str) -> Named:
    """An object, property or tag of a namespace by its name. Raises NotFound."""
    row = lookup(session, kind, namespace.id, name)
    if row is None:
        raise NotFound(f"Could not find {WORDS[kind]} {name}")
    return row


def lookup(session: Session, kind: type[Named], namespace_id: int, name: str) -> Named | None:
    return session.scalars(
        sa.select(kind).where(kind.namespace_id == namespace_id, _same(kind, name))
    ).one_or_none()  # fmt: skip


def _same(kind: type[Named], name: str) -> sa.ColumnElement[bool]:
    """Tags are the same whatever their case."""
    return sa.func.lower(kind.name) == name.lower() if kind is MetadefTag else kind.name == name


def unused(
    session: Session, kind: type[Named], namespace: MetadefNamespace, name: str, row: Named | None = None
) -> None:
    """Raises Conflict when another object, property or tag of the namespace has the name."""
    other = lookup(session, kind, namespace.id, name)
    if other is None or other is row:
        return
    if kind is MetadefTag:
        raise _tag_exists(name, namespace.namespace)
    word = "object" if kind is MetadefObject else "property"
    if row is not None:
        raise Conflict(
            f"Invalid update. It would result in a duplicate metadata definition {word} with same name={name} in "
            f"namespace={namespace.namespace}."
        )
    raise Conflict(
        f"A metadata definition {word} with name={name} already exists in namespace={namespace.namespace}."
    )  # fmt: skip


def _tag_exists(name: str, namespace: str) -> Conflict:
    return Conflict(
        f"A metadata tag with name={name} already exists in namespace={namespace}. (Please note that metadata tag "
        "names are case insensitive)."
    )


def _object_exists(name: str, namespace: str) -> Conflict:
    return Conflict(f"A metadata definition object with name={name} already exists in namespace={namespace}.")


def _association_exists(name: str, namespace: str) -> Conflict:
    return Conflict(
        f"The metadata definition resource-type association of resource-type={name} to namespace={namespace} already "
        "exists."
    )


def unprotected(namespace: MetadefNamespace, what: str) -> None:
    """Raises Forbidden where nothing may be deleted."""
    if namespace.protected:
        raise Forbidden(f"Metadata definition {what} is protected and cannot be deleted.")


def properties_of(value: dict[str, Any]) -> dict[str, Any]:
    return {name: property_shape(item) for name, item in value.items()}


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _times(row: Any) -> dict[str, Any]:
    return {"created_at": seconds(row.created_at), "updated_at": seconds(row.updated_at)}


def render_namespace(row: MetadefNamespace) -> dict[str, Any]:
    here = f"{PATH}/{row.namespace}"
    return _filled(
        namespace=row.namespace, display_name=row.display_name, description=row.description, visibility=row.visibility,
        protected=row.protected, owner=row.owner, self=here, schema="/v2/schemas/metadefs/namespace", **_times(row),
    )  # fmt: skip


def render_object(row: MetadefObject, namespace: str) -> dict[str, Any]:
    here = f"{PATH}/{namespace}/objects/{row.name}"
    return _filled(
        name=row.name, description=row.description, required=row.required or [], properties=row.properties or {},
        self=here, schema="/v2/schemas/metadefs/object", **_times(row),
    )  # fmt: skip


def render_property(row: MetadefProperty) -> dict[str, Any]:
    return {"name": row.name, **row.shape}


def render_tag(row: MetadefTag) -> dict[str, Any]:
    return {"name": row.name, **_times(row)}


def render_association(row: MetadefAssociation) -> dict[str, Any]:
    return _filled(name=row.resource_type, prefix=row.prefix, properties_target=row.properties_target, **_times(row))


def short(name: str) -> str:
    """Raises BadRequest for a name that is too long."""
    if len(name) > 80:
        raise BadRequest(f"Provided object does not match schema: '{name[:80]}…' is too long")
    return name


def _object(namespace_id: int, body: dict[str, Any], now: Any) -> MetadefObject:
    return MetadefObject(
        namespace_id=namespace_id, name=short(body["name"]), description=body.get("description"),
        required=body.get("required") or [], properties=properties_of(body.get("properties") or {}), created_at=now,
        updated_at=now,
    )  # fmt: skip


def _property(namespace_id: int, name: str, value: dict[str, Any], now: Any) -> MetadefProperty:
    shape = property_shape(value)
    return MetadefProperty(namespace_id=namespace_id, name=short(name), shape=shape, created_at=now, updated_at=now)


def _tag(namespace_id: int, name: str, now: Any) -> MetadefTag:
    return MetadefTag(namespace_id=namespace_id, name=short(name), created_at=now, updated_at=now)


def add_object(session: Session, namespace: MetadefNamespace, body: dict[str, Any], now: Any) -> MetadefObject:
    unused(session, MetadefObject, namespace, body["name"])
    row = _object(namespace.id, body, now)
    session.add(row)
    return row


def add_property(
    session: Session, namespace: MetadefNamespace, name: str, value: dict[str, Any], now: Any
) -> MetadefProperty:
    unused(session, MetadefProperty, namespace, name)
    row = _property(namespace.id, name, value, now)
    session.add(row)
    return row


def add_tag(session: Session, namespace: MetadefNamespace, name: str, now: Any) -> MetadefTag:
    unused(session, MetadefTag, namespace, name)
    row = _tag(namespace.id, name, now)
    session.add(row)
    return row


def _association(namespace_id: int, body: dict[str, Any], now: Any) -> MetadefAssociation:
    for field in ("name", "prefix", "properties_target"):
        if len(body.get(field) or "") > 80:
            raise BadRequest(
                f"Provided object does not match schema 'resource_type_association': '{body[field][:80]}…' is too long"
            )
    return MetadefAssociation(
        namespace_id=namespace_id, resource_type=body["name"], prefix=body.get("prefix"),
        properties_target=body.get("properties_target"), created_at=now, updated_at=now,
    )  # fmt: skip


def _add_resource_types(session: Session, names: set[str], now: Any) -> None:
    """Resource types are made where there is none of the name."""
    known = sa.select(MetadefResourceType.name).where(MetadefResourceType.name.in_(names))
    for name in sorted(names - set(session.scalars(known))):
        session.add(MetadefResourceType(name=name, created_at=now, updated_at=now))
    session.flush()


def add_association(
    session: Session, namespace: MetadefNamespace, body: dict[str, Any], now: Any
) -> MetadefAssociation:  # fmt: skip
    """Raises Conflict when the namespace is for that resource type already."""
    row = _association(namespace.id, body, now)
    _add_resource_types(session, {row.resource_type}, now)
    if session.get(MetadefAssociation, (namespace.id, row.resource_type)) is not None:
        raise _association_exists(row.resource_type, namespace.namespace)
    session.add(row)
    return row


def fill(session: Session, namespace: MetadefNamespace, body: dict[str, Any], now: Any) -> None:
    """Everything that the body of a new namespace holds, in a constant number of queries. Raises Conflict for what is
    in it twice."""
    associations = body.get("resource_type_associations") or ()
    objects, tags = body.get("objects") or (), body.get("tags") or ()
    for twice, names in (
        (_association_exists, [item["name"] for item in associations]),
        (_object_exists, [item["name"] for item in objects]), (_tag_exists, [item["name"] for item in tags]),
    ):  # fmt: skip
        seen: set[str] = set()
        for name in names:
            same = name.lower() if twice is _tag_exists else name
            if same in seen:
                raise twice(name, namespace.namespace)
            seen.add(same)
    rows: list[Any] = [_association(namespace.id, item, now) for item in associations]
    _add_resource_types(session, {row.resource_type for row in rows}, now)
    rows += [_object(namespace.id, item, now) for item in objects]
    rows += [_property(namespace.id, name, value, now) for name, value in (body.get("properties") or {}).items()]
    rows += [_tag(namespace.id, item["name"], now) for item in tags]
    session.add_all(rows)
    session.flush()


def remove_contents(session: Session, namespace_id: int) -> None:
    for kind in CONTENTS:
        session.execute(sa.delete(kind).where(kind.namespace_id == namespace_id))
