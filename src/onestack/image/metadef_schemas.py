"""The schemas of the metadata definitions: what /v2/schemas/metadefs serves, and what bodies are checked against."""

from __future__ import annotations

from typing import Any

from onestack.core import json_schema
from onestack.core.errors import BadRequest, Forbidden

_KINDS = ["array", "boolean", "integer", "number", "object", "string", None]
_NAME = {"type": "string", "maxLength": 80}
_TEXT = {"type": "string"}


def _name(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description, "maxLength": 80}


_BOOLEAN = {"type": "boolean"}
_LINK = {"readOnly": True, "type": "string"}
_STRINGS = {"$ref": "#/definitions/stringArray"}
_COUNT = {"$ref": "#/definitions/positiveInteger"}
_COUNT_FROM_0 = {"$ref": "#/definitions/positiveIntegerDefault0"}


def _time(description: str) -> dict[str, Any]:
    return {"type": "string", "readOnly": True, "description": description, "format": "date-time"}


def _times(what: str) -> dict[str, Any]:
    return {
        "created_at": _time(f"When the {what} was created"),
        "updated_at": _time(f"When the {what} was last changed"),
    }


_PROPERTY: dict[str, Any] = {
    "name": _NAME,
    "title": _TEXT,
    "description": _TEXT,
    "operators": {"type": "array", "items": _TEXT},
    "type": {"type": "string", "enum": _KINDS},
    "required": _STRINGS,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT_FROM_0,
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array"},
    "readonly": _BOOLEAN,
    "default": {},
    "items": {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": _KINDS}, "enum": {"type": "array"}},
    },
    "maxItems": _COUNT,
    "minItems": _COUNT_FROM_0,
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": _BOOLEAN,
}
# The fields of a property that are kept and served, the name aside.
PROPERTY_FIELDS = tuple(name for name in _PROPERTY if name not in ("name", "required"))

_DEFINITIONS: dict[str, Any] = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
    "stringArray": {"type": "array", "items": _TEXT, "uniqueItems": True},
}
_WITH_PROPERTY = _DEFINITIONS | {
    "property": {
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": _PROPERTY},
    }
}
_SINGLE_PROPERTY = _DEFINITIONS | {
    "stringArray": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
}
_PROPERTIES = {"$ref": "#/definitions/property"}


def _schema(
    name: str,
    properties: dict[str, Any],
    required: list[str] | None = None,
    definitions: dict[str, Any] | None = None,
) -> dict[str, Any]:
    schema: dict[str, Any] = {"name": name, "properties": properties, "additionalProperties": False}
    if definitions:
        schema["definitions"] = definitions
    if required:
        schema["required"] = required
    return schema


NAMESPACE = _schema(
    "namespace",
    {
        "namespace": _name("The namespace's name, which is unique"),
        "display_name": _name("A name for people"),
        "description": {"type": "string", "description": "What the namespace is for", "maxLength": 500},
        "visibility": {"type": "string", "description": "Who can see it", "enum": ["public", "private"]},
        "protected": {"type": "boolean", "description": "Whether deleting is refused"},
        "owner": {"type": "string", "description": "The project that owns it", "maxLength": 255},
        **_times("namespace"),
        "schema": _LINK,
        "self": _LINK,
        "resource_type_associations": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": _TEXT, "prefix": _TEXT, "properties_target": _TEXT}},
        },
        "properties": _PROPERTIES,
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "description": _TEXT, "required": _STRINGS, "properties": _PROPERTIES},
            },
        },
        "tags": {"type": "array", "items": {"type": "object", "properties": {"name": _TEXT}}},
    },
    ["namespace"],
    _WITH_PROPERTY,
)
OBJECT = _schema(
    "object",
    {
        "name": _NAME, "description": _TEXT, "required": _STRINGS, "properties": _PROPERTIES, "schema": _LINK,
        "self": _LINK, **_times("object"),
    },
    ["name"],
    _WITH_PROPERTY,
)  # fmt: skip
PROPERTY = _schema("property", _PROPERTY, ["type", "title", "name"], _SINGLE_PROPERTY)
PROPERTY_IN_OBJECT = _schema("property", _PROPERTY, ["type", "title"], _SINGLE_PROPERTY)
TAG = _schema("tag", {"name": _NAME, **_times("tag")}, ["name"])
TAG_LIST = _schema(
    "tags",
    {
        "tags": {
            "type": "array",
            "items": {
                "type": "object", "properties": {"name": _TEXT}, "required": ["name"], "additionalProperties": False,
            },
        }
    },
)  # fmt: skip
RESOURCE_TYPE = _schema(
    "resource_type_association",
    {
        "name": {
            "type": "string",
            "description": "The resource type, by Heat's name of it where there is one",
            "maxLength": 80,
        },
        "prefix": {
            "type": "string",
            "description": "What is put before the properties' names there, its separator included",
            "maxLength": 80,
        },
        "properties_target": {
            "type": "string",
            "description": "Which of several sets of properties of the resource is meant",
            "maxLength": 80,
        },
        **_times("association"),
    },
    ["name"],
)


