"""Locations: where the data of an image is, for services, and adding one to an image that has no data.

The user names a URL, so it must be one of a store that is configured and whose objects users may name: never a file of
ours (file://), and for those who aren't a service only the web, within the bounds of web-download.
"""

from __future__ import annotations

import hashlib
from typing import Any

from onestack.core import operations
from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.image import access, imports, location_import, objects, schema, web
from onestack.image.properties import set_property
from onestack.image.stores import stores

_LONGEST_URL = 2048  # characters


def index(req: Request, image_id: str) -> list[dict[str, Any]]:
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id)
        rows = objects.of_image(session, image.id)
    return [
        {"url": store.url(row.object_key), "metadata": {**row.location_metadata, "store": row.store}}
        for row in rows
        if (store := stores(req.cloud).find(row.store)) is not None
    ]


def add(req: Request, image_id: str) -> None:
    schema.check({"add_location": req.body}, schema.NEW_LOCATION)
    url, expected = req.body["url"], req.body.get("validation_data", {})
    with req.cloud.db.write() as session:
        image = access.load(req, session, image_id, for_update=True)
        if image.status != "queued":
            raise Conflict(f"It's not allowed to add locations if image status is {image.status}.")
        readable = any(store.type == "http" for store in stores(req.cloud))
        if "service" not in req.ctx.roles and not (readable and url.startswith("http")):
            raise Forbidden("http store must be enabled to use location API by normal user.")
        _check_hash(expected)
        if not 0 < len(url) <= _LONGEST_URL:
            raise BadRequest(f"The URL of a location must have 1 to {_LONGEST_URL} characters.")
        if url.startswith(("http://", "https://")) and not web.worth_trying(
            req.cloud.settings.image.import_filter, url
        ):
            raise BadRequest(f"URI for add location does not pass filtering: {url}")
        if operations.unfinished(session, image.id) is not None:
            raise Conflict("Image has active task")
        asked = {"image_id": image.id, "loc_url": url, "validation_data": expected}
        task = imports.new_task(session, req.cloud, req.ctx, "location_import", image.id, asked)
        set_property(session, image.id, imports.LOCK, task.id)
        location_import.begin(session, req.cloud, req.ctx, image.id, task.id)


def _check_hash(expected: dict[str, str]) -> None:
    """Raises BadRequest for a value that can't be one of its algorithm."""
    if not expected:
        return
    algorithm, value = expected["os_hash_algo"], expected["os_hash_value"]
    try:
        size = len(bytes.fromhex(value))
    except ValueError:
        raise BadRequest(f"os_hash_value ({value}) is not a valid hexadecimal value") from None
    want = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if size != want:
        raise BadRequest(
            f"os_hash_value: ({value}) is not the correct size for ({algorithm}) (should be ({want}) bytes)"
        )
