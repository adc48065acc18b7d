"""The part of JSON Schema (draft 2020-12) that services check bodies and queries with, in the words their clients know.

The words, and which of several mistakes is named, are those of the jsonschema library, which the real services use: the
mistake nearest to the top, of siblings the last one by name, of equals the first in the schema's own order.
"""

from __future__ import annotations

import pprint
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

Schema = Mapping[str, Any]
Formats = Mapping[str, Callable[[str, Schema], bool]]  # format → whether a string is of it; the schema may say more
Path = tuple[str | int, ...]

_SHOWN = 10_000  # characters of a wrong value that are repeated to whom it came from
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


class Mistake(NamedTuple):
    """What is wrong: `message` in one line; `keyword` of `schema` isn't kept by `value`, which is at `path`."""

    message: str
    keyword: str
    path: Path
    schema_path: Path
    schema: Schema
    value: Any

    def explained(self) -> str:
        """The message with the part of the schema and the value, as the library prints a mistake."""
        return (
            f"{self.message}\n\nFailed validating {self.keyword!r} in {_indexed('schema', self.schema_path)}:\n"
            f"{_pretty(self.schema)}\n\nOn {_indexed('instance', self.path)}:\n{_pretty(self.value)}"
        )


def mistake(value: Any, schema: Schema, formats: Formats | None = None) -> Mistake | None:
    """What is wrong with a value that was JSON, None when it fits. `$ref` is looked up in the schema's definitions."""
    check = _Check(schema.get("definitions", {}), formats or {})
    return max(check.mistakes(value, schema, (), ()), key=_relevance, default=None)


def _relevance(found: Mistake) -> tuple[int, Path, bool]:
    return -len(found.path), found.path, "type" not in found.schema or not _is_any(found.value, found.schema["type"])


def _indexed(what: str, path: Path) -> str:
    return what + "".join(f"[{step!r}]" for step in path)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _pretty(value: Any) -> str:
    small = len(repr(value)) <= _SHOWN
    return textwrap.indent(pprint.pformat(value, width=72, sort_dicts=False) if small else _show(value), "    ")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def _is_any(value: Any, kinds: str | list[str]) -> bool:
    return any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _strict(value: Any) -> Any:
    """The same of two values that are equal in JSON, where true isn't 1."""
    if isinstance(value, list):
        return "array", tuple(_strict(item) for item in value)
    if isinstance(value, dict):
        return "object", frozenset((name, _strict(item)) for name, item in value.items())
    return isinstance(value, bool), value


class _Check:
    """One validation. Each keyword has a method that yields what is wrong by it."""

    def __init__(self, definitions: Schema, formats: Formats) -> None:
        self._definitions = definitions
        self._formats = formats

    def mistakes(self, value: Any, schema: Schema, path: Path, schema_path: Path) -> Iterator[Mistake]:
        for keyword, rule in schema.items():
            if keyword == "$ref":
                known = self._definitions[rule.rpartition("/")[2]]
                yield from self.mistakes(value, known, path, schema_path)
            elif keyword in _NESTED:
                for item, shape, step, schema_step in _NESTED[keyword](value, rule, schema):
                    yield from self.mistakes(item, shape, path + step, (*schema_path, keyword, *schema_step))
            elif keyword == "format":
                known_format = self._formats.get(rule)
                if isinstance(value, str) and known_format is not None and not known_format(value, schema):
                    yield Mistake(f"{_show(value)} is not a {rule!r}", keyword, path, schema_path, schema, value)
            if keyword in _CHECKS:
                for message in _CHECKS[keyword](value, rule, schema):
                    yield Mistake(message, keyword, path, schema_path, schema, value)


