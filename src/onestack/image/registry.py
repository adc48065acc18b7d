"""The registry's JSON: what a request says of an image, and how one is shown.

Source: version 1 of Glance's registry as the last release that had it, Queens, speaks it. What it took on trust from
the API in front of it is checked here as API v1 checks it: it is the same image.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from onestack import config
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.image import locations, schema, v1_meta
from onestack.image.v1_meta import Meta

_TEXTS = ("id", "name", "owner", "status", "disk_format", "container_format", "checksum")
_NUMBERS = ("size", "min_disk", "min_ram")
_TRUTHS = ("is_public", "protected")


class Asked(msgspec.Struct):
    """A request's image; where it says that the data is; which status the image must have for it."""

    meta: Meta
    urls: list[str]
    from_state: str | None


def read(body: dict[str, Any], settings: config.Image) -> Asked:
    """What isn't known is passed over, as are times and `deleted`. Null says nothing. Raises BadRequest, Forbidden."""
    image, state = body.get("image"), body.get("from_state")
    if not isinstance(image, dict):
        raise BadRequest("The request needs an object 'image'.")
    if state is not None and not isinstance(state, str):
        raise _wrong("from_state", state)
    if "visibility" in image:
        raise _bad("visibility is said by is_public here")
    values: dict[str, Any] = {}
    for names, kind in ((_TEXTS, str), (_NUMBERS, int), (_TRUTHS, bool)):
        for name in names:
            value = image.get(name)
            if value is None:
                continue
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise _wrong(name, value)
            values[name] = value
    if values.get("status", "queued") not in schema.STATUSES:
        raise _bad(f"Invalid image status '{values['status']}' for image.")
    return Asked(v1_meta.checked(values, _properties(image), settings), _urls(image), state)


def _bad(words: str) -> BadRequest:
    return BadRequest(f"Failed to add image metadata. Got error: {words}")


def _wrong(name: str, value: Any) -> BadRequest:
    return _bad(f"Invalid value '{value}' for '{name}'")


def _properties(image: dict[str, Any]) -> dict[str, str]:
    found = image.get("properties") or {}
    if not isinstance(found, dict):
        raise _wrong("properties", found)
    for name, value in found.items():
        if not isinstance(value, str):
            raise _wrong(name, value)
    return found


def _urls(image: dict[str, Any]) -> list[str]:
    """From the three ways in which a location can be written."""
    urls = [image["location"]] if image.get("location") is not None else []
    for name in ("locations", "location_data"):
        items = image.get(name) or []
        if not isinstance(items, list):
            raise _wrong(name, items)
        urls += [item.get("url") if isinstance(item, dict) else item for item in items]
    for url in urls:
        if not isinstance(url, str) or not 0 < len(url) <= 2048:
            raise _wrong("location", url)
    return list(dict.fromkeys(urls))


def render(req: Request, session: Session, images: list[Any], properties: dict[str, dict[str, str]]) -> list[Any]:
    """Images, or rows of their columns. Where the data is, is told those whom API v2 tells it."""
    told = [
        row.id for row in images if req.allows("fetch_image_location", {"project_id": row.owner, "owner": row.owner})
    ]
    places = locations.of_images(req.cloud, session, told) if told else {}
    shown = []
    for row in images:
        here = [{"id": number, "status": "active", **one} for number, one in enumerate(places.get(row.id, ()), 1)]
        body = v1_meta.render(row, properties[row.id])
        shown.append(body | {"location": here[0]["url"] if here else None, "location_data": here})
    return shown
