"""API v1: an image is a set of x-image-meta-* headers. What they mean, and the shapes that are served.

Source: the Image API v1 reference (https://docs.openstack.org/api-ref/image/v1/).
"""

from __future__ import annotations

import re
import urllib.parse
import uuid
from typing import Any

import msgspec

from onestack import config
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.http import Request
from onestack.core.words import truth
from onestack.image import schema
from onestack.image.models import Image

PREFIX = "x-image-meta-"
PROPERTY = PREFIX + "property-"
_KNOWN = frozenset(
    ("location", "size", "is_public", "disk_format", "container_format", "name", "status", "copy_from", "uri",
     "checksum", "created_at", "updated_at", "deleted_at", "min_ram", "min_disk", "owner", "store", "id", "protected",
     "deleted", "virtual_size")
)  # fmt: skip
_STATUSES = {"uploading": "saving", "importing": "saving"}  # what v1 calls those that it doesn't know
_AMAZON = ("aki", "ari", "ami")
_CONTROL = re.compile(r"[\x00-\x1f\x7f%]")
_UNSAFE_NAME = re.compile(r"[^!#$&'*+.^_`|~0-9a-z:/-]")


class Meta(msgspec.Struct):
    """What a request says about an image. `values` has only what was given."""

    values: dict[str, Any]
    properties: dict[str, str]


def read(req: Request) -> Meta:
    """Raises BadRequest for headers that no image has, and for values that don't fit."""
    values: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for header, text in req.falcon.headers.items():
        name = header.lower()
        if name.startswith(PROPERTY):
            properties[_decode(name[len(PROPERTY) :]).replace("-", "_")] = _decode(text)
        elif name.startswith(PREFIX):
            key = name[len(PREFIX) :].replace("-", "_")
            if key not in _KNOWN:
                raise BadRequest(f"Bad header: {name}")
            values[key] = _decode(text) or None
    for key in ("is_public", "deleted", "protected"):
        if key in values:
            values[key] = truth(values[key] or "") is True
    return checked(values, properties, req.cloud.settings.image)


def checked(values: dict[str, Any], properties: dict[str, str], settings: config.Image) -> Meta:
    """Raises BadRequest for what no image can be, Forbidden for properties that are reserved."""
    _numbers(values)
    _formats(values, settings)
    _lengths(values)
    for name, value in properties.items():
        _property(name, value)
    return Meta(values, properties)


def _decode(text: str) -> str:
    """Newer clients quote what they send, older ones send UTF-8 as it is. Raises BadRequest."""
    raw = urllib.parse.unquote_to_bytes(text.encode("latin-1"))
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        value = raw.decode("latin-1")
    if "\x00" in value:
        raise BadRequest("The header contains characters that cannot be stored.")
    return value


def _numbers(values: dict[str, Any]) -> None:
    for key in ("size", "min_disk", "min_ram", "virtual_size"):
        text = values.get(key)
        if key not in values or (key == "virtual_size" and text in (None, "None")):
            continue
        try:
            values[key] = int(str(text))
        except ValueError:
            words = f"Cannot convert image {key} '{text}' to an integer."
            raise BadRequest(f"Invalid value '{text}' for parameter '{key}': {words}") from None
        if values[key] < 0:
            raise BadRequest(f"Invalid value '{text}' for parameter '{key}': Cannot be a negative value.")
        if values[key] > (schema.MAX_INT if key.startswith("min_") else (1 << 63) - 1):
            raise BadRequest(
                f"Failed to reserve image. Got error: '{key}' value out of range, must not exceed 2147483647."
            )


def _formats(values: dict[str, Any], settings: config.Image) -> None:
    for key, words, allowed in (
        ("disk_format", "disk", settings.disk_formats), ("container_format", "container", settings.container_formats),
    ):  # fmt: skip
        if key in values and values[key] not in allowed:
            raise BadRequest(f"Invalid {words} format '{values[key]}' for image.")
    disk, container = values.get("disk_format"), values.get("container_format")
    if disk in _AMAZON or container in _AMAZON:
        if disk is None or container is None:
            values["disk_format"] = values["container_format"] = disk or container
        elif disk != container:
            raise BadRequest(
                "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', "
                "'ari', or 'ami', the container and disk formats must match."
            )


def _lengths(values: dict[str, Any]) -> None:
    if len(values.get("name") or "") > 255:
        raise BadRequest(f"Image name too long: {len(values['name'])}")
    if len(values.get("checksum") or "") > 32:
        raise BadRequest(f"Invalid checksum '{values['checksum']}': can't exceed 32 characters")
    if len(values.get("owner") or "") > 255:
        raise BadRequest("Failed to reserve image. Got error: the owner is too long")
    if values.get("id") is not None:
        try:
            values["id"] = str(uuid.UUID(values["id"]))
        except ValueError:
            raise BadRequest("Failed to reserve image. Got error: Invalid image id format") from None


def _property(name: str, value: str) -> None:
    if not name or len(name) > 255 or len(value) > 65535:
        raise BadRequest("Custom property should not be greater than 255 characters.")
    if name.startswith(schema.RESERVED_NAMESPACE):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def columns(values: dict[str, Any]) -> dict[str, Any]:
    """What of `values` an image's row keeps as it is."""
    kept: dict[str, Any] = {
        name: values[name]
        for name in ("name", "disk_format", "container_format", "min_disk", "min_ram", "protected")
        if name in values
    }
    if "is_public" in values:
        kept["visibility"] = "public" if values["is_public"] else "shared"
    return kept


def time(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.%f"))


def status_of(image: Any) -> str:
    status: str = _STATUSES.get(image.status, image.status)
    return status


def render_brief(image: Any) -> dict[str, Any]:
    """An image in GET /v1/images; `image` is an Image or a row of its columns."""
    names = ("id", "name", "disk_format", "container_format", "checksum")
    return {name: getattr(image, name) for name in names} | {"size": image.size or 0}


def render(image: Any, properties: dict[str, str]) -> dict[str, Any]:
    return {
        **render_brief(image),
        "status": status_of(image), "owner": image.owner,
        "is_public": image.visibility == "public", "protected": image.protected, "min_disk": image.min_disk,
        "min_ram": image.min_ram, "virtual_size": image.virtual_size, "created_at": time(image.created_at),
        "updated_at": time(image.updated_at), "deleted": False, "deleted_at": None, "properties": properties,
    }  # fmt: skip


def headers(image: Image, properties: dict[str, str]) -> dict[str, str]:
    """An image in the headers of an answer. What would end a header is quoted."""
    shown = render(image, {})
    found = {PREFIX + name: _encode(str(value)) for name, value in shown.items() if value not in (None, {})}
    for name, value in properties.items():
        safe = _UNSAFE_NAME.sub(lambda match: urllib.parse.quote(match[0], safe=""), name.lower())
        found[PROPERTY + safe] = _encode(value)
    return found | etag(image)


def etag(image: Image) -> dict[str, str]:
    return {"ETag": image.checksum} if image.checksum else {}


def _encode(text: str) -> str:
    """UTF-8, byte for byte."""
    return _CONTROL.sub(lambda match: f"%{ord(match[0]):02X}", text).encode("utf-8", "replace").decode("latin-1")
