"""The part of JSON Schema that Glance's own schemas use, with the words that clients know from its answers."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip
_SHOWN = 200  # characters of a wrong value that are repeated


class Mismatch(Exception):
    """What is wrong, in words."""


def check(value: Any, schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> None:
    """Raises Mismatch at the first thing that doesn't fit."""
    known = definitions if definitions is not None else schema.get("definitions", {})
    if "$ref" in schema:
        check(value, known[schema["$ref"].rpartition("/")[2]], known)
        return
    for part in schema.get("allOf", ()):
        check(value, part, known)
    _type(value, schema)
    if "enum" in schema and value not in schema["enum"]:
        raise Mismatch(f"{_show(value)} is not one of {schema['enum']!r}")
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        raise Mismatch(f"{_show(value)} is too long")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < schema.get("minimum", value):
        raise Mismatch(f"{_show(value)} is less than the minimum of {schema['minimum']!r}")
    if isinstance(value, dict):
        _object(value, schema, known)
    if isinstance(value, list):
        if schema.get("uniqueItems") and any(item in value[:place] for place, item in enumerate(value)):
            raise Mismatch(f"{_show(value)} has non-unique elements")
        for item in value:
            check(item, schema.get("items", {}), known)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _type(value: Any, schema: dict[str, Any]) -> None:
    if "type" not in schema:
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = any(isinstance(value, _TYPES[kind]) for kind in kinds)
    if not fits or (isinstance(value, bool) and "boolean" not in kinds):
        raise Mismatch(f"{_show(value)} is not of type {', '.join(repr(kind) for kind in kinds)}")


def _object(value: dict[str, Any], schema: dict[str, Any], known: dict[str, Any]) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise Mismatch(f"{name!r} is a required property")
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    extra = [name for name in value if name not in properties]
    if others is False and extra:
        names = ", ".join(_show(name) for name in extra)
        raise Mismatch(
            f"Additional properties are not allowed ({names} {'was' if len(extra) == 1 else 'were'} unexpected)"
        )
    for name, item in value.items():
        shape = properties.get(name, others)
        if shape:
            check(item, shape, known)
