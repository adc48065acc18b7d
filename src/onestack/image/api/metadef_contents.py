"""What is in a namespace: objects, properties and tags."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core import paging
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.core.words import truth
from onestack.image import listing, metadef_schemas, metadefs
from onestack.image.api.metadef_namespaces import MISSING, direction_of, limit_of, order, visibility_of
from onestack.image.models_metadefs import (
    MetadefAssociation,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
)

_VISIBILITIES = ("public", "private", "shared")


def objects(req: Request, namespace: str) -> dict[str, Any]:
    """All of them, in the order in which they were made: Glance looks only at the form of what pages would be."""
    direction_of(req)
    visibility_of(req, _VISIBILITIES)
    text = listing.first(req.query, "limit")
    if text is not None and listing.limit_of(text) == 0:
        raise BadRequest("limit param must be positive")
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("get_metadef_objects",), MISSING)
        query = sa.select(MetadefObject).where(MetadefObject.namespace_id == parent.id).order_by(MetadefObject.id)
        found = [metadefs.render_object(row, parent.namespace) for row in session.scalars(query)]
    return {"objects": found, "schema": "v2/schemas/metadefs/objects"}


def show_object(req: Request, namespace: str, object_name: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("get_metadef_object",), MISSING)
        return metadefs.render_object(metadefs.find_in(session, MetadefObject, parent, object_name), parent.namespace)


def create_object(req: Request, namespace: str) -> Response:
    _validate_object(req.body)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("add_metadef_object",), MISSING)
        metadefs.storable(req.body, "create", "object")
        row = metadefs.add_object(session, parent, req.body, req.cloud.clock.now())
        return Response(_as_sent(metadefs.render_object(row, parent.namespace), req.body), 201)


def _as_sent(shown: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What wasn't sent is shown empty only later."""
    return {name: value for name, value in shown.items() if value or name in body}


def _validate_object(body: dict[str, Any]) -> None:
    metadef_schemas.validate(body, metadef_schemas.OBJECT)
    for value in body.get("properties", {}).values():
        metadef_schemas.validate(value, metadef_schemas.PROPERTY_IN_OBJECT)


def update_object(req: Request, namespace: str, object_name: str) -> dict[str, Any]:
    body = req.body
    _validate_object(body)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("modify_metadef_object",), MISSING)
        row = metadefs.find_in(session, MetadefObject, parent, object_name)
        metadefs.storable(body, "update", "object")
        metadefs.unused(session, MetadefObject, parent, body["name"], row)
        row.name, row.description = body["name"], body.get("description")
        row.required = body.get("required") or []
        row.properties = metadefs.properties_of(body.get("properties") or {})
        row.updated_at = req.cloud.clock.now()
        return _as_sent(metadefs.render_object(row, parent.namespace), body)


def delete_object(req: Request, namespace: str, object_name: str) -> None:
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("delete_metadef_object",), MISSING)
        row = metadefs.find_in(session, MetadefObject, parent, object_name)
        metadefs.unprotected(parent, f"object {row.name}")
        session.delete(row)


def properties(req: Request, namespace: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("get_metadef_properties",))
        query = sa.select(MetadefProperty).where(MetadefProperty.namespace_id == parent.id)
        return {"properties": {row.name: row.shape for row in session.scalars(query.order_by(MetadefProperty.id))}}


def show_property(req: Request, namespace: str, property_name: str) -> dict[str, Any]:
    resource_type = req.get("resource_type")
    rules = ("get_metadef_property", "get_metadef_resource_type") if resource_type else ("get_metadef_property",)
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, rules)
        if resource_type:
            known = sa.select(MetadefResourceType.name).where(MetadefResourceType.name == resource_type)
            if session.scalar(known) is None:
                raise NotFound(f"The metadata definition resource-type with name={resource_type}, was not found.")
            association = session.get(MetadefAssociation, (parent.id, resource_type))
            if association is None:
                raise NotFound(
                    f"The metadata definition resource-type association of resource-type={resource_type} to "
                    f"namespace={namespace}, was not found."
                )
            prefix = association.prefix
            if not prefix or not property_name.startswith(prefix):
                raise NotFound(
                    f"Property {property_name} does not start with the expected resource type association prefix of "
                    f"'{prefix}'."
                )
            property_name = property_name[len(prefix) :]
        return metadefs.render_property(metadefs.find_in(session, MetadefProperty, parent, property_name))


