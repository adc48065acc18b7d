"""Checks of what clients send, by a table of fields: name → what it may be. Messages are those of JSON Schema.

Keystone keeps attributes that it doesn't know, so a body is a dict and not a Struct. It reports the first thing that is
wrong, in the order of its schemas: the tables of fields are in that order.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity.dialect import MOST_SHOWN, invalid, invalid_of_old


class Problem(NamedTuple):
    """What is wrong with a part of a value: the last name or position on the way to it, the part, and the words."""

    field: str
    value: Any
    words: str
    whole: bool = False  # the words don't begin with the value


# None: good. A text: what is wrong with the value itself, to be said after it.
Check = Callable[[Any], str | Problem | None]


def text(minimum: int = 0, maximum: int = 65535, *, null: bool = False, blank: bool = True, pattern: str = "") -> Check:
    """A string of `minimum` to `maximum` characters; `blank=False` wants one that isn't white space."""
    pattern = pattern if blank else r"[\S]+"
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, str):
            return "is not of type 'string', 'null'" if null else "is not of type 'string'"
        if len(value) < minimum:
            return "is too short" if value else "should be non-empty"
        if len(value) > maximum:
            return "is too long"
        return None if compiled.search(value) else f"does not match {pattern!r}"

    return check


def flag(*, null: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or (null and value is None):
            return None
        return "is not of type 'boolean', 'null'" if null else "is not of type 'boolean'"

    return check


_WORDS_OF_FLAGS = (
    True, "True", "TRUE", "true", False, "False", "FALSE", "false", "", "1", "0", "y", "Y", "n", "N", "on", "ON", "off",
    "OFF", "yes", "no",
)  # fmt: skip


def word(value: Any) -> str | None:
    """A truth value, or a word for one: what Keystone's schemas ask for."""
    if value is not None and not isinstance(value, bool | str):
        return "is not of type 'boolean', 'string', 'null'"
    return None if value in _WORDS_OF_FLAGS else f"is not one of {list(_WORDS_OF_FLAGS)}"


def enabled(value: Any) -> str | None:
    """The same in a body, where Keystone fails (500) with a word for it."""
    return word(value) or (None if isinstance(value, bool) else "is not of type 'boolean'")


def whole(minimum: int, maximum: int, *, null: bool = False) -> Check:
    """A whole number from `minimum` to `maximum`."""

    def check(value: Any) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            return "is not of type 'integer', 'null'" if null else "is not of type 'integer'"
        if value < minimum:
            return f"is less than the minimum of {minimum}"
        return f"is greater than the maximum of {maximum}" if value > maximum else None

    return check


def choice(*allowed: str) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "is not of type 'string'"
        return None if value in allowed else f"is not one of {list(allowed)}"

    return check


def array(
    item: Check, minimum: int = 0, maximum: int | None = None, *, unique: bool = False, null: bool = False
) -> Check:
    """A list whose elements `item` finds good."""

    def check(value: Any) -> str | Problem | None:
        if value is None and null:
            return None
        if not isinstance(value, list):
            return "is not of type 'array', 'null'" if null else "is not of type 'array'"
        for position, element in enumerate(value):
            problem = _inside(item, str(position), element)
            if problem is not None:
                return problem
        if len(value) < minimum:
            return "should be non-empty"
        if maximum is not None and len(value) > maximum:
            return "is too long"
        if unique and len({repr(element) for element in value}) < len(value):
            return "has non-unique elements"
        return None

    return check


def members(
    fields: Mapping[str, Check], required: Iterable[str] = (), *, closed: bool = False, least: int = 0
) -> Check:
    """An object; `closed`: nothing but `fields` may be in it; `least`: as many must be there."""
    needed = tuple(required)

    def check(value: Any) -> str | Problem | None:
        if not isinstance(value, dict):
            return "is not of type 'object'"
        for name, item in fields.items():
            problem = _inside(item, name, value[name]) if name in value else None
            if problem is not None:
                return problem
        missing = [name for name in needed if name not in value]
        if missing:
            return Problem("", value, f"'{missing[0]}' is a required property", whole=True)
        if len(value) < least:
            return "should be non-empty"
        unknown = [name for name in value if name not in fields] if closed else []
        return Problem("", value, _unexpected(unknown), whole=True) if unknown else None

    return check


def _inside(check: Check, name: str, value: Any) -> Problem | None:
    """What is wrong with a part called `name`."""
    problem = check(value)
    if isinstance(problem, str):
        return Problem(name, value, problem)
    return problem._replace(field=problem.field or name) if problem is not None else None


def uuid_like(value: Any) -> str | None:
    """A UUID in any of its spellings."""
    if not isinstance(value, str):
        return "is not of type 'string'"
    try:
        uuid.UUID(value)
    except ValueError:
        return "is not a 'uuid'"
    return None


TAG = text(1, 255, pattern=r"^[^,/]*$")
tags = array(TAG, maximum=80, unique=True)
# All that there is for projects, domains and roles.
resource_options = members({"immutable": flag(null=True)}, closed=True)

NAME = text(1, 255, blank=False)
SHORT_NAME = text(1, 64, blank=False)
ID = text(1, 64, pattern=r"^[a-zA-Z0-9-]+$")
ID_OR_NULL = text(1, 64, null=True, pattern=r"^[a-zA-Z0-9-]+$")
DESCRIPTION = text(null=True)
SHORT_DESCRIPTION = text(maximum=255, null=True)
REGION = text(1, 255, null=True)
URL = text(0, 225, pattern=r"^[a-zA-Z0-9+.-]+:.+")


def member(body: dict[str, Any], key: str) -> dict[str, Any]:
    """`body[key]`, an object."""
    if key not in body:
        raise BadRequest(f"'{key}' is a required property")
    value = body[key]
    if not isinstance(value, dict):
        raise invalid(key, value, "is not of type 'object'")
    return value


def checked(
    body: dict[str, Any],
    key: str,
    fields: Mapping[str, Check],
    required: Iterable[str] = (),
    *,
    change: bool = False,
    closed: bool = False,
    alone: bool = False,
) -> dict[str, Any]:
    """The member `key` of a body, every known field of it checked. `change`: a PATCH, which must not be empty;
    `closed`: no attributes of the client's own; `alone`: nothing stands beside it in the body."""
    value = dict(member(body, key))
    _raise(_inside(members(fields, required, closed=closed, least=1 if change else 0), key, value))
    if alone:
        only(body, (key,))
    return value


def checked_as_of_old(value: Any, check: Check) -> None:
    """For the few resources whose refusals are still in older words."""
    problem = check(value)
    if isinstance(problem, str):
        raise invalid_of_old("", value, problem)
    if problem is not None:
        raise invalid_of_old(problem.field, problem.value, problem.words, whole=problem.whole)


def query(req: Request, fields: Mapping[str, Check], *, closed: bool = False) -> None:
    """Checks the parameters of a list."""
    given = first_values(req)
    for name, check in fields.items():
        if name in given:
            _raise(_inside(check, name, given[name]))
    if closed:
        only(given, fields)


def first_values(req: Request) -> dict[str, str]:
    """The query; of parameters given twice the first counts, as in Keystone."""
    return dict(reversed(req.query))


def whole_body(body: dict[str, Any], fields: Mapping[str, Check]) -> None:
    """A body that has its fields in itself."""
    problem = members(fields)(body)
    _raise(problem if isinstance(problem, Problem) else None)
    only(body, fields)


def _raise(problem: Problem | None) -> None:
    if problem is not None:
        raise invalid(problem.field, problem.value, problem.words, whole=problem.whole)


def split(value: dict[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the known attributes, the client's own). `id` and `links` are nobody's to set."""
    names = set(known)
    extra = {key: item for key, item in value.items() if key not in names and key not in ("id", "links")}
    return {key: item for key, item in value.items() if key in names}, extra


def normalized(value: dict[str, Any]) -> dict[str, Any]:
    """Keystone writes an underscore for `:` and `-` in the names of what is created."""
    return {name.replace(":", "_").replace("-", "_"): item for name, item in value.items()}


def same_id(value: dict[str, Any], key: str) -> None:
    """A PATCH may carry the id, but only the right one."""
    if value.get("id") is not None and value["id"] != key:
        raise BadRequest("Cannot change ID")


def only(value: Mapping[str, Any], known: Iterable[str], path: str = "") -> None:
    """Refuse what isn't known, where Keystone doesn't keep attributes of the client's own. `path`: what `value` is a
    member of; none: it is the body itself."""
    names = set(known)
    unknown = [name for name in value if name not in names]
    if unknown:
        words = _unexpected(unknown)
        raise invalid(path, value, words, whole=True) if path else BadRequest(words)


def _unexpected(names: list[str]) -> str:
    shown = ", ".join(repr(name[:MOST_SHOWN]) for name in sorted(names)[:5])
    return f"Additional properties are not allowed ({shown} {'was' if len(names) == 1 else 'were'} unexpected)"


def checked_list(
    body: dict[str, Any], key: str, fields: Mapping[str, Check], required: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """The member `key` of a body, a list of at least one object that has nothing but `fields`."""
    if key not in body:
        raise BadRequest(f"'{key}' is a required property")
    _raise(_inside(array(members(fields, required, closed=True), 1), key, body[key]))
    only(body, (key,))
    return list(body[key])
