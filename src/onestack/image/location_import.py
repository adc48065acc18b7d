"""An image gets its data by being told where it is: the work behind POST /v2/images/{id}/locations."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Fault, NotFound
from onestack.core.operations import Operation
from onestack.image import data, imports, locations, objects, quotas, store, web
from onestack.image.drivers.base import Store, StoreError
from onestack.image.models import Image, ImageTask
from onestack.image.models_stores import ACTIVE, ImageLocation
from onestack.image.properties import set_property
from onestack.image.stores import stores

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0  # how long an image can be gone before its data is no longer hashed


def begin(session: Session, cloud: Cloud, ctx: Context, image_id: str, task_id: str) -> None:
    operations.enqueue(
        session, cloud, action="location", object_type="image", object_id=image_id, project_id=ctx.project_id,
        user_id=ctx.user_id, request_id=ctx.request_id, args={"task_id": task_id},
    )  # fmt: skip


def run(cloud: Cloud, operation_id: str) -> None:
    """With a hash that is expected, the image waits for the data to be hashed; without, it is active at once."""
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
    secure = cloud.settings.image.do_secure_hash
    size = _size(one, key)
    with cloud.db.write() as session:
        image = data.locked(session, operation.object_id)
        place(session, cloud, image, one, key, size)
        if secure:
            image.os_hash_algo = algorithm
        elif expected:
            image.os_hash_value, image.os_hash_algo = expected["os_hash_value"], algorithm
        image.status = "importing" if secure and expected else "active"
        image.updated_at = cloud.clock.now()
    hashes = _hashes(cloud, image.id, one, key, algorithm, needed=bool(expected)) if secure else None
    if hashes is not None and expected and hashes[1] != expected["os_hash_value"]:
        raise BadRequest(
            f"os_hash_value: ({expected['os_hash_value']}) not matched with actual os_hash_value: ({hashes[1]})"
        )
    with cloud.db.write() as session:
        image = data.locked(session, operation.object_id)
        if hashes is not None:
            image.checksum, image.os_hash_value = hashes
        elif secure:
            image.os_hash_algo = None
        if image.status == "importing":
            image.status = "active"
        image.updated_at = cloud.clock.now()
        set_property(session, image.id, imports.LOCK, None)
        imports.end_task(session, cloud, operation.args["task_id"], result={"image_id": image.id})
        operations.finish(session, cloud, session.get_one(Operation, operation_id))


def _size(one: Store, key: str) -> int:
    try:
        size = one.size(key)
    except StoreError as error:
        raise BadRequest("Invalid location") from error
    if size <= 0:
        raise BadRequest("Invalid location")
    return size


def place(session: Session, cloud: Cloud, image: Image, one: Store, key: str, size: int) -> None:
    """The data is there, and nowhere else: an earlier location that came to nothing goes."""
    rows = objects.of_image(session, image.id)
    if image.status == "queued":
        objects.give_up(session, cloud, rows)
        rows = []
    if rows:
        return  # this work was begun before
    if locations.taken(cloud, session, one.name, key):
        raise BadRequest("Invalid location")
    quotas.check_storage(cloud, session, image, size)
    image.size = size
    session.add(
        ImageLocation(
            image_id=image.id, store=one.name, object_key=key, position=0, location_metadata={}, status=ACTIVE,
            created_at=cloud.clock.now(),
        )
    )  # fmt: skip


def _hashes(
    cloud: Cloud, image_id: str, one: Store, key: str, algorithm: str, *, needed: bool
) -> tuple[str, str] | None:
    """MD5 and the hash of the data; None when it can't be read to its end and they aren't `needed`. Raises NotFound
    soon after the image is gone."""
    checksum, digest = hashlib.md5(usedforsecurity=False), hashlib.new(algorithm, usedforsecurity=False)
    size, looked = 0, time.monotonic()
    deadline = web.Deadline(cloud.settings.image.download_timeout)
    try:
        for chunk in one.get(key):
            size += len(chunk)
            if size > cloud.settings.image.image_size_cap:
                raise web.WebError("The image is too large.")
            checksum.update(chunk)
            digest.update(chunk)
            deadline.check()
            if time.monotonic() - looked > _LOOK_SECONDS:
                _require(cloud, image_id)
                looked = time.monotonic()
    except (StoreError, web.WebError) as error:
        if needed:
            raise BadRequest(f"Hash calculation failed for image {image_id} data") from error
        log.warning("the data of image %s can't be hashed: %s", image_id, error)
        return None
    return checksum.hexdigest(), digest.hexdigest()


def _require(cloud: Cloud, image_id: str) -> None:
    with cloud.db.read() as session:
        if session.get(Image, image_id) is None:
            raise NotFound(f"No image found with ID {image_id}")


def failed(cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
    message = error.message if isinstance(error, Fault) else "Unexpected error; the server's log has the details."
    imports.end_task(session, cloud, operation.args["task_id"], error=message)
    image = session.get(Image, operation.object_id)
    if image is None:
        return
    set_property(session, image.id, imports.LOCK, None)
    if image.status != "active":
        # As in Glance, what is on the web stays the image's location; data that comes later takes its place.
        rows = objects.of_image(session, image.id)
        held = [row for row in rows if (one := stores(cloud).find(row.store)) is None or not one.read_only]
        objects.give_up(session, cloud, held)
        image.status = "queued"
        image.size = image.checksum = image.os_hash_algo = image.os_hash_value = None
