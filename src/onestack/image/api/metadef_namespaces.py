"""Namespaces of metadata definitions: https://docs.openstack.org/api-ref/image/v2/metadefs-index.html."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import paging
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.image import listing, metadef_schemas, metadefs
from onestack.image.models_metadefs import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefTag,
)

MISSING = "Metadata definition namespace={} was not found."
_NAMELESS = "Metadata definition namespace not found for id={}"
_SORT_KEYS = {
    name: getattr(MetadefNamespace, name)
    for name in (
        "created_at", "id", "updated_at", "namespace", "display_name", "description", "visibility", "protected",
        "owner",
    )
}  # fmt: skip


def order(req: Request, known: Any) -> list[paging.Sort]:
    """From sort_key and sort_dir, ending with the id. Raises BadRequest."""
    direction = direction_of(req)
    key = listing.first(req.query, "sort_key", "created_at")
    if key not in known:
        raise BadRequest(f"Sort key supplied was not valid: {key}")
    keys = dict.fromkeys((key, "created_at", "id"))
    return [(name, direction) for name in keys]


def direction_of(req: Request) -> str:
    """Raises BadRequest."""
    direction = str(listing.first(req.query, "sort_dir", "desc"))
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {direction}")
    return direction


def limit_of(req: Request, default: int | None) -> int | None:
    """Raises BadRequest."""
    text = listing.first(req.query, "limit")
    if not text:
        return default
    try:
        limit = int(text)
    except ValueError:
        raise BadRequest("limit param must be an integer") from None
    if limit < 0:
        raise BadRequest("limit param must be positive")
    return min(limit, listing.MAXIMUM_LIMIT)


def visibility_of(req: Request, allowed: tuple[str, ...]) -> str | None:
    visibility = req.get("visibility")
    if visibility and visibility not in allowed:
        raise BadRequest(f"Invalid visibility value: {visibility}")
    return visibility


def index(req: Request) -> dict[str, Any]:
    limit = limit_of(req, listing.DEFAULT_LIMIT) or 0
    sorts = order(req, _SORT_KEYS)
    visibility = visibility_of(req, ("public", "private"))
    req.authorize(rule="list_metadef_resource_types")
    query = sa.select(MetadefNamespace).where(metadefs.visible(req.ctx))
    if visibility is not None:
        query = query.where(MetadefNamespace.visibility == visibility)
    if req.get("resource_types") is not None:
        wanted = (req.get("resource_types") or "").split(",")
        these = sa.select(MetadefAssociation.namespace_id).where(MetadefAssociation.resource_type.in_(wanted))
        query = query.where(MetadefNamespace.id.in_(these))
    with req.cloud.db.read() as session:
        marker = None
        name = listing.first(req.query, "marker")
        if name is not None:
            row = metadefs.find(req, session, name, (), MISSING if name else _NAMELESS)
            marker = {key: getattr(row, key) for key, _ in sorts}
        rows = session.scalars(paging.paginate(query, _SORT_KEYS, sorts, marker=marker, limit=limit)).all()
        rows = [
            row for row in rows
            if req.allows("get_metadef_namespace", {"project_id": row.owner, "visibility": row.visibility})
        ]  # fmt: skip
        associations = _associations(session, [row.id for row in rows])
    namespaces = []
    for row in rows:
        shown = metadefs.render_namespace(row)
        if associations[row.id]:
            shown["resource_type_associations"] = associations[row.id]
        namespaces.append(shown)
    kept = [(key, value) for key, value in req.query if key != "marker"]
    text = urllib.parse.urlencode(kept)
    body: dict[str, Any] = {
        "namespaces": namespaces, "schema": "/v2/schemas/metadefs/namespaces",
        "first": f"{metadefs.PATH}?{text}" if text else metadefs.PATH,
    }  # fmt: skip
    if rows and len(rows) == limit:
        body["next"] = f"{metadefs.PATH}?" + urllib.parse.urlencode([*kept, ("marker", rows[-1].namespace)])
    return body


def _associations(session: Session, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {namespace_id: [] for namespace_id in ids}
    query = sa.select(MetadefAssociation).where(MetadefAssociation.namespace_id.in_(ids))
    for row in session.scalars(query.order_by(MetadefAssociation.resource_type)):
        found[row.namespace_id].append(metadefs.render_association(row))
    return found


def show(req: Request, namespace: str) -> dict[str, Any]:
    rules = (
        "get_metadef_namespace", "list_metadef_resource_types", "get_metadef_objects", "get_metadef_properties",
        "get_metadef_tags",
    )  # fmt: skip
    visibility_of(req, ("public", "private"))
    with req.cloud.db.read() as session:
        row = metadefs.find(req, session, namespace, rules, MISSING)
        contents = {
            "objects": [
                metadefs.render_object(item, row.namespace) for item in _all(session, MetadefObject, row.id)
            ],
            "resource_type_associations": _associations(session, [row.id])[row.id],
            "properties": {item.name: item.shape for item in _all(session, MetadefProperty, row.id)},
            "tags": [{"name": item.name} for item in reversed(_all(session, MetadefTag, row.id))],
        }  # fmt: skip
    body = metadefs.render_namespace(row) | {name: value for name, value in contents.items() if value}
    return _prefixed(body, req.get("resource_type"))


def _all(session: Session, kind: Any, namespace_id: int) -> Sequence[Any]:
    return session.scalars(sa.select(kind).where(kind.namespace_id == namespace_id).order_by(kind.id)).all()


def _prefixed(body: dict[str, Any], resource_type: str | None) -> dict[str, Any]:
    """With the names of properties as they are spelled for one resource type."""
    for association in body.get("resource_type_associations", ()):
        if association["name"] != resource_type or not association.get("prefix"):
            continue
        prefix = association["prefix"]
        if "properties" in body:
            body["properties"] = {prefix + name: value for name, value in body["properties"].items()}
        for item in body.get("objects", ()):
            if "properties" in item:
                item["properties"] = {prefix + name: value for name, value in item["properties"].items()}
            if "required" in item:
                item["required"] = [prefix + name for name in item["required"]]
    return body


_PARTS = {
    "resource_type_associations": "add_metadef_resource_type_association", "objects": "add_metadef_object",
    "properties": "add_metadef_property", "tags": "add_metadef_tag",
}  # fmt: skip


def create(req: Request) -> Response:
    body = req.body
    metadef_schemas.validate(body, metadef_schemas.NAMESPACE)
    req.authorize()
    for part, rule in _PARTS.items():
        if body.get(part):
            req.authorize(rule=rule)
    _named(body)
    metadefs.storable(body, "create", "namespace")
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        if _exists(session, body["namespace"]):
            raise Conflict(f"The metadata definition namespace={body['namespace']} already exists.")
        row = MetadefNamespace(
            namespace=body["namespace"], display_name=body.get("display_name"), description=body.get("description"),
            visibility=body.get("visibility") or "private", protected=body.get("protected") or False,
            owner=body.get("owner", req.ctx.project_id), created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        metadefs.fill(session, row, body, now)
    shown = metadefs.render_namespace(row) | {part: body[part] for part in _PARTS if part in body}
    return Response(shown, 201, {"Location": f"{req.base_url}{metadefs.PATH}/{row.namespace}"})


def _named(body: dict[str, Any]) -> None:
    """Raises BadRequest where a part has no name."""
    for part in ("resource_type_associations", "objects", "tags"):
        for item in body.get(part, ()):
            if not item.get("name"):
                raise BadRequest("Invalid input for field/attribute name. Value: 'None'. Mandatory field missing.")


def _exists(session: Session, name: str) -> bool:
    query = sa.select(MetadefNamespace.id).where(MetadefNamespace.namespace == name)
    return session.execute(query).first() is not None


def update(req: Request, namespace: str) -> dict[str, Any]:
    body = req.body
    metadef_schemas.validate(body, metadef_schemas.NAMESPACE)
    with req.cloud.db.write() as session:
        row = metadefs.find(req, session, namespace, ("modify_metadef_namespace",))
        metadefs.storable(body, "update", "namespace")
        if body["namespace"] != row.namespace and _exists(session, body["namespace"]):
            raise Conflict(
                "Invalid update. It would result in a duplicate metadata definition namespace with the same name of "
                f"{body['namespace']}"
            )
        row.namespace = body["namespace"]
        row.display_name = body.get("display_name")
        row.description = body.get("description")
        row.visibility = body.get("visibility") or "private"
        row.protected = body.get("protected") or False
        row.owner = body.get("owner") or req.ctx.project_id
        row.updated_at = req.cloud.clock.now()
        return metadefs.render_namespace(row)


def delete(req: Request, namespace: str) -> None:
    with req.cloud.db.write() as session:
        row = metadefs.find(req, session, namespace, ("delete_metadef_namespace",))
        metadefs.unprotected(row, f"namespace {row.namespace}")
        metadefs.remove_contents(session, row.id)
        session.delete(row)


def _empty(req: Request, namespace: str, kind: Any, *rules: str) -> None:
    with req.cloud.db.write() as session:
        row = metadefs.find(req, session, namespace, ("delete_metadef_namespace", *rules))
        metadefs.unprotected(row, f"namespace {row.namespace}")
        session.execute(sa.delete(kind).where(kind.namespace_id == row.id))


def delete_objects(req: Request, namespace: str) -> None:
    _empty(req, namespace, MetadefObject)


def delete_properties(req: Request, namespace: str) -> None:
    _empty(req, namespace, MetadefProperty)


def delete_tags(req: Request, namespace: str) -> None:
    _empty(req, namespace, MetadefTag, "delete_metadef_tags")


def show_schema(req: Request, name: str) -> dict[str, Any]:
    if name not in metadef_schemas.SCHEMAS:
        raise NotFound("The resource could not be found.")
    return metadef_schemas.SCHEMAS[name]
