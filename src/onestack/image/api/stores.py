"""Stores, the import into them, and taking an image out of one of several."""

from __future__ import annotations

import uuid
from typing import Any

from onestack.core import operations
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request
from onestack.image import access, downloads, imports, limits, objects, web
from onestack.image.models import Image
from onestack.image.stores import stores


def index(req: Request) -> dict[str, Any]:
    return {"stores": [_render(req, store) for store in stores(req.cloud)]}


def detail(req: Request) -> dict[str, Any]:
    return {
        "stores": [
            _render(req, store)
            | {"type": store.type, "weight": store.settings.weight, "properties": store.properties()}
            for store in stores(req.cloud)
        ]
    }


def _render(req: Request, store: Any) -> dict[str, Any]:
    body = {"id": store.name}
    if store.settings.description:
        body["description"] = store.settings.description
    if store.name == stores(req.cloud).default.name:
        body["default"] = "true"
    if store.read_only:
        body["read-only"] = "true"
    return body


def delete(req: Request, store_id: str, image_id: str) -> None:
    if stores(req.cloud).find(store_id) is None:
        raise Conflict(f"The selected store {store_id} is not available on this node.")
    with req.cloud.db.write() as session:
        try:
            image = access.load(req, session, image_id, "get_image_location", for_update=True)
        except NotFound:
            raise NotFound(f"Failed to find image {image_id}") from None
        access.load(req, session, image_id, "delete_image_location")
        if image.status != "active":
            raise Conflict("It's not allowed to remove image data from store if image status is not 'active'")
        rows = objects.of_image(session, image.id)
        if len(rows) == 1:
            raise Forbidden(
                "Cannot delete image data from the only store containing it. Consider deleting the image instead."
            )
        there = [row for row in rows if row.store == store_id][:1]
        if not there:
            raise NotFound(f"Image {image.id} is not stored in store {store_id}.")
        objects.give_up(session, req.cloud, there)
        image.updated_at = req.cloud.clock.now()


def start_import(req: Request, image_id: str) -> None:
    """POST /v2/images/{id}/import. What can be refused is refused now, the rest is told by the image's task."""
    body = req.body
    name = _checked(req, body)
    known = stores(req.cloud)
    with req.cloud.db.write() as session:
        limits.enforce(session, req.cloud, req.ctx.project_id, {limits.SIZE: 0})
        rule = "copy_image" if name == "copy-image" else "modify_image"
        image = access.load(req, session, image_id, rule, for_update=True)
        _require(image, name)
        if name == "glance-download":
            _check_remote(body["method"])
        if operations.unfinished(session, image.id) is not None:
            raise Conflict("Image has active task")
        wanted = imports.choose_stores(known, body, req.header("X-Image-Meta-Store"))
        if name == "copy-image":
            held = {row.store for row in objects.of_image(session, image.id)}
            if body.get("all_stores"):
                wanted = [one for one in wanted if one not in held]
                if not wanted:
                    return
            for one in wanted:
                if one in held:
                    raise BadRequest(f"Image is already present at store '{one}'")
        uri = body["method"].get("uri")
        if name == "web-download" and not (
            isinstance(uri, str) and web.worth_trying(req.cloud.settings.image.import_filter, uri)
        ):
            raise BadRequest(f"URI for web-download does not pass filtering: {uri}")
        sealed = ""
        if name == "glance-download":
            sealed = downloads.seal(req.cloud, req.header("X-Auth-Token") or "")
        # They are for data that isn't an image's yet, so copy-image knows none.
        plugins = [] if name == "copy-image" else req.cloud.settings.image.image_import_plugins
        imports.begin(session, req.cloud, req.ctx, image, body, wanted, sealed, plugins=plugins)


def _checked(req: Request, body: dict[str, Any]) -> str:
    """The method's name. Raises BadRequest."""
    method = body.get("method")
    if not isinstance(method, dict):
        raise BadRequest("Import request requires a 'method' field.")
    if "name" not in method:
        raise BadRequest("Import request requires a 'name' field.")
    name = method["name"]
    if name not in req.cloud.settings.image.enabled_import_methods:
        raise BadRequest(f"Unknown import method name '{name}'.")
    for key in ("all_stores_must_succeed", "all_stores"):
        if not isinstance(body.get(key, False), bool):
            raise BadRequest(f"'{key}' must be boolean value only")
    return str(name)


def _require(image: Image, name: str) -> None:
    if image.status == "active" and name != "copy-image":
        raise Conflict("Image with status active cannot be target for import")
    if image.status != "active" and name == "copy-image":
        raise Conflict("Only images with status active can be targeted for copying")
    if image.status != "queued" and name in ("web-download", "glance-download"):
        raise Conflict(f"Image needs to be in 'queued' state to use '{name}' method")
    if name == "glance-direct" and (image.status != "uploading" or image.staged is None):
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    for key in ("container_format", "disk_format"):
        if not getattr(image, key):
            raise Conflict(f"'{key}' needs to be set before import")


def _check_remote(method: dict[str, Any]) -> None:
    for key in ("glance_region", "glance_image_id"):
        if key not in method:
            raise BadRequest(f"'{key}' needs to be set for glance-download import method")
    try:
        method["glance_image_id"] = str(uuid.UUID(str(method["glance_image_id"])))
    except ValueError:
        raise BadRequest(f"Remote image id does not look like a UUID: {method['glance_image_id']}") from None
    method.setdefault("glance_service_interface", "public")
