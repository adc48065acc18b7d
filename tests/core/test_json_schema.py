"""What is said of what is wrong, and that it costs little however much that is."""

from __future__ import annotations

from typing import Any

import pytest

from onestack.core.json_schema import kind, mistake

NAMED = {"name": "thing", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
PATTERNS = {"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False}
PLURAL = {"additionalProperties": {"type": "string"}}
PLACED = {"items": {"$ref": "#/definitions/d"}, "definitions": {"d": {"maxLength": 2}}}

CASES: list[tuple[Any, dict[str, Any], str | None]] = [
    (1, {"type": "string"}, "1 is not of type 'string'"),
    (True, {"type": ["integer", "null"]}, "True is not of type 'integer', 'null'"),
    (1.0, {"type": "integer"}, None),
    (1, {"enum": ["a"], "type": "string"}, "1 is not one of ['a']"),
    (1, {"type": "string", "enum": ["a"]}, "1 is not of type 'string'"),
    (True, {"enum": [1]}, "True is not one of [1]"),
    (0, {"minimum": 1}, "0 is less than the minimum of 1"),
    (2, {"maximum": 1}, "2 is greater than the maximum of 1"),
    ("b", {"pattern": "^a"}, "'b' does not match '^a'"),
    (1, {"pattern": "^a", "maxLength": 0, "minItems": 3}, None),
    ("", {"minLength": 1}, "'' should be non-empty"),
    ("a", {"minLength": 2}, "'a' is too short"),
    ("ab", {"maxLength": 1}, "'ab' is too long"),
    ("a", {"maxLength": 0}, "'a' is expected to be empty"),
    ([], {"minItems": 1}, "[] should be non-empty"),
    ([1, 2], {"maxItems": 1}, "[1, 2] is too long"),
    ({}, {"minProperties": 2}, "{} does not have enough properties"),
    ([1, True], {"uniqueItems": True}, None),
    ([[1], [1]], {"uniqueItems": True}, "[[1], [1]] has non-unique elements"),
    ({}, {"required": ["a"]}, "'a' is a required property"),
    ({"a": 1}, {"dependentRequired": {"a": ["b"], "c": ["d"]}}, "'b' is a dependency of 'a'"),
    ({"b": 1, "a": 1}, NAMED, "Additional properties are not allowed ('a', 'b' were unexpected)"),
    ({"y": 1}, PATTERNS, "'y' does not match any of the regexes: '^x'"),
    ({"x": 1}, PATTERNS, "1 is not of type 'string'"),
    # The nearest to the top; of siblings the last by name.
    ({"name": 1, "foo": 2}, NAMED, "Additional properties are not allowed ('foo' was unexpected)"),
    ({"b": 1, "a": 2}, PLURAL, "1 is not of type 'string'"),
    (["a", "abc"], PLACED, "'abc' is too long"),
    ("a", {"allOf": [{"type": "string"}, {"minLength": 2}]}, "'a' is too short"),
    ("a", {"format": "even"}, "'a' is not a 'even'"),
    ("ab", {"format": "even"}, None),
    ("a", {"format": "unknown"}, None),
]


EVEN = kind({"even": lambda text, _: len(text) % 2 == 0})


@pytest.mark.parametrize(("value", "schema", "words"), CASES)
def test_one_line(value: Any, schema: dict[str, Any], words: str | None) -> None:
    found = mistake(value, schema, EVEN)
    assert (None if found is None else found.message) == words


def test_explained() -> None:
    schema = {"properties": {"tags": {"type": "array", "items": {"type": "string", "maxLength": 3}}}}
    found = mistake({"tags": ["a", "long"]}, schema)
    assert found is not None
    assert found.explained == (
        "'long' is too long\n\n"
        "Failed validating 'maxLength' in schema['properties']['tags']['items']:\n"
        "    {'type': 'string', 'maxLength': 3}\n\n"
        "On instance['tags'][1]:\n"
        "    'long'"
    )


def test_a_huge_value_is_not_repeated_whole() -> None:
    found = mistake(["x" * 1_000_000], {"type": "string"})
    assert found is not None
    assert len(found.explained) < 25_000


def test_a_long_list_of_mistakes_is_not_looked_at_whole() -> None:
    looked = []

    def look(text: str, _: object) -> bool:
        looked.append(text)
        return False

    assert mistake(["x"] * 100_000, {"items": {"format": "looked"}}, kind({"looked": look})) is not None
    assert len(looked) <= 1000
