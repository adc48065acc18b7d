"""The part of JSON Schema that Placement's requests are checked with, in the words that its clients know.

Of several mistakes the one is named that the jsonschema library thinks most telling: the one nearest to the top."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from onestack.placement.forms import is_uuid

Path = tuple[str, ...]
Mistake = tuple[Path, str]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip


def mistake(value: Any, schema: dict[str, Any]) -> str | None:
    """What is wrong with the value, None when it fits."""
    found = list(_mistakes(value, schema, ()))
    return max(found, key=lambda entry: (-len(entry[0]), entry[0]))[1] if found else None


def _mistakes(value: Any, schema: dict[str, Any], path: Path) -> Iterator[Mistake]:
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_is(value, kind) for kind in kinds):
            yield path, f"{value!r} is not of type {', '.join(map(repr, kinds))}"
    if isinstance(value, str):
        for message in _string(value, schema):
            yield path, message
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield path, f"{value!r} is less than the minimum of {schema['minimum']!r}"
        if value > schema.get("maximum", value):
            yield path, f"{value!r} is greater than the maximum of {schema['maximum']!r}"
    elif isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"{value!r} is not one of {schema['enum']!r}"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def _string(value: str, schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("format") == "uuid" and not (is_uuid(value) and ("dashed" not in schema or len(value) == 36)):
        yield f"{value!r} is not a 'uuid'"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{value!r} does not match {schema['pattern']!r}"
    if len(value) < schema.get("minLength", 0):
        yield f"{value!r} should be non-empty"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{value!r} is too long"


def _array(value: list[Any], schema: dict[str, Any], path: Path) -> Iterator[Mistake]:
    if len(value) < schema.get("minItems", 0):
        yield path, f"{value!r} should be non-empty"
    if schema.get("uniqueItems") and len({repr(item) for item in value}) < len(value):
        yield path, f"{value!r} has non-unique elements"
    for place, item in enumerate(value):
        yield from _mistakes(item, schema.get("items", {}), (*path, f"{place:09}"))


def _object(value: dict[str, Any], schema: dict[str, Any], path: Path) -> Iterator[Mistake]:
    if len(value) < schema.get("minProperties", 0):
        yield path, f"{value!r} should be non-empty"
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    unknown = []
    for name, item in value.items():
        shapes = [properties[name]] if name in properties else []
        shapes += [shape for pattern, shape in patterns.items() if re.search(pattern, name)]
        for shape in shapes:
            yield from _mistakes(item, shape, (*path, name))
        if not shapes:
            unknown.append(name)
    for name in schema.get("required", ()):
        if name not in value:
            yield path, f"{name!r} is a required property"
    if unknown and schema.get("additionalProperties") is False:
        names, one = ", ".join(repr(name) for name in sorted(unknown)), len(unknown) == 1
        if patterns:
            regexes = ", ".join(repr(pattern) for pattern in sorted(patterns))
            yield path, f"{names} {'does' if one else 'do'} not match any of the regexes: {regexes}"
        else:
            yield path, f"Additional properties are not allowed ({names} {'was' if one else 'were'} unexpected)"
