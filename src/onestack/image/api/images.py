"""Images: create, list, show, update, delete."""

from __future__ import annotations

import functools
import urllib.parse
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import paging
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request, Response
from onestack.image import access, changes, limits, listing, locations, protections, quotas, removal, schema, views
from onestack.image.faults import detailed
from onestack.image.models import Image, ImageProperty, ImageTag
from onestack.image.stores import stores


def create(req: Request) -> Response:
    values, properties, tags = _wanted(req, dict(req.body))
    image_id = str(values.pop("id", None) or req.cloud.ids.uuid()).lower()
    values.setdefault("owner", req.ctx.project_id)
    values.setdefault("visibility", "shared")
    _authorize(req, values["owner"], values["visibility"])
    for name in values:
        changes.protect(name)
    if "locations" in properties:
        raise Forbidden("Attribute 'locations' is reserved.")
    schema.storable({**values, **properties})
    quotas.check(req.cloud, "property", len(properties))
    quotas.check(req.cloud, "tag", len(tags))
    tags = list(dict.fromkeys(tags))
    for name in properties:
        protections.require(req.cloud, req.ctx, "create", name)
    properties = schema.without_null(properties)
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        if session.get(Image, image_id) is not None:
            raise Conflict(f"Image ID {image_id} already exists!")
        limits.enforce(session, req.cloud, req.ctx.project_id, {limits.COUNT: 1})
        image = Image(id=image_id, status="queued", created_at=now, updated_at=now, **_columns(values))
        session.add(image)
        session.flush()
        _add_rows(session, image_id, properties, tags)
        protections.hide(req.cloud, req.ctx, [properties])
        (rendered,) = locations.show(req, session, [views.render_image(image, properties, tags)])
    headers = {
        "Location": f"{req.base_url}/v2/images/{image_id}",
        "OpenStack-image-store-ids": ",".join(stores(req.cloud).names),
    }
    if req.cloud.settings.image.enabled_import_methods:
        headers["OpenStack-image-import-methods"] = ",".join(req.cloud.settings.image.enabled_import_methods)
    return Response(rendered, 201, headers)


