"""The image's schema: what is served at /v2/schemas, and what bodies are checked against."""

from __future__ import annotations

import functools
from typing import Any

from onestack import config
from onestack.core.errors import BadRequest
from onestack.core.json_schema import mistake

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
MAX_NAME, MAX_TEXT = 255, 0xFFFF  # characters of a custom property's name and value
LONG_NAME = "Custom property should not be greater than 255 characters."
UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

_TEXT = {"type": ["null", "string"]}
_READ_TEXT = {**_TEXT, "readOnly": True}
_TIME = {"type": "string", "readOnly": True}
_NUMBER = {"type": ["null", "integer"], "readOnly": True}


def _property(description: str, shape: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**shape, "description": description, **more}


_LOCATION = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 255},
        "metadata": {"type": "object"},
        "validation_data": {
            "description": "What the data's hashes are known to be",
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
    "checksum": _property("MD5 of the data", _READ_TEXT, maxLength=32),
    "os_hash_algo": _property("The algorithm of os_hash_value", _READ_TEXT, maxLength=64),
    "os_hash_value": _property("Hash of the data, in hexadecimal", _READ_TEXT, maxLength=128),
    "owner": _property("The project that owns the image", _TEXT, maxLength=255),
    "size": _property("Bytes of the data", _NUMBER),
    "virtual_size": _property("Bytes of the disk that the data describes", _NUMBER),
    "container_format": _property("What the data is wrapped in", _TEXT),
    "disk_format": _property("How the data describes a disk", _TEXT),
    "created_at": _property("When the image was created", _TIME),
    "updated_at": _property("When the image was last changed", _TIME),
    "tags": _property("Labels", {"type": "array"}, items={"type": "string", "maxLength": 255}),
    "direct_url": _property("Where the data is", _TIME),
    "locations": _property("Where the data is, and how sure that is", {"type": "array", "items": _LOCATION}),
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
# Those that clients may set.
ATTRIBUTES = frozenset((
    "name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "min_disk", "min_ram",
    "tags",
))  # fmt: skip

_LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]
MEMBER = {
    "name": "member",
    "properties": {
        "member_id": _property("The project that the image is shared with", {"type": "string"}),
        "image_id": _property("The image", {"type": "string"}, pattern=UUID),
        "created_at": _property("When the image was shared", {"type": "string"}),
        "updated_at": _property("When the status changed", {"type": "string"}),
        "status": _property("What that project thinks of it", {"type": "string"}, enum=list(MEMBER_STATUSES)),
        "schema": {"readOnly": True, "type": "string"},
    },
}
TASK_TYPES = ("import", "api_image_import", "location_import")
TASK_STATUSES = ("pending", "processing", "success", "failure")
HASHES = ("sha1", "sha256", "sha512", "md5")
NEW_LOCATION = {
    "name": "location",
    "properties": {
        "add_location": {
            "type": "object",
            "description": "A place where the image's data is, and what its hash is known to be",
            "properties": {
                "url": {"type": "string", "readOnly": True, "description": "The URL of the data"},
                "validation_data": {
                    "description": "What the data's hash is known to be",
                    "type": "object",
                    "writeOnly": True,
                    "additionalProperties": False,
                    "properties": {
                        "os_hash_algo": {"type": "string", "maxLength": 64, "enum": list(HASHES)},
                        "os_hash_value": {"type": "string", "maxLength": 128},
                    },
                    "dependentRequired": {"os_hash_value": ["os_hash_algo"], "os_hash_algo": ["os_hash_value"]},
                },
            },
            "required": ["url"],
        }
    },
}
_LINK = {"readOnly": True, "type": "string"}


def _described(description: str, kind: str | list[str] = "string", **more: Any) -> dict[str, Any]:
    return {"description": description, **more, "type": kind}


