"""Images as clients before 2.36 ask compute for them, their metadata until 2.38. Source: the compute API reference,
"Images (deprecated)"."""

from __future__ import annotations

import datetime
from typing import Any

from onestack.compute import links, quotas, schema
from onestack.core.clock import seconds
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request, Response
from onestack.image import public_legacy as image
from onestack.image.public_legacy import ListedImage

# Glance's status → what compute has always called it, and the progress that goes with it.
_STATUS = {
    "active": ("ACTIVE", 100), "queued": ("SAVING", 25), "uploading": ("SAVING", 50), "saving": ("SAVING", 50),
    "importing": ("SAVING", 50), "killed": ("ERROR", 0), "deactivated": ("UNKNOWN", 0),
}  # fmt: skip
_PROPERTY = "property-"


def index(req: Request) -> dict[str, Any]:
    return _list(req, detail=False)


def detail(req: Request) -> dict[str, Any]:
    return _list(req, detail=True)


def show(req: Request, image_id: str) -> dict[str, Any]:
    return {"image": _render(req, _load(req, image_id))}


def delete(req: Request, image_id: str) -> Response:
    with req.cloud.db.write() as session:
        try:
            image.delete(session, req.cloud, req.ctx, image_id)
        except NotFound:
            raise _missing() from None
    return Response()


def index_metadata(req: Request, image_id: str) -> dict[str, Any]:
    return {"metadata": _load(req, image_id).properties}


def show_metadata(req: Request, image_id: str, key: str) -> dict[str, Any]:
    values = _load(req, image_id).properties
    if key not in values:
        raise NotFound("Metadata item was not found")
    return {"meta": {key: values[key]}}


def create_metadata(req: Request, image_id: str) -> dict[str, Any]:
    values = schema.obj({"metadata": schema.metadata}, ("metadata",), req.version)("", req.body)["metadata"]
    return {"metadata": _set(req, image_id, values, purge=False)}


def replace_metadata(req: Request, image_id: str) -> dict[str, Any]:
    values = schema.obj({"metadata": schema.metadata}, ("metadata",), req.version)("", req.body)["metadata"]
    return {"metadata": _set(req, image_id, values, purge=True)}


def update_metadata(req: Request, image_id: str, key: str) -> dict[str, Any]:
    values = schema.obj({"meta": schema.one_metadata}, ("meta",), req.version)("", req.body)["meta"]
    if key not in values:
        raise BadRequest("Request body and URI mismatch")
    _set(req, image_id, values, purge=False)
    return {"meta": values}


def delete_metadata(req: Request, image_id: str, key: str) -> Response:
    show_metadata(req, image_id, key)
    with req.cloud.db.write() as session:
        image.remove_property(session, req.cloud, req.ctx, image_id, key)
    return Response()


def _set(req: Request, image_id: str, values: dict[str, str], *, purge: bool) -> dict[str, str]:
    with req.cloud.db.write() as session:
        try:
            have = {} if purge else image.image(session, req.cloud, req.ctx, image_id).properties
            quotas.check_metadata(session, req.ctx.project_id or "", len({**have, **values}))
            return image.set_properties(session, req.cloud, req.ctx, image_id, values, purge=purge)
        except NotFound:
            raise _missing() from None


def _load(req: Request, image_id: str) -> ListedImage:
    with req.cloud.db.read() as session:
        try:
            return image.image(session, req.cloud, req.ctx, image_id)
        except NotFound:
            raise _missing() from None


def _missing() -> NotFound:
    return NotFound("Image not found.")


def _list(req: Request, *, detail: bool) -> dict[str, Any]:
    size = links.limit(req)
    with req.cloud.db.read() as session:
        rows = image.images(session, req.cloud, req.ctx, limit=size, marker=req.get("marker"), **_filters(req))
    body = {"images": [_render(req, row) if detail else _brief(req, row) for row in rows]}
    last = rows[-1].id if rows else None
    path = "images/detail" if detail else "images"
    return links.with_next(body, "images", links.next_links(req, path, len(rows), size, last))


def _filters(req: Request) -> dict[str, Any]:
    found: dict[str, Any] = {"name": req.get("name"), "min_ram": _number(req, "minRam")}
    found["min_disk"] = _number(req, "minDisk")
    if (status := req.get("status")) is not None:
        found["statuses"] = [name for name, (shown, _) in _STATUS.items() if shown == status.upper()]
    if (since := req.get("changes-since")) is not None:
        try:
            moment = datetime.datetime.fromisoformat(since)
            if moment.tzinfo is not None:
                moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
        except (ValueError, OverflowError):
            raise BadRequest(
                "HTTP 400 Bad Request: Bad &quot;updated_at&quot; query filter format. Use ISO 8601 DateTime notation."
            ) from None
        found["changed_since"] = moment
    properties = {key[len(_PROPERTY) :]: value for key, value in req.query if key.startswith(_PROPERTY)}
    if (server := req.get("server")) is not None:
        properties["instance_uuid"] = server.rstrip("/").rpartition("/")[2]
    if (kind := req.get("type")) is not None:
        properties["image_type"] = kind
    return {**found, "properties": properties}


def _number(req: Request, name: str) -> int | None:
    text = req.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"Invalid {name} filter [{text}]")
    return int(text)


def _brief(req: Request, row: ListedImage) -> dict[str, Any]:
    alternate = f"{req.cloud.settings.url('image')}/images/{row.id}"
    found: list[dict[str, str]] = links.links(req, "images", row.id)
    found.append({"rel": "alternate", "type": "application/vnd.openstack.image", "href": alternate})
    return {"id": row.id, "name": row.name, "links": found}


def _render(req: Request, row: ListedImage) -> dict[str, Any]:
    status, progress = _STATUS.get(row.status, ("UNKNOWN", 0))
    body = _brief(req, row) | {
        "minRam": row.min_ram,
        "minDisk": row.min_disk,
        "metadata": row.properties,
        "created": seconds(row.created_at),
        "updated": seconds(row.updated_at),
        "status": status,
        "progress": progress,
        "OS-EXT-IMG-SIZE:size": row.size,
    }
    if server := row.properties.get("instance_uuid"):
        body["server"] = {"id": server, "links": links.links(req, "servers", server)}
    if automatic := row.properties.get("auto_disk_config"):
        body["OS-DCF:diskConfig"] = "AUTO" if automatic.lower() == "true" else "MANUAL"
    return body