def _wanted(req: Request, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Attributes, custom properties and tags of a new image. Raises BadRequest, Forbidden."""
    for name in ("direct_url", "self", "file", "schema", "stores"):
        if name in body:
            raise Forbidden(f"Attribute '{name}' is read-only.")
    schema.validate(body, req.cloud.settings.image)
    for name in ("os_hash_algo", "os_hash_value"):  # Glance takes them at create, and forgets them
        body.pop(name, None)
    tags = body.pop("tags", [])
    values = {name: body.pop(name) for name in list(body) if name in schema.BASE - {"locations"}}
    for name in body:
        if len(name) > schema.MAX_NAME:
            raise BadRequest(schema.LONG_NAME)
        if name in schema.RESERVED or name.startswith(schema.RESERVED_NAMESPACE):
            raise detailed(403, f"Attribute '{name}' is reserved.")
    return values, body, tags


def _authorize(req: Request, owner: str | None, visibility: str) -> None:
    if owner != req.ctx.project_id and not req.ctx.is_admin:
        raise detailed(403, f"You are not permitted to create images owned by '{owner}'")
    what = {"project_id": owner, "owner": owner, "visibility": visibility}
    req.authorize(what)
    _may_show(req, visibility, what)


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON null means for columns that have a default."""
    defaults = {"min_disk": 0, "min_ram": 0, "protected": False, "os_hidden": False}
    given = {name: value for name, value in values.items() if value is not None}
    return defaults | given | {name: int(given[name]) for name in ("min_disk", "min_ram") if name in given}


def _add_rows(session: Session, image_id: str, properties: dict[str, str], tags: list[str]) -> None:
    if properties:
        rows = [{"image_id": image_id, "name": name, "value": value} for name, value in properties.items()]
        session.execute(sa.insert(ImageProperty), rows)
    if tags:
        session.execute(sa.insert(ImageTag), [{"image_id": image_id, "tag": tag} for tag in tags])


def _may_show(req: Request, visibility: str, what: dict[str, Any]) -> None:
    rule = _SHOWING.get(visibility)
    if rule is not None:
        req.authorize(what, rule)


def index(req: Request) -> dict[str, Any]:
    limit = listing.limit_of(listing.first(req.query, "limit"))
    order = listing.sorts(req.query)
    conditions = listing.filters(req.query, functools.partial(protections.may, req.cloud, req.ctx, "read"))
    conditions.append(
        listing.visible(req.ctx, req.get("visibility"), listing.first(req.query, "member_status", "accepted"))
    )
    query = sa.select(*Image.__table__.columns).where(*conditions)
    with req.cloud.db.read() as session:
        marker = None
        if listing.first(req.query, "marker") is not None:
            marker = _marker(req, session, order)
        rows = session.execute(paging.paginate(query, listing.SORT_KEYS, order, marker=marker, limit=limit)).all()
        last = rows[-1].id if rows and len(rows) == limit else ""
        if req.policy.file is not None:
            rows = access.listed(req, rows, views.properties(session, [row.id for row in rows]))
        images = locations.show(req, session, views.render_images(req.cloud, session, req.ctx, rows))
    kept = [(key, value) for key, value in dict(req.query).items() if key != "marker"]
    text = urllib.parse.urlencode(kept)
    body: dict[str, Any] = {"images": images, "first": f"/v2/images?{text}" if text else "/v2/images"}
    if last:
        body["next"] = "/v2/images?" + urllib.parse.urlencode([*kept, ("marker", last)])
    body["schema"] = "/v2/schemas/images"
    return body


def _marker(req: Request, session: Session, order: list[paging.Sort]) -> dict[str, Any]:
    marker = listing.first(req.query, "marker")
    try:
        image, _ = access.find(session, req.ctx, marker)
    except NotFound:
        raise BadRequest(f"No image found with ID {marker}") from None
    return {key: getattr(image, key) for key, _ in order}


def show(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id)
        return locations.show(req, session, [views.render_one(req.cloud, session, req.ctx, image)])[0]


def update(req: Request, image_id: str) -> dict[str, Any]:
    wanted = changes.parse(req.header("Content-Type"), req.body, req.cloud.settings.image)
    found = locations.look(req, wanted)
    with req.cloud.db.write() as session:
        for rule in _rules(wanted):
            image = access.load(req, session, image_id, rule, for_update=True)
        have = sa.select(ImageProperty).where(ImageProperty.image_id == image.id)
        properties = {row.name: row for row in session.scalars(have)}
        for change in wanted:
            if change.name == "locations":
                locations.apply(req, session, image, change, found)
            elif change.name in schema.ATTRIBUTES:
                _change_base(req, session, image, change)
            else:
                _change_property(req, session, image, properties, change)
        if any(change.op != "remove" and change.name not in schema.ATTRIBUTES for change in wanted):
            named = [name for name in properties if not name.startswith(schema.RESERVED_NAMESPACE)]
            quotas.check(req.cloud, "property", len(named))
        if wanted:
            image.updated_at = req.cloud.clock.now()
        session.flush()
        return locations.show(req, session, [views.render_one(req.cloud, session, req.ctx, image)])[0]


_SHOWING = {"public": "publicize_image", "community": "communitize_image"}


def _rules(wanted: list[changes.Change]) -> list[str]:
    """What must allow the changes, in their order; who changes nothing must only see the image."""
    rules: list[str] = []
    for change in wanted:
        if change.name == "locations":
            rules.append("delete_image_location" if change.op == "remove" else "set_image_location")
            continue
        if change.name == "visibility" and change.value in _SHOWING:
            rules.append(_SHOWING[change.value])
        rules.append("modify_image")
    return list(dict.fromkeys(rules)) or ["get_image"]


def _change_base(req: Request, session: Session, image: Image, change: changes.Change) -> None:
    name, value = change.name, change.value
    if change.op == "remove":
        raise detailed(403, f"Property {name} may not be removed.")
    if change.op == "add" and change.draft == changes.DRAFT_4:
        raise detailed(409, f"Property {name} already present.")
    if name == "owner" and not req.ctx.is_admin and (change.op == "replace" or value != image.owner):
        raise detailed(403, "Owner can't be updated by non admin.")
    if name in ("disk_format", "container_format") and image.status not in ("queued", "importing"):
        raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")
    if name == "visibility" and value != image.visibility:
        _may_show(req, value, {"project_id": image.owner, "owner": image.owner, "visibility": value})
    if name == "tags":
        quotas.check(req.cloud, "tag", len(value))
        session.execute(sa.delete(ImageTag).where(ImageTag.image_id == image.id))
        _add_rows(session, image.id, {}, list(dict.fromkeys(value)))
        return
    schema.storable({name: value})
    setattr(image, name, int(value) if name in ("min_disk", "min_ram") else value)


def _change_property(
    req: Request, session: Session, image: Image, properties: dict[str, ImageProperty], change: changes.Change
) -> None:
    """What the caller may not read isn't there, but for overwriting it: who may not read it may not change it."""
    name, row = change.name, properties.get(change.name)
    known = row is not None and protections.may(req.cloud, req.ctx, "read", name)
    if known and change.op == "add" and change.draft == changes.DRAFT_4:
        raise detailed(409, f"Property {name} already present.")
    if not known and change.op != "add":
        raise detailed(409, f"Property {name} does not exist.")
    if row is not None and not known:
        raise Forbidden(f"Attribute '{name}' is reserved.")
    if row is None and name in ("stores", "validation_data"):
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if row is None and len(name) > schema.MAX_NAME:
        raise BadRequest(schema.LONG_NAME)
    action = "delete" if change.op == "remove" else "create" if row is None else "update"
    protections.require(req.cloud, req.ctx, action, name)
    schema.storable({name: change.value})
    if change.value is None:  # the schema lets some be null, which is as good as having none
        if row is not None:
            session.delete(properties.pop(name))
    elif row is None:
        row = properties[name] = ImageProperty(image_id=image.id, name=name, value=change.value)
        session.add(row)
    else:
        row.value = change.value
    session.flush()


def delete(req: Request, image_id: str) -> None:
    with req.cloud.db.write() as session:
        try:
            image = access.load(req, session, image_id, for_update=True)
        except NotFound:
            raise NotFound(f"Failed to find image {image_id} to delete") from None
        if image.protected:
            raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
        removal.forget(session, req.cloud, image)
