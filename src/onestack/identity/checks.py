"""Checks of request bodies, by a table of fields: name → what it may be. Messages are those of JSON Schema.

Keystone keeps attributes that it doesn't know, so a body is a dict and not a Struct.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from onestack.core.errors import BadRequest

Check = Callable[[Any], str | None]  # None: good; else what is wrong, after the value


def text(minimum: int = 0, maximum: int = 65535, *, null: bool = False, blank: bool = True, pattern: str = "") -> Check:
    """A string of `minimum` to `maximum` characters; `blank=False` wants one that isn't white space."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, str):
            return "is not of type 'string', 'null'" if null else "is not of type 'string'"
        if len(value) < minimum:
            return "is too short" if value else "should be non-empty"
        if len(value) > maximum:
            return "is too long"
        if not blank and not value.strip():
            return r"does not match '[\\S]+'"
        if compiled is not None and not compiled.search(value):
            return f"does not match {pattern!r}"
        return None

    return check


def flag(*, null: bool = False) -> Check:
    def check(value: Any) -> str | None:
        return None if isinstance(value, bool) or (null and value is None) else "is not of type 'boolean'"

    return check


def whole(minimum: int, maximum: int, *, null: bool = False) -> Check:
    """A whole number from `minimum` to `maximum`."""

    def check(value: Any) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            return "is not of type 'integer'"
        if value < minimum:
            return f"is less than the minimum of {minimum}"
        return f"is greater than the maximum of {maximum}" if value > maximum else None

    return check


def choice(*allowed: str) -> Check:
    return lambda value: None if value in allowed and isinstance(value, str) else f"is not one of {list(allowed)}"


def resource_options(value: Any) -> str | None:
    """`{"immutable": true}` is all that there is for projects, domains and roles."""
    if not isinstance(value, dict):
        return "is not of type 'object'"
    if set(value) - {"immutable"}:
        return "has unknown options: only 'immutable' is known"
    flagged = value.get("immutable")
    return (
        None if flagged is None or isinstance(flagged, bool) else "is not valid: 'immutable' is not of type 'boolean'"
    )


_TAG = re.compile(r"^[^,/]*$")


def tags(value: Any) -> str | None:
    """At most 80 different strings of 1 to 255 characters, without comma and slash."""
    if not isinstance(value, list):
        return "is not of type 'array'"
    if len(value) > 80:
        return "is too long"
    for tag in value:
        if not isinstance(tag, str) or not 1 <= len(tag) <= 255 or not _TAG.match(tag):
            return "does not match '^[^,/]*$'"
    return "has non-unique elements" if len(set(value)) != len(value) else None


NAME = text(1, 255, blank=False)
SHORT_NAME = text(1, 64, blank=False)
ID = text(1, 64, pattern=r"^[a-zA-Z0-9-]+$")
ID_OR_NULL = text(1, 64, null=True, pattern=r"^[a-zA-Z0-9-]+$")
DESCRIPTION = text(null=True)
URL = text(0, 225, pattern=r"^[a-zA-Z0-9+.-]+:.+")


_SECRETS = frozenset(("password", "original_password", "secret", "blob"))
_MOST_SHOWN = 1000  # characters of a value


def invalid(field: str, value: Any, problem: str, *, whole: bool = False) -> BadRequest:
    """Keystone's words for a value that doesn't fit; `whole`: the problem doesn't begin with the value. Secrets are not
    repeated, which Keystone does."""
    if field in _SECRETS:
        shown = quoted = "***"
    else:
        if isinstance(value, dict):
            value = {name: "***" if name in _SECRETS else item for name, item in value.items()}
        shown, quoted = _cut(str(value), _MOST_SHOWN), _cut(repr(value), _MOST_SHOWN)
    words = problem if whole else f"{quoted} {problem}"
    return BadRequest(f"Invalid input for field/attribute {field}. Value: {shown}. {words}")


def member(body: dict[str, Any], key: str) -> dict[str, Any]:
    """`body[key]`, an object."""
    if key not in body:
        raise BadRequest(f"'{key}' is a required property")
    value = body[key]
    if not isinstance(value, dict):
        raise invalid(key, value, "is not of type 'object'")
    return value


def checked(
    body: dict[str, Any], key: str, fields: Mapping[str, Check], required: Iterable[str] = (), *, change: bool = False
) -> dict[str, Any]:
    """The member `key` of a body, every known field of it checked. `change`: a PATCH, which must not be empty."""
    value = dict(member(body, key))
    for name in required:
        if name not in value:
            raise invalid(key, value, f"'{name}' is a required property", whole=True)
    if change and not value:
        raise invalid(key, value, "should be non-empty")
    for name, item in value.items():
        check = fields.get(name)
        problem = check(item) if check is not None else None
        if problem:
            raise invalid(name, item, problem)
        if len(name) > 255:
            raise BadRequest(f"Invalid input for field '{name[:32]}': the name is too long")
    return value


def refuse_others(value: dict[str, Any], key: str, known: Iterable[str]) -> None:
    """For the few resources that take no attributes of the client's own."""
    for name in value:
        if name not in known:
            problem = f"Additional properties are not allowed ({_shown(name)} was unexpected)"
            raise invalid(key, value, problem, whole=True)


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
    if "id" in value and value["id"] != key:
        raise BadRequest("Cannot change ID")


def _shown(value: Any) -> str:
    return _cut(repr(value), 100)


def _cut(shown: str, most: int) -> str:
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def integer(minimum: int, maximum: int) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return "is not of type 'integer'"
        if value < minimum:
            return f"is less than the minimum of {minimum}"
        return f"is greater than the maximum of {maximum}" if value > maximum else None

    return check


def only(value: Mapping[str, Any], known: Iterable[str], path: str = "") -> None:
    """Refuse what isn't known, where Keystone doesn't keep attributes of the client's own."""
    unknown = [name for name in value if name not in set(known)]
    if unknown:
        names = ", ".join(_shown(name) for name in unknown[:5])
        words = f"Additional properties are not allowed ({names} {'was' if len(unknown) == 1 else 'were'} unexpected)"
        raise BadRequest(f"Invalid input for field '{path}': {words}" if path else words)


def checked_list(
    body: dict[str, Any], key: str, fields: Mapping[str, Check], required: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """The member `key` of a body, a list of at least one object that has nothing but `fields`."""
    only(body, (key,))
    if key not in body:
        raise BadRequest(f"'{key}' is a required property")
    values = body[key]
    if not isinstance(values, list):
        raise invalid(key, values, "is not of type 'array'")
    if not values:
        raise invalid(key, values, "should be non-empty")
    found = []
    for position, value in enumerate(values):
        path = f"{key}/{position}"
        if not isinstance(value, dict):
            raise BadRequest(f"Invalid input for field '{path}': {_shown(value)} is not of type 'object'")
        found.append(checked({path: value}, path, fields, required))
        only(value, fields, path)
    return found
