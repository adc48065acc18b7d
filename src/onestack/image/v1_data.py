"""API v1: what it asks of the stores, and images whose data is somewhere else (copy-from and location)."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Conflict
from onestack.core.http import Request
from onestack.image import imports, location_import, objects, store, web
from onestack.image.drivers.base import StoreError
from onestack.image.models import Image
from onestack.image.stores import stores


def largest(cloud: Cloud) -> int:
    """Bytes of the largest image that is taken."""
    return cloud.settings.image.image_size_cap


def is_store(cloud: Cloud, name: str) -> bool:
    return stores(cloud).find(name) is not None


def discard(cloud: Cloud, image_id: str) -> None:
    """An image that was killed keeps no data."""
    with cloud.db.write() as session:
        image = session.get(Image, image_id)
        if image is not None:
            objects.give_up(session, cloud, objects.all_of(session, image.id))
            image.status = "killed"
            image.updated_at = cloud.clock.now()
    store.remove(cloud, image_id)


class Source(NamedTuple):
    """A URL that a request names. A location has its place in a store; data that is to be copied has none yet."""

    url: str
    store: str = ""
    key: str = ""
    size: int = 0


def source(req: Request, values: dict[str, Any]) -> Source | None:
    """What is behind the URL that a request names, if it does; asked before any transaction. Raises BadRequest."""
    copied = req.header("X-Glance-Api-Copy-From")
    if copied is None:
        return located(req, values["location"]) if "location" in values else None
    if values.get("location") is not None:
        raise BadRequest("It's invalid to provide multiple image sources.")
    _check_url(req, copied)
    return Source(copied)


def _check_url(req: Request, url: str) -> None:
    if not url:
        raise BadRequest("External source should not be empty")
    if url.partition("://")[0].lower() not in ("http", "https"):
        raise BadRequest(f"External sources are not supported: '{url}'")
    if not web.allowed(req.cloud.settings.image.import_filter, url):
        raise BadRequest(f"URI for web-download does not pass filtering: {url}")


def located(req: Request, url: str | None) -> Source:
    """The place that an image's data is to have and to keep: on the web, where there is a store of that type; its size
    is asked. Raises BadRequest, Forbidden."""
    if not url:
        raise BadRequest("External source should not be empty")
    known = stores(req.cloud).of_url(url)
    if known is None or known[0].type != "http":
        raise BadRequest(f"External sources are not supported: '{url}'")
    _check_url(req, url)
    for rule in ("copy_from", "upload_image"):  # who may not have it isn't asked for either
        req.authorize({"project_id": req.ctx.project_id, "owner": req.ctx.project_id}, rule)
    try:
        size = known[0].size(known[1])
    except StoreError as error:
        raise BadRequest(f"The image can't be read: {error}") from error
    if not 0 < size <= largest(req.cloud):
        raise BadRequest("The image can't be read: its size is unknown, or more than is allowed")
    return Source(url, known[0].name, known[1], size)


def start(req: Request, session: Session, image: Image, given: Source) -> None:
    """A location is the image's data from now on; anything else is fetched in the background."""
    if not given.store:
        if operations.unfinished(session, image.id) is not None:
            raise Conflict("Image has active task")
        wanted = req.header("X-Image-Meta-Store") or stores(req.cloud).default.name
        body = {"method": {"name": "web-download", "uri": given.url}}
        imports.begin(session, req.cloud, req.ctx, image, body, [wanted], after_failure="killed")
        return
    held = stores(req.cloud).find(given.store)
    if held is not None:
        location_import.place(session, req.cloud, image, held, given.key, given.size)
        image.status = "active"
