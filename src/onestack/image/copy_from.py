"""API v1: images whose data is somewhere else (x-glance-api-copy-from, x-image-meta-location)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.image.models import Image


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
