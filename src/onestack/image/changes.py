"""PATCH of an image: both drafts of JSON patch that Glance speaks, as a list of (operation, property, value)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from onestack import config
from onestack.core.errors import BadRequest, Forbidden
from onestack.image import faults, schema

DRAFT_4, DRAFT_10 = 4, 10
MEDIA = {
    "application/openstack-images-v2.0-json-patch": DRAFT_4,
    "application/openstack-images-v2.1-json-patch": DRAFT_10,
}
_OPERATIONS = ("add", "remove", "replace")


class Change(NamedTuple):
    op: str
    name: str
    value: Any = None
    draft: int = DRAFT_10
    position: str = ""  # in `locations`


def parse(content_type: str | None, body: Any, settings: config.Image) -> list[Change]:
    """Raises UnsupportedMedia, BadRequest, Forbidden."""
    draft = draft_of(content_type)
    if body is None:
        raise BadRequest("Body expected in request.")
    if not isinstance(body, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    return [_checked(_change(raw, draft), settings) for raw in body]


def protect(name: str) -> None:
    """Raises Forbidden for what clients may not set."""
    if name in schema.READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in schema.RESERVED or name.startswith(schema.RESERVED_NAMESPACE):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def draft_of(content_type: str | None) -> int:
    """The draft that a media type means. Raises UnsupportedMedia."""
    draft = MEDIA.get((content_type or "").partition(";")[0].strip())
    if draft is None:
        allowed = ", ".join(sorted(MEDIA))
        words = f"Image PATCH expects Content-Type one of: {allowed}"
        raise faults.unsupported(content_type, words, {"Accept-Patch": allowed})
    return draft


def _checked(change: Change, settings: config.Image) -> Change:
    protect(change.name)
    if change.op != "remove":
        whole = [change.value] if change.name == "locations" and change.op == "add" else change.value
        schema.validate({change.name: whole}, settings)
    return change


def _change(raw: Any, draft: int) -> Change:
    if not isinstance(raw, dict):
        raise BadRequest("Operations must be JSON objects.")
    if draft == DRAFT_10:
        op, path = raw.get("op"), raw.get("path")
        if op not in _OPERATIONS:
            problem = "Unable to find `op` in JSON Schema change." if op is None else f"Invalid operation: `{op}`."
            raise BadRequest(f"{problem} It must be one of the following: {', '.join(_OPERATIONS)}.")
        if path is None:
            raise BadRequest("Unable to find 'path' in JSON Schema change")
    else:
        given = [name for name in _OPERATIONS if name in raw]
        if len(given) != 1:
            how = "only" if given else "exactly"
            raise BadRequest(
                f'Operation objects must contain {how} one member named "add", "remove", or "replace".'
            )  # fmt: skip
        op, path = given[0], raw[given[0]]
    name, position = _pointer(path, op)
    if op == "remove":
        return Change(op, name, None, draft, position)
    if "value" not in raw:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    return Change(op, name, raw["value"], draft, position)


def _pointer(pointer: Any, op: str) -> tuple[str, str]:
    """The one property that a JSON pointer names, and the place in it where that is `locations`."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise BadRequest(f'Pointer `{pointer}` does not start with "/".')
    if re.search(r"/\s*?/", pointer[1:]):
        raise BadRequest(f'Pointer `{pointer}` contains adjacent "/".')
    if len(pointer) > 1 and pointer.endswith("/"):
        raise BadRequest(f'Pointer `{pointer}` end with "/".')
    if re.search(r"~([^01]|$)", pointer):
        raise BadRequest(f'Pointer `{pointer}` contains "~" not part of a recognized escape sequence.')
    parts = [part.replace("~1", "/").replace("~0", "~").strip() for part in pointer.lstrip("/").split("/")]
    deep = parts[0] == "locations" and op != "replace"
    if len(parts) != (2 if deep else 1):
        raise BadRequest(f"Invalid JSON pointer for this resource: '/{'/'.join(parts)}'")
    return parts[0], parts[1] if deep else ""
