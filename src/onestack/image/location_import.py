"""An image gets its data by being told where it is: the work behind POST /v2/images/{id}/locations."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Fault, NotFound
from onestack.core.operations import Operation
from onestack.image import data, imports, locations, objects, quotas, store
from onestack.image.drivers.base import StoreError
from onestack.image.models import Image, ImageTask
from onestack.image.models_stores import ACTIVE, ImageLocation
from onestack.image.stores import stores


def begin(session: Session, cloud: Cloud, ctx: Context, image_id: str, task_id: str) -> None:
    operations.enqueue(
        session, cloud, action="location", object_type="image", object_id=image_id, project_id=ctx.project_id,
        user_id=ctx.user_id, request_id=ctx.request_id, args={"task_id": task_id},
    )  # fmt: skip


def run(cloud: Cloud, operation_id: str) -> None:
    with cloud.db.write() as session:
        operation = session.get_one(Operation, operation_id)
        task = session.get(ImageTask, operation.args["task_id"])
        image = session.get(Image, operation.object_id)
        if task is None or image is None:
            raise NotFound(f"No image found with ID {operation.object_id}")
        task.status, task.updated_at = "processing", cloud.clock.now()
        asked: dict[str, Any] = task.input
    found = stores(cloud).of_url(asked["loc_url"])
    if found is None:
        raise BadRequest("Invalid location")
    one, key = found
    expected = asked.get("validation_data") or {}
    algorithm = expected.get("os_hash_algo", store.ALGORITHM)
    try:
        size = one.size(key)
        if size <= 0:
            raise BadRequest("Invalid location")
        hashes = _hashes(cloud, one.get(key), algorithm) if cloud.settings.image.do_secure_hash else None
    except StoreError as error:
        raise BadRequest("Invalid location") from error
    if hashes is not None and expected and hashes[1] != expected["os_hash_value"]:
        raise BadRequest(
            f"os_hash_value: ({expected['os_hash_value']}) not matched with actual os_hash_value: ({hashes[1]})"
        )
    with cloud.db.write() as session:
        image = data.locked(session, operation.object_id)
        if locations.taken(cloud, session, one.name, key):
            raise BadRequest("Invalid location")
        quotas.check_storage(cloud, session, image, size)
        image.status, image.size = "active", size
        if hashes is not None:
            image.checksum, image.os_hash_value, image.os_hash_algo = *hashes, algorithm
        elif expected:
            image.os_hash_value, image.os_hash_algo = expected["os_hash_value"], algorithm
        session.add(
            ImageLocation(
                image_id=image.id, store=one.name, object_key=key, position=0, location_metadata={}, status=ACTIVE,
                created_at=cloud.clock.now(),
            )
        )  # fmt: skip
        image.updated_at = cloud.clock.now()
        imports.set_property(session, image.id, imports.LOCK, None)
        imports.end_task(session, cloud, operation.args["task_id"], result={"image_id": image.id})
        operations.finish(session, cloud, session.get_one(Operation, operation_id))


def _hashes(cloud: Cloud, chunks: Any, algorithm: str) -> tuple[str, str]:
    checksum, digest = hashlib.md5(usedforsecurity=False), hashlib.new(algorithm, usedforsecurity=False)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > cloud.settings.image.image_size_cap:
            raise BadRequest("The image is too large.")
        checksum.update(chunk)
        digest.update(chunk)
    return checksum.hexdigest(), digest.hexdigest()


def failed(cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
    message = error.message if isinstance(error, Fault) else "Unexpected error; the server's log has the details."
    imports.end_task(session, cloud, operation.args["task_id"], error=message)
    if session.get(Image, operation.object_id) is not None:
        objects.give_up(session, cloud, objects.of_image(session, operation.object_id))
        imports.set_property(session, operation.object_id, imports.LOCK, None)
