"""Bodies and queries checked by JSON Schema (draft 2020-12), with the library that the real services use: jsonschema.
So the words are those that their clients know, and of several mistakes the same one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

Schema = Mapping[str, Any]
Formats = Mapping[str, Callable[[str, Schema], bool]]  # format → whether a string is of it; the schema may say more

_MOST_MISTAKES = 1000  # that are compared: a long list of wrong items costs no more
_SHOWN = 10_000  # characters of an explanation, which repeats what was sent


class Mistake(NamedTuple):
    """What is wrong: `message` in one line, `explained` with the part of the schema and the value beside it."""

    message: str
    explained: str


def _format(formats: Formats) -> Callable[..., Iterator[ValidationError]]:
    def check(_validator: Any, name: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
        known = formats.get(name)
        if isinstance(value, str) and known is not None and not known(value, schema):
            yield ValidationError(f"{value!r} is not a {name!r}")

    return check


def kind(formats: Formats) -> type[Any]:
    """A kind of validation that knows these formats, to be made once."""
    return extend(Draft202012Validator, {"format": _format(formats)})


PLAIN = kind({})


def mistake(value: Any, schema: Schema, kind: type[Any] = PLAIN) -> Mistake | None:
    """What is wrong with a value that was JSON, None when it fits."""
    found = best_match(islice(kind(schema).iter_errors(value), _MOST_MISTAKES))
    return None if found is None else Mistake(_cut(found.message), _cut(str(found)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