def _collection(name: str, item: dict[str, Any], shape: dict[str, Any] | None = None) -> dict[str, Any]:
    bare = {key: value for key, value in item.items() if key != "definitions"}
    schema: dict[str, Any] = {
        "name": name,
        "properties": {
            name: {"type": "array", "items": bare} if shape is None else shape,
            "first": _TEXT, "next": _TEXT, "schema": _TEXT,
        },
        "links": [
            {"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }  # fmt: skip
    if "definitions" in item:
        schema["definitions"] = item["definitions"]
    return schema


SCHEMAS: dict[str, dict[str, Any]] = {
    "namespace": NAMESPACE,
    "namespaces": _collection("namespaces", NAMESPACE),
    "object": OBJECT,
    "objects": _collection("objects", OBJECT),
    "property": PROPERTY,
    "properties": _collection(
        "properties",
        PROPERTY,
        {
            "type": "object",
            "additionalProperties": {k: v for k, v in PROPERTY_IN_OBJECT.items() if k != "definitions"},
        },
    ),
    "resource_type": RESOURCE_TYPE,
    "resource_types": _collection("resource_type_associations", RESOURCE_TYPE),
    "tag": TAG,
    "tags": _collection("tags", TAG),
}

_READ_ONLY = ("self", "schema", "created_at", "updated_at")


def validate(body: Any, schema: dict[str, Any]) -> None:
    """Raises Forbidden for what clients may not set, BadRequest for what doesn't fit."""
    for name in _READ_ONLY:
        if name in body and (name in schema["properties"] or name.endswith("_at")):
            raise Forbidden(f"Attribute '{name}' is read-only.")
    wrong = json_schema.mistake(body, schema)
    if wrong is not None:
        raise BadRequest(f"Provided object does not match schema '{schema['name']}': {wrong.explained}")


def property_shape(value: dict[str, Any]) -> dict[str, Any]:
    """A property as it is kept: known fields alone, numbers whole, defaults and choices as text. Raises BadRequest."""
    shape = {name: value[name] for name in PROPERTY_FIELDS if name in value}
    for name in ("minimum", "maximum"):
        if name in shape:
            if shape[name] != int(shape[name]):
                raise BadRequest(f"Invalid input for field/attribute {name}. Value: '{shape[name]}'. It must be whole.")
            shape[name] = int(shape[name])
    for where in (shape, shape.get("items", {})):
        if "enum" in where:
            where["enum"] = [_text(item) for item in where["enum"]]
    if "default" in shape:
        if isinstance(shape["default"], (dict, list)) or shape["default"] is None:
            raise BadRequest("Invalid input for field/attribute default. It must be a string, a number or a boolean.")
        shape["default"] = _text(shape["default"])
    return shape


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise BadRequest("Invalid input for field/attribute enum. Its items must be strings.")
    return value if isinstance(value, str) else str(value)
