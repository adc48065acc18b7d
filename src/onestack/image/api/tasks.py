"""Tasks: the record of imports. An import ends within its request, so a task is never found running."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from onestack.core.clock import seconds
from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.image import access
from onestack.image.models import ImageTask

_KEPT = datetime.timedelta(hours=48)  # what expires_at says; rows go with their image


def render_task(row: ImageTask, *, of_image: bool = False) -> dict[str, Any]:
    """In lists of all tasks what was asked is left out; `of_image` adds who asked."""
    now = seconds(row.created_at)
    body: dict[str, Any] = {
        "id": row.id, "type": "api_image_import", "status": row.status, "owner": row.owner, "created_at": now,
        "updated_at": now, "expires_at": seconds(row.created_at + _KEPT), "self": f"/v2/tasks/{row.id}",
        "schema": "/v2/schemas/task",
    }  # fmt: skip
    if of_image:
        body.update(image_id=row.image_id, request_id=row.request_id, user_id=row.user_id, **_detail(row))
    return body


def _detail(row: ImageTask) -> dict[str, Any]:
    asked = {"image_id": row.image_id, "import_req": {"method": {"name": row.method}}, "backend": ["file"]}
    return {"input": asked, "result": None, "message": row.message}


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        query = sa.select(ImageTask).order_by(ImageTask.created_at.desc(), ImageTask.id).limit(1000)
        tasks = [render_task(row) for row in session.scalars(query)]
    return {"tasks": tasks, "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}


def show(req: Request, task_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(ImageTask, task_id)
        if row is None:
            raise NotFound(f"No task found with ID {task_id}")
        return render_task(row) | _detail(row)


def of_image(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id)
        query = sa.select(ImageTask).where(ImageTask.image_id == image.id).order_by(ImageTask.created_at)
        return {"tasks": [render_task(row, of_image=True) for row in session.scalars(query)]}