def create_property(req: Request, namespace: str) -> Response:
    body = req.body
    metadef_schemas.validate(body, metadef_schemas.PROPERTY)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("add_metadef_property",))
        metadefs.storable(body, "create", "property")
        row = metadefs.add_property(session, parent, body["name"], body, req.cloud.clock.now())
        return Response(metadefs.render_property(row), 201)


def update_property(req: Request, namespace: str, property_name: str) -> dict[str, Any]:
    body = req.body
    metadef_schemas.validate(body, metadef_schemas.PROPERTY)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("modify_metadef_property",))
        row = metadefs.find_in(session, MetadefProperty, parent, property_name)
        metadefs.storable(body, "update", "property")
        metadefs.unused(session, MetadefProperty, parent, body["name"], row)
        row.name, row.shape = body["name"], metadef_schemas.property_shape(body)
        row.updated_at = req.cloud.clock.now()
        return metadefs.render_property(row)


def delete_property(req: Request, namespace: str, property_name: str) -> None:
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("remove_metadef_property",))
        row = metadefs.find_in(session, MetadefProperty, parent, property_name)
        metadefs.unprotected(parent, f"property {row.name}")
        session.delete(row)


def tags(req: Request, namespace: str) -> dict[str, Any]:
    """A page of them; a marker is a name."""
    known = {name: getattr(MetadefTag, name) for name in ("created_at", "id", "updated_at", "name")}
    direction_of(req)
    limit = limit_of(req, None)
    visibility_of(req, _VISIBILITIES)
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("get_metadef_tags",))
        sorts = order(req, known)
        marker, name = None, listing.first(req.query, "marker")
        if name:
            last = metadefs.find_in(session, MetadefTag, parent, name)
            marker = {key: getattr(last, key) for key, _ in sorts}
        query = sa.select(MetadefTag).where(MetadefTag.namespace_id == parent.id)
        rows = session.scalars(paging.paginate(query, known, sorts, marker=marker, limit=limit))
        return {"tags": [{"name": row.name} for row in rows]}


def show_tag(req: Request, namespace: str, tag_name: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("get_metadef_tag",))
        return metadefs.render_tag(metadefs.find_in(session, MetadefTag, parent, tag_name))


def create_tag(req: Request, namespace: str, tag_name: str) -> Response:
    metadef_schemas.validate({"name": tag_name}, metadef_schemas.TAG)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("add_metadef_tag",))
        return Response(metadefs.render_tag(metadefs.add_tag(session, parent, tag_name, req.cloud.clock.now())), 201)


def create_tags(req: Request, namespace: str) -> Response:
    """Many tags at once. They take the place of those that are there, unless X-OpenStack-Append says otherwise."""
    body = req.body
    metadef_schemas.validate(body, metadef_schemas.TAG_LIST)
    names = [tag["name"] for tag in body.get("tags", ())]
    append = truth(req.header("X-OpenStack-Append") or "") is True
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("add_metadef_tags",))
        query = sa.select(sa.func.lower(MetadefTag.name)).where(MetadefTag.namespace_id == parent.id)
        taken = set(session.scalars(query)) if append else set()
        if names and not append:
            session.execute(sa.delete(MetadefTag).where(MetadefTag.namespace_id == parent.id))
        for name in names:
            if name.lower() in taken:
                raise Conflict(
                    f"A metadata tag with name={name} already exists in namespace={parent.namespace}. (Please note "
                    "that metadata tag names are case insensitive)."
                )
            taken.add(metadefs.short(name).lower())
        rows = [{"namespace_id": parent.id, "name": name, "created_at": now, "updated_at": now} for name in names]
        if rows:
            session.execute(sa.insert(MetadefTag), rows)
    return Response({"tags": [{"name": name} for name in names]}, 201)


def update_tag(req: Request, namespace: str, tag_name: str) -> dict[str, Any]:
    metadef_schemas.validate(req.body, metadef_schemas.TAG)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("modify_metadef_tag",))
        row = metadefs.find_in(session, MetadefTag, parent, tag_name)
        metadefs.storable(req.body, "update", "tag")
        metadefs.unused(session, MetadefTag, parent, req.body["name"], row)
        row.name, row.updated_at = req.body["name"], req.cloud.clock.now()
        return metadefs.render_tag(row)


def delete_tag(req: Request, namespace: str, tag_name: str) -> None:
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("delete_metadef_tag",))
        row = metadefs.find_in(session, MetadefTag, parent, tag_name)
        metadefs.unprotected(parent, f"tag {row.name}")
        session.delete(row)