def _type(value: Any, kinds: Any, schema: Schema) -> Iterator[str]:
    if not _is_any(value, kinds):
        names = ", ".join(repr(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
        yield f"{_show(value)} is not of type {names}"


def _enum(value: Any, known: Any, schema: Schema) -> Iterator[str]:
    if not any(_strict(value) == _strict(item) for item in known):
        yield f"{_show(value)} is not one of {known!r}"


def _minimum(value: Any, least: Any, schema: Schema) -> Iterator[str]:
    if _is(value, "number") and value < least:
        yield f"{value!r} is less than the minimum of {least!r}"


def _maximum(value: Any, most: Any, schema: Schema) -> Iterator[str]:
    if _is(value, "number") and value > most:
        yield f"{value!r} is greater than the maximum of {most!r}"


def _pattern(value: Any, pattern: Any, schema: Schema) -> Iterator[str]:
    if isinstance(value, str) and not re.search(pattern, value):
        yield f"{_show(value)} does not match {pattern!r}"


def _least(kind: type[Sized], too_few: str) -> Callable[[Any, Any, Schema], Iterator[str]]:
    def check(value: Any, least: Any, schema: Schema) -> Iterator[str]:
        if isinstance(value, kind) and len(value) < least:
            yield f"{_show(value)} {'should be non-empty' if least == 1 else too_few}"

    return check


def _most(kind: type[Sized]) -> Callable[[Any, Any, Schema], Iterator[str]]:
    def check(value: Any, most: Any, schema: Schema) -> Iterator[str]:
        if isinstance(value, kind) and len(value) > most:
            yield f"{_show(value)} {'is too long' if most else 'is expected to be empty'}"

    return check


def _unique(value: Any, wanted: Any, schema: Schema) -> Iterator[str]:
    if wanted and isinstance(value, list) and len({_strict(item) for item in value}) < len(value):
        yield f"{_show(value)} has non-unique elements"


def _required(value: Any, names: Any, schema: Schema) -> Iterator[str]:
    for name in names if isinstance(value, dict) else ():
        if name not in value:
            yield f"{name!r} is a required property"


def _others(value: Any, schema: Schema) -> list[str]:
    """The names that neither the schema's properties nor its patterns know."""
    patterns = schema.get("patternProperties", {})
    return [
        name
        for name in value
        if name not in schema.get("properties", {}) and not any(re.search(pattern, name) for pattern in patterns)
    ]


def _nothing_else(value: Any, allowed: Any, schema: Schema) -> Iterator[str]:
    unknown = sorted(_others(value, schema)) if isinstance(value, dict) and allowed is False else []
    if not unknown:
        return
    names, one = ", ".join(_show(name) for name in unknown), len(unknown) == 1
    if "patternProperties" in schema:
        regexes = ", ".join(repr(pattern) for pattern in sorted(schema["patternProperties"]))
        yield f"{names} {'does' if one else 'do'} not match any of the regexes: {regexes}"
    else:
        yield f"Additional properties are not allowed ({names} {'was' if one else 'were'} unexpected)"


_CHECKS: dict[str, Callable[[Any, Any, Schema], Iterator[str]]] = {
    "type": _type, "enum": _enum, "minimum": _minimum, "maximum": _maximum, "pattern": _pattern,
    "minLength": _least(str, "is too short"), "maxLength": _most(str), "minItems": _least(list, "is too short"),
    "maxItems": _most(list), "minProperties": _least(dict, "does not have enough properties"), "uniqueItems": _unique,
    "required": _required, "additionalProperties": _nothing_else,
}  # fmt: skip

# What of a value is checked by a schema inside: the item, its schema, and the steps to them.
Inner = Iterator[tuple[Any, Schema, Path, Path]]


def _properties(value: Any, shapes: Any, schema: Schema) -> Inner:
    for name, shape in shapes.items() if isinstance(value, dict) else ():
        if name in value:
            yield value[name], shape, (name,), (name,)


def _pattern_properties(value: Any, shapes: Any, schema: Schema) -> Inner:
    for pattern, shape in shapes.items() if isinstance(value, dict) else ():
        for name, item in value.items():
            if re.search(pattern, name):
                yield item, shape, (name,), (pattern,)


def _additional(value: Any, shape: Any, schema: Schema) -> Inner:
    for name in _others(value, schema) if isinstance(value, dict) and isinstance(shape, dict) else ():
        yield value[name], shape, (name,), ()


def _items(value: Any, shape: Any, schema: Schema) -> Inner:
    for place, item in enumerate(value if isinstance(value, list) else ()):
        yield item, shape, (place,), ()


def _all_of(value: Any, shapes: Any, schema: Schema) -> Inner:
    for place, shape in enumerate(shapes):
        yield value, shape, (), (place,)


_NESTED: dict[str, Callable[[Any, Any, Schema], Inner]] = {
    "properties": _properties, "patternProperties": _pattern_properties, "additionalProperties": _additional,
    "items": _items, "allOf": _all_of,
}  # fmt: skip
