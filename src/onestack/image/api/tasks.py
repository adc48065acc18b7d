"""Tasks: imports that are asked for here, and what became of them, of other imports and of added locations."""

from __future__ import annotations

import urllib.parse
import uuid
from typing import Any

import sqlalchemy as sa

from onestack.core import paging
from onestack.core.clock import seconds
from onestack.core.errors import BadRequest, Forbidden, MethodNotAllowed, NotFound
from onestack.core.http import Request, Response
from onestack.image import access, listing, protections, schema, task_import
from onestack.image.models import ImageTask

_SORT_KEYS = {
    name: getattr(ImageTask, name)
    for name in (
        "created_at", "updated_at", "status", "type", "id", "owner", "expires_at", "image_id", "request_id", "user_id",
    )
}  # fmt: skip
_FILTERS = ("id", "type", "status", "owner", "image_id", "request_id", "user_id")


def _stub(row: ImageTask) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": row.id, "type": row.type, "status": row.status, "owner": row.owner, "created_at": seconds(row.created_at),
        "updated_at": seconds(row.updated_at), "self": f"/v2/tasks/{row.id}", "schema": "/v2/schemas/task",
    }  # fmt: skip
    if row.expires_at is not None:
        body["expires_at"] = seconds(row.expires_at)
    return body


def render_task(row: ImageTask) -> dict[str, Any]:
    body = _stub(row) | {"input": row.input, "result": row.result, "message": row.message}
    body.update(request_id=row.request_id, user_id=row.user_id)
    if row.image_id:
        body["image_id"] = row.image_id
    return body


def index(req: Request) -> dict[str, Any]:
    limit = listing.limit_of(listing.first(req.query, "limit"))
    query = _filtered(req)
    order = _order(req)
    with req.cloud.db.read() as session:
        marker = listing.first(req.query, "marker")
        after = None
        if marker is not None:
            last = session.get(ImageTask, _uuid(marker))
            if last is None:
                raise _unknown(marker)
            after = {name: getattr(last, name) for name, _ in order}
        rows = session.scalars(paging.paginate(query, _SORT_KEYS, order, marker=after, limit=limit)).all()
    kept = [(name, value) for name, value in dict(req.query).items() if name != "marker"]
    text = urllib.parse.urlencode(kept)
    first = f"/v2/tasks?{text}" if text else "/v2/tasks"
    body: dict[str, Any] = {"tasks": [_stub(row) for row in rows], "first": first, "schema": "/v2/schemas/tasks"}
    if rows and len(rows) == limit:
        body["next"] = "/v2/tasks?" + urllib.parse.urlencode([*kept, ("marker", rows[-1].id)])
    return body


def _filtered(req: Request) -> sa.Select[ImageTask]:
    """What is asked for of the tasks that the caller may see. Only imports of POST /v2/tasks have a type to Glance."""
    status, kind = req.get("status"), req.get("type")
    if status and status not in schema.TASK_STATUSES:
        raise BadRequest(f"Invalid status value: {status}")
    if kind and kind != "import":
        raise BadRequest(f"Invalid type value: {kind}")
    query = sa.select(ImageTask)
    if not req.ctx.is_admin:
        query = query.where(ImageTask.owner == req.ctx.project_id)
    for name, value in req.query:
        if name in _FILTERS:
            query = query.where(getattr(ImageTask, name) == value)
    return query


def _order(req: Request) -> list[paging.Sort]:
    key = listing.first(req.query, "sort_key", "created_at")
    direction = listing.first(req.query, "sort_dir", "desc")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {direction}")
    if key not in _SORT_KEYS:
        raise BadRequest("Sort key supplied was not valid.")
    return [(name, direction) for name in dict.fromkeys((key, "created_at", "id"))]


def _unknown(marker: str) -> BadRequest:
    return BadRequest(f"Task with the given id {marker} was not found")


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise (BadRequest("Invalid marker format") if text else _unknown(text)) from None


def create(req: Request) -> Response:
    if req.body is None:
        raise BadRequest("Body expected in request.")
    for name in ("type", "input"):
        if isinstance(req.body, list) or name not in req.body:
            raise BadRequest(f"Task '{name}' is required")
    schema.check(req.body, schema.TASK | {"additionalProperties": False})
    kind, asked = req.body["type"], req.body["input"]
    if kind == "import" and (asked or {}).get("import_from") is None:
        raise BadRequest("Invalid location: None")
    if kind != "import":
        raise BadRequest(f"Tasks of type '{kind}' are made by the requests that need them.")
    if "import_from" in asked:
        task_import.check_url(req.cloud, asked["import_from"])
    _authorize(req, asked.get("image_properties"))
    with req.cloud.db.write() as session:
        task = task_import.begin(session, req.cloud, req.ctx, asked)
        session.flush()
        body = render_task(task)
    return Response(body, 201, {"Location": f"{req.base_url}/v2/tasks/{body['id']}"})


def _authorize(req: Request, properties: Any) -> None:
    """Nobody gets an image by a task that they couldn't make themselves. What is malformed fails later."""
    values = properties if isinstance(properties, dict) else {}
    owner = values.get("owner") or req.ctx.project_id
    if owner != req.ctx.project_id and not req.ctx.is_admin:
        raise Forbidden(f"You are not permitted to create images owned by '{owner}'.")
    what = {"project_id": owner, "owner": owner, "visibility": values.get("visibility")}
    req.authorize(what, "add_image")
    rule = {"public": "publicize_image", "community": "communitize_image"}.get(str(values.get("visibility")))
    if rule is not None:
        req.authorize(what, rule)
    for name in values.keys() - schema.BASE:
        protections.require(req.cloud, req.ctx, "create", str(name))


def show(req: Request, task_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(ImageTask, task_id)
    if row is None or not (req.ctx.is_admin or row.owner == req.ctx.project_id):
        raise NotFound(f"Could not find task {task_id}")
    return render_task(row)


def delete(req: Request, task_id: str) -> None:
    raise MethodNotAllowed(
        "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time "
        "based on their expires_at property.",
        headers={"Allow": "GET"},
        extra={"bare": True},
    )


def of_image(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        try:
            image = access.load(req, session, image_id)
        except NotFound:
            raise NotFound("The resource could not be found.") from None
        query = sa.select(ImageTask).where(ImageTask.image_id == image.id).order_by(ImageTask.created_at)
        return {"tasks": [render_task(row) for row in session.scalars(query)]}