TASK = {
    "name": "task",
    "properties": {
        "id": _described("The task's identifier", pattern=UUID),
        "type": _described("What the task does", enum=list(TASK_TYPES)),
        "status": _described("How far it is", enum=list(TASK_STATUSES)),
        "input": _described("What it was given", ["null", "object"]),
        "result": _described("What came of it", ["null", "object"]),
        "owner": _described("The project that asked for it"),
        "message": _described("Why it failed"),
        "image_id": _described("The image that it is about"),
        "request_id": _described("The request that asked for it"),
        "user_id": _described("The user who asked for it"),
        "expires_at": _described("When it may be forgotten", ["null", "string"]),
        "created_at": _described("When it was asked for"),
        "updated_at": _described("When it was last changed"),
        "self": _LINK,
        "schema": _LINK,
    },
}


def collection(name: str, item: dict[str, Any], *, paged: bool = True) -> dict[str, Any]:
    """The schema of a list of `item`."""
    pages = ("first", "next") if paged else ()
    properties: dict[str, Any] = {
        name: {"type": "array", "items": item},
        **{page: {"type": "string"} for page in pages},
        "schema": {"type": "string"},
    }
    links = [{"rel": page, "href": f"{{{page}}}"} for page in pages]
    links.append({"rel": "describedby", "href": "{schema}"})
    return {"name": name, "properties": properties, "links": links}


@functools.lru_cache(8)
def _properties(disk_formats: tuple[str, ...], container_formats: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    formats = {"container_format": container_formats, "disk_format": disk_formats}
    return _PROPERTIES | {name: {**_PROPERTIES[name], "enum": [None, *known]} for name, known in formats.items()}


def properties(image: config.Image) -> dict[str, dict[str, Any]]:
    """The properties of an image that the schema names, with the formats of the settings."""
    return _properties(tuple(image.disk_formats), tuple(image.container_formats))


@functools.lru_cache(8)
def _image(disk_formats: tuple[str, ...], container_formats: tuple[str, ...]) -> dict[str, Any]:
    known = _properties(disk_formats, container_formats)
    return {"name": "image", "properties": known, "additionalProperties": {"type": "string"}, "links": _LINKS}


def schemas(image: config.Image) -> dict[str, dict[str, Any]]:
    """All that is served, by name."""
    one = _image(tuple(image.disk_formats), tuple(image.container_formats))
    return {
        "image": one, "images": collection("images", one), "member": MEMBER, "task": TASK,
        "members": collection("members", MEMBER, paged=False), "tasks": collection("tasks", TASK, paged=False),
    }  # fmt: skip


def wrong(words: str, name: str = "image") -> BadRequest:
    return BadRequest(f"Provided object does not match schema '{name}': {words}")


def check(value: Any, schema: dict[str, Any]) -> None:
    """Raises BadRequest, which says where the value breaks the schema."""
    found = mistake(value, schema)
    if found is not None:
        raise wrong(found.explained, schema["name"])


def validate(values: dict[str, Any], settings: config.Image) -> None:
    """Check properties of an image, all or some. Raises BadRequest."""
    check(values, _image(tuple(settings.disk_formats), tuple(settings.container_formats)))


def storable(values: dict[str, Any]) -> None:
    """What fits the schema but no column, or makes no sense. Raises BadRequest."""
    for name, value in values.items():
        if any(ord(character) > 0xFFFF for character in name):
            raise BadRequest("Property names can't contain 4 byte unicode.")
        if isinstance(value, str) and any(ord(character) > 0xFFFF for character in value):
            raise BadRequest(f"{name.title()} can't contain 4 byte unicode characters.")
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise BadRequest(f"The value of '{name}' is too long: it may have {MAX_TEXT} characters.")
    for name in ("min_disk", "min_ram"):
        number = values.get(name, 0)
        if number < 0:
            raise BadRequest(f"Invalid value '{number}' for parameter '{name}': Cannot be a negative value")
        if number > MAX_INT:
            raise BadRequest(f"'{name}' value out of range, must not exceed {MAX_INT}.")


def without_null(properties: dict[str, Any]) -> dict[str, str]:
    """Custom properties that have a value: kernel_id and ramdisk_id may be null, and then the image has none."""
    return {name: value for name, value in properties.items() if value is not None}
