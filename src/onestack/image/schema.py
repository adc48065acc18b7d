"""The image's schema: what is served at /v2/schemas, and what bodies are checked against."""

from __future__ import annotations

import functools
import re
from typing import Any

from onestack import config
from onestack.core.errors import BadRequest

VISIBILITIES = ("community", "public", "private", "shared")
STATUSES = (
    "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated",
)  # fmt: skip
MEMBER_STATUSES = ("pending", "accepted", "rejected")
READ_ONLY = (
    "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
    "id", "os_hash_algo", "os_hash_value",
)  # fmt: skip
RESERVED = ("location", "deleted", "deleted_at")
RESERVED_NAMESPACE = "os_glance"
MAX_INT = 0x7FFFFFFF
UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

_TEXT = {"type": ["null", "string"]}
_TIME = {"type": "string", "readOnly": True}
_NUMBER = {"type": ["null", "integer"], "readOnly": True}


def _property(description: str, shape: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": description, **shape, **more}


_LOCATION = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 2048},
        "metadata": {"type": "object"},
        "validation_data": {
            "type": "object",
            "writeOnly": True,
            "additionalProperties": False,
            "properties": {
                "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                "os_hash_algo": {"type": "string", "maxLength": 64},
                "os_hash_value": {"type": "string", "maxLength": 128},
            },
            "required": ["os_hash_algo", "os_hash_value"],
        },
    },
    "required": ["url", "metadata"],
}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "id": _property("The image's identifier", {"type": "string"}, pattern=UUID),
    "name": _property("A name for people", _TEXT, maxLength=255),
    "status": _property("Where the image is in its life", _TIME, enum=list(STATUSES)),
    "visibility": _property("Who can see the image", {"type": "string"}, enum=list(VISIBILITIES)),
    "protected": _property("Whether deleting is refused", {"type": "boolean"}),
    "os_hidden": _property("Whether lists leave the image out unless asked", {"type": "boolean"}),
    "checksum": _property("MD5 of the data", _TEXT, readOnly=True, maxLength=32),
    "os_hash_algo": _property("The algorithm of os_hash_value", _TEXT, readOnly=True, maxLength=64),
    "os_hash_value": _property("Hash of the data, in hexadecimal", _TEXT, readOnly=True, maxLength=128),
    "owner": _property("The project that owns the image", _TEXT, maxLength=255),
    "size": _property("Bytes of the data", _NUMBER),
    "virtual_size": _property("Bytes of the disk that the data describes", _NUMBER),
    "container_format": _property("What the data is wrapped in", _TEXT),
    "disk_format": _property("How the data describes a disk", _TEXT),
    "created_at": _property("When the image was created", _TIME),
    "updated_at": _property("When the image was last changed", _TIME),
    "tags": _property("Labels", {"type": "array", "items": {"type": "string", "maxLength": 255}}),
    "direct_url": _property("Where the data is", _TIME),
    "locations": _property("Where the data is", {"type": "array", "items": _LOCATION}),
    "min_ram": _property("MiB of memory that a server needs", {"type": "integer"}),
    "min_disk": _property("GiB of disk that a server needs", {"type": "integer"}),
    "self": _property("This image's path", _TIME),
    "file": _property("The path of the data", _TIME),
    "stores": _property("The stores that hold the data", _TIME),
    "schema": _property("The path of this schema", _TIME),
    "architecture": _property("The processor that the system in the image needs", {"type": "string"}, is_base=False),
    "kernel_id": _property("The image of the kernel, for AMI", _TEXT, pattern=UUID, is_base=False),
    "ramdisk_id": _property("The image of the initial RAM disk, for AMI", _TEXT, pattern=UUID, is_base=False),
    "instance_uuid": _property("The server that the image was made of", {"type": "string"}, is_base=False),
    "os_distro": _property("The system in the image", {"type": "string"}, is_base=False),
    "os_version": _property("The version of the system in the image", {"type": "string"}, is_base=False),
    "description": _property("What people should know about the image", {"type": "string"}, is_base=False),
    "cinder_encryption_key_id": _property(
        "The key that a volume made of the image is encrypted with", {"type": "string"}, is_base=False
    ),
    "cinder_encryption_key_deletion_policy": _property(
        "Whether that key is deleted with the image",
        {"type": "string"},
        is_base=False,
        enum=["on_image_deletion", "do_not_delete"],
    ),
}
BASE = frozenset(name for name, shape in _PROPERTIES.items() if shape.get("is_base", True))

_LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]
MEMBER = {
    "name": "member",
    "properties": {
        "image_id": _property("The image", {"type": "string"}, pattern=UUID),
        "member_id": _property("The project that it is shared with", {"type": "string"}),
        "status": _property("What that project thinks of it", {"type": "string"}, enum=list(MEMBER_STATUSES)),
        "created_at": _property("When the image was shared", _TIME),
        "updated_at": _property("When the status changed", _TIME),
        "schema": _property("The path of this schema", _TIME),
    },
}
TASK = {
    "name": "task",
    "properties": {
        name: _property(words, {"type": "string"})
        for name, words in (("id", "The task's identifier"), ("type", "import or export"), ("status", "How far it is"))
    },
}


def collection(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of `item`."""
    properties: dict[str, Any] = {
        name: {"type": "array", "items": item},
        "first": {"type": "string"},
        "next": {"type": "string"},
        "schema": {"type": "string"},
    }
    links = [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
    return {"name": name, "properties": properties, "links": links}


@functools.lru_cache(8)
def _properties(disk_formats: tuple[str, ...], container_formats: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    formats = {"container_format": container_formats, "disk_format": disk_formats}
    return _PROPERTIES | {name: {**_PROPERTIES[name], "enum": [None, *known]} for name, known in formats.items()}


def properties(image: config.Image) -> dict[str, dict[str, Any]]:
    """The properties of an image that the schema names, with the formats of the settings."""
    return _properties(tuple(image.disk_formats), tuple(image.container_formats))


def schemas(image: config.Image) -> dict[str, dict[str, Any]]:
    """All that is served, by name."""
    one = {
        "name": "image", "properties": properties(image), "additionalProperties": {"type": "string"}, "links": _LINKS,
    }  # fmt: skip
    return {
        "image": one, "images": collection("images", one), "member": MEMBER, "members": collection("members", MEMBER),
        "task": TASK, "tasks": collection("tasks", TASK),
    }  # fmt: skip


def wrong(words: str) -> BadRequest:
    return BadRequest(f"Provided object does not match schema 'image': {words}")


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def validate(values: dict[str, Any], settings: config.Image) -> None:
    """Check properties of an image, all or some. Raises BadRequest."""
    known = properties(settings)
    for name, value in values.items():
        if len(name) > 255 or not name:
            raise BadRequest("Custom property should not be greater than 255 characters.")
        shape = known.get(name, {"type": "string"})
        _validate_one(name, value, shape)
    if values.get("min_disk", 0) < 0 or values.get("min_ram", 0) < 0:
        raise BadRequest("Value must be greater than or equal to 0: min_disk and min_ram can't be negative.")
    if max(values.get("min_disk", 0), values.get("min_ram", 0)) > MAX_INT:
        raise BadRequest(f"min_disk and min_ram can't be larger than {MAX_INT}.")


def without_null(properties: dict[str, Any]) -> dict[str, str]:
    """Custom properties that have a value: kernel_id and ramdisk_id may be null, and then the image has none."""
    return {name: value for name, value in properties.items() if value is not None}


def _validate_one(name: str, value: Any, shape: dict[str, Any]) -> None:
    kinds = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
    known = any(isinstance(value, _TYPES[kind]) for kind in kinds)
    if not known or (isinstance(value, bool) and "boolean" not in kinds):
        raise wrong(f"{value!r} is not of type {', '.join(repr(kind) for kind in kinds)} in '{name}'")
    if "enum" in shape and value not in shape["enum"]:
        raise wrong(f"{value!r} is not one of {shape['enum']} in '{name}'")
    if isinstance(value, str):
        if len(value) > shape.get("maxLength", 65535):
            raise wrong(f"'{value[:64]}' is too long in '{name}'")
        if "pattern" in shape and not re.match(shape["pattern"], value):
            raise wrong(f"'{value[:64]}' does not match '{shape['pattern']}' in '{name}'")
        if any(ord(character) > 0xFFFF for character in value):
            raise wrong(f"'{name}' has characters outside of the basic multilingual plane")
    elif isinstance(value, list):
        for item in value:
            _validate_one(name, item, shape["items"])
