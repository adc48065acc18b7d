"""API v1: what it asks of the stores, and images whose data is somewhere else (copy-from and location)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.image import objects, store
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
            image.status = "killed"
            image.updated_at = cloud.clock.now()
            objects.give_up(session, cloud, objects.of_image(session, image_id))
    store.remove(cloud, image_id)


def source(req: Request, values: dict[str, Any]) -> str | None:
    """The URL that a request names, if it does. Raises BadRequest."""
    copied, located = req.header("X-Glance-Api-Copy-From"), values.get("location")
    if copied is not None and located is not None:
        raise BadRequest("It's invalid to provide multiple image sources.")
    if copied is None and "location" not in values:
        return None
    url = copied if copied is not None else located
    if not url:
        raise BadRequest("External source should not be empty")
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise BadRequest(f"External sources are not supported: '{url}'")
    return url


def start(req: Request, session: Session, image: Image, url: str) -> None:
    """Fetch the data in the background."""
    raise BadRequest(f"External sources are not supported: '{url}'")
