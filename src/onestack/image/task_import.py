"""The tasks API's own work: POST /v2/tasks makes an image out of what is behind a URL.

The image is made when the work begins, and goes away again when it fails; the task says which image it is, or why
there is none. Source of names and words: Glance's API reference, "Tasks".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Fault, NotFound
from onestack.core.operations import Operation
from onestack.image import changes, data, imports, limits, quotas, removal, schema, web
from onestack.image.models import Image, ImageProperty, ImageTag, ImageTask
from onestack.image.stores import stores

FIELDS = ("import_from", "import_from_format", "image_properties")


def check_url(cloud: Cloud, url: Any) -> None:
    """Raises BadRequest when nothing may be imported from there."""
    if not isinstance(url, str) or not url:
        raise BadRequest(f"Invalid location: {url}")
    if url.startswith("file:///"):
        raise BadRequest("File based imports are not allowed. Please use a non-local source of image data.")
    if not url.startswith(("http://", "https://")):
        raise BadRequest(
            "The given uri is not valid. Please specify a valid uri from the following list of supported uri ['http']"
        )
    if not web.worth_trying(cloud.settings.image.import_filter, url):
        raise BadRequest(f"URI for legacy import task does not pass filtering: {url}")


def begin(session: Session, cloud: Cloud, ctx: Context, asked: dict[str, Any]) -> ImageTask:
    task = imports.new_task(session, cloud, ctx, "import", None, asked)
    operations.enqueue(
        session, cloud, action="task", object_type="image", object_id=cloud.ids.uuid(), project_id=ctx.project_id,
        user_id=ctx.user_id, request_id=ctx.request_id, args={"task_id": task.id},
    )  # fmt: skip
    return task


def run(cloud: Cloud, operation_id: str) -> None:
    with cloud.db.write() as session:
        operation = session.get_one(Operation, operation_id)
        task = session.get(ImageTask, operation.args["task_id"])
        if task is None:
            raise NotFound(f"No task found with ID {operation.args['task_id']}")
        task.status, task.updated_at = "processing", cloud.clock.now()
        for name in FIELDS:
            if name not in task.input:
                raise BadRequest(f"Input does not contain '{name}' field")
        # Who deletes the image while it is being imported doesn't get it back.
        if task.image_id is None:
            _create(session, cloud, operation, task.input["image_properties"])
            task.image_id = operation.object_id
        session.flush()
        method = {"name": "web-download", "uri": task.input["import_from"]}
        asked = {"import_req": {"method": method}, "backend": [stores(cloud).default.name]}
        job = imports.Import(cloud, operation, task.id, asked)
    job.run()


def _create(session: Session, cloud: Cloud, operation: Operation, given: Any) -> None:
    """The image, without its data. Raises a Fault."""
    if not isinstance(given, dict):
        raise BadRequest("Input does not contain 'image_properties' field")
    properties = dict(given) or {"disk_format": "qcow2", "container_format": "bare"}
    schema.validate(properties, cloud.settings.image)
    schema.storable(properties)
    for name in properties:
        changes.protect(name)
    values = {name: properties.pop(name) for name in list(properties) if name in schema.BASE}
    tags = list(dict.fromkeys(values.pop("tags", [])))
    quotas.check(cloud, "property", len(properties))
    quotas.check(cloud, "tag", len(tags))
    kept = {"owner": operation.project_id, "visibility": "shared", "min_disk": 0, "min_ram": 0, "protected": False,
            "os_hidden": False}  # fmt: skip
    kept |= {name: value for name, value in values.items() if value is not None}
    limits.enforce(session, cloud, operation.project_id, {limits.COUNT: 1})
    now = cloud.clock.now()
    image = Image(id=operation.object_id, status="importing", created_at=now, updated_at=now, **kept)
    data.require_formats(image)
    session.add(image)
    session.flush()
    kept_properties = schema.without_null(properties)
    rows = [{"image_id": image.id, "name": name, "value": value} for name, value in kept_properties.items()]
    if rows:
        session.execute(sa.insert(ImageProperty), rows)
    if tags:
        session.execute(sa.insert(ImageTag), [{"image_id": image.id, "tag": tag} for tag in tags])


def failed(cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
    message = error.message if isinstance(error, Fault) else "Unexpected error; the server's log has the details."
    imports.end_task(session, cloud, operation.args["task_id"], error=message)
    image = session.get(Image, operation.object_id)
    if image is not None:
        removal.forget(session, cloud, image)
    imports.unstage(cloud, operation.object_id)
