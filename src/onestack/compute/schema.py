"""Checking request bodies as Nova does: the fields depend on the microversion, the words are JSON Schema's.

A check is a function (name, value) → value; it raises BadRequest. `body` checks a whole request body.

Of several mistakes the first one is named, as Nova has it: the fields one after the other in the order of their table,
then what is missing, then what is too much. Where there is a choice of forms, it isn't said why none of them fits.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from onestack.compute.microversions import LEGACY
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, NotFound

Check = Callable[[str, Any], Any]

INT32 = 2**31 - 1


def invalid(name: str, value: Any, message: str) -> BadRequest:
    if name:
        message = f"Invalid input for field/attribute {name}. Value: {str(value)[:1000]}. {message}"
    return BadRequest(message)


def _of_type(name: str, value: Any, fits: bool, *types: str) -> None:
    if not fits:
        kinds = ", ".join(repr(kind) for kind in types)
        raise invalid(name, value, f"{value!r} is not of type {kinds}")


def unexpected(names: Iterable[str]) -> str:
    found = list(names)
    verb = "was" if len(found) == 1 else "were"
    return f"Additional properties are not allowed ({', '.join(repr(key) for key in found)} {verb} unexpected)"


def body(value: Any, key: str, fields: Mapping[str, Check], version: Version, *, required: tuple[str, ...] = (),
         beside: Mapping[str, Check] | None = None) -> dict[str, Any]:  # fmt: skip
    """The checked object under `key` of a request body. `beside`: what else the body may hold, at its top.

    /v2 ignores what it doesn't know; /v2.1 refuses it.
    """
    checked = obj({key: obj(fields, required, version), **(beside or {})}, (key,), version)("", value)
    if beside:
        return {**checked, **checked[key], key: checked[key]}
    result: dict[str, Any] = checked[key]
    return result


def one_action(value: Any, *, empty: bool) -> tuple[str, Any]:
    """The name of an action and its argument, from the body of a request for one; `empty`: there was none. Raises
    BadRequest, NotFound."""
    if empty or (isinstance(value, (dict, list, str)) and len(value) != 1):
        raise BadRequest("Malformed request body")
    if not isinstance(value, dict):
        raise NotFound("The resource could not be found.")
    ((name, argument),) = value.items()
    return name, argument


def open_object(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object that may hold anything beside `fields`."""

    def check(name: str, value: Any) -> Any:
        _of_type(name, value, isinstance(value, dict), "object")
        found = {key: check_one(key, value[key]) for key, check_one in fields.items() if key in value}
        for key in required:
            if key not in value:
                raise invalid(name, value, f"'{key}' is a required property")
        return value | found

    return check


def string_or(kind: str, other: Check) -> Check:
    """A string, or what `other` checks, an array or an object."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, str):
            return value
        _of_type(name, value, isinstance(value, list if kind == "array" else dict), "string", kind)
        return other(name, value)

    return check


def obj(
    fields: Mapping[str, Check], required: tuple[str, ...] = (), version: Version = (2, 1), *, null: bool = False
) -> Check:
    def check(name: str, value: Any) -> Any:
        if value is None and null:
            return None
        _of_type(name, value, isinstance(value, dict), "object", *(("null",) if null else ()))
        found = {key: check_one(key, value[key]) for key, check_one in fields.items() if key in value}
        for key in required:
            if key not in value:
                raise invalid(name, value, f"'{key}' is a required property")
        if len(found) < len(value) and version != LEGACY:
            raise invalid(name, value, unexpected(sorted(key for key in value if key not in fields)))
        return found

    return check


def array(
    item: Check, maximum: int | None = None, unique: bool = False, minimum: int = 0, *, null: bool = False
) -> Check:
    def check(name: str, value: Any) -> Any:
        if value is None and null:
            return None
        _of_type(name, value, isinstance(value, list), "array", *(("null",) if null else ()))
        if len(value) < minimum:
            raise invalid(name, value, f"{value!r} {'should be non-empty' if minimum == 1 else 'is too short'}")
        if maximum is not None and len(value) > maximum:
            raise invalid(name, value, f"{value!r} is too long")
        if unique and len({repr(one) for one in value}) != len(value):
            raise invalid(name, value, f"{value!r} has non-unique elements")
        return [item(str(position), one) for position, one in enumerate(value)]

    return check


def string(maximum: int | None = 255, minimum: int = 0, pattern: str | None = None, null: bool = False) -> Check:
    compiled = re.compile(pattern) if pattern else None

    def check(name: str, value: Any) -> Any:
        if value is None and null:
            return None
        _of_type(name, value, isinstance(value, str), "string", *(("null",) if null else ()))
        if compiled and not compiled.search(value):
            raise invalid(name, value, f"{value!r} does not match {pattern!r}")
        _sized(name, value, minimum, maximum)
        return value

    return check


def _sized(name: str, value: str, minimum: int, maximum: int | None) -> None:
    if len(value) < minimum:
        raise invalid(name, value, f"{value!r} {'should be non-empty' if minimum == 1 else 'is too short'}")
    if maximum is not None and len(value) > maximum:
        raise invalid(name, value, f"{value!r} is too long")


def integer(minimum: int = 0, maximum: int = INT32, *, null: bool = False, pattern: str = "") -> Check:
    """A whole number, or its digits in a string."""
    expected = pattern or ("^-?[0-9]+$" if minimum < 0 else "^[0-9]+$")

    def check(name: str, value: Any) -> Any:
        if value is None and null:
            return None
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        fits = isinstance(value, str) or (whole and not isinstance(value, bool))
        _of_type(name, value, fits, "integer", "string", *(("null",) if null else ()))
        if isinstance(value, str):
            if not re.search(expected, value):
                raise invalid(name, value, f"{value!r} does not match {expected!r}")
            if not value:
                raise invalid(name, value, f"{value!r} should be non-empty")
        number = int(value) if not isinstance(value, str) or len(value) < 20 else maximum + 1
        if number < minimum:
            raise invalid(name, value, f"{number!r} is less than the minimum of {minimum}")
        if number > maximum:
            raise invalid(name, value, f"{number!r} is greater than the maximum of {maximum}")
        return number

    return check


def count(minimum: int) -> Check:
    """Where an empty string is another mistake than a wrong one."""
    return integer(minimum, pattern="^[0-9]*$")


_DECIMAL = r"^[0-9]+(\.[0-9]+)?$"


def positive_number(maximum: float = 3.40282e38) -> Check:
    """A number, or its digits in a string."""

    def check(name: str, value: Any) -> float:
        fits = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        _of_type(name, value, fits, "number", "string")
        if isinstance(value, str) and not re.search(_DECIMAL, value):
            raise invalid(name, value, f"{value!r} does not match {_DECIMAL!r}")
        found = float(value)
        shown = value if not isinstance(value, str) else int(value) if value.isdigit() else found
        if found <= 0:
            raise invalid(name, value, f"{shown!r} is less than or equal to the minimum of 0")
        if found > maximum:
            raise invalid(name, value, f"{shown!r} is greater than the maximum of {maximum!r}")
        return found

    return check


BOOLEANS = [
    True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
    False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no",
]  # fmt: skip


def boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    _of_type(name, value, isinstance(value, str), "boolean", "string")
    if value not in BOOLEANS:
        raise invalid(name, value, f"{value!r} is not one of {BOOLEANS!r}")
    return BOOLEANS.index(value) < len(BOOLEANS) // 2


def one_of(*values: str) -> Check:
    def check(name: str, value: Any) -> Any:
        _of_type(name, value, isinstance(value, str), "string")
        if value not in values:
            raise invalid(name, value, f"{value!r} is not one of {list(values)!r}")
        return value

    return check


def anything(_name: str, value: Any) -> Any:
    return value


def null(name: str, value: Any) -> None:
    _of_type(name, value, value is None, "null")


def either(*checks: Check) -> Check:
    """The first form that fits."""

    def check(name: str, value: Any) -> Any:
        for attempt in checks:
            try:
                return attempt(name, value)
            except BadRequest:
                continue
        raise invalid(name, value, f"{value!r} is not valid under any of the given schemas")

    return check


def uuid_string(name: str, value: Any) -> str:
    _of_type(name, value, isinstance(value, str), "string")
    if not is_uuid(value):
        raise invalid(name, value, f"{value!r} is not a 'uuid'")
    return str(value)


def uuid_or_null(name: str, value: Any) -> str | None:
    _of_type(name, value, value is None or isinstance(value, str), "string", "null")
    return None if value is None else uuid_string(name, value)


def empty(name: str, value: Any) -> str:
    _of_type(name, value, isinstance(value, str), "string")
    if value:
        raise invalid(name, value, f"{value!r} is expected to be empty")
    return ""


def is_uuid(value: Any) -> bool:
    """As Nova reads them: case, dashes and braces don't matter."""
    if not isinstance(value, str):
        return False
    try:
        return str(uuid.UUID(value)).replace("-", "") == value.lower().replace("-", "").strip("{}")
    except (ValueError, AttributeError):
        return False


def _printable(text: str) -> bool:
    """As Nova has it: nothing beyond the basic plane is."""
    return all(
        not (category := unicodedata.category(char)).startswith("C")
        and (category[0] != "Z" or category == "Zs")
        and char < "\uffff"
        for char in text
    )


def name_of(version: Version) -> Check:
    """A resource's name: printable, up to 255 characters; outer whitespace is refused, or stripped by /v2."""

    def check(name: str, value: Any) -> str:
        _of_type(name, value, isinstance(value, str), "string")
        text: str = value
        stripped = text.strip()
        if version == LEGACY:
            if not stripped or not _printable(text):
                raise BadRequest(f"{_NAME}printable characters with at least one non space character")
        elif stripped != text or not _printable(text):
            raise BadRequest(f"{_NAME}printable characters. Can not start or end with whitespace.")
        _sized(name, text, 1, 255)
        return stripped

    return check


def loose_name(name: str, value: Any) -> str:
    """A name with whitespace around it, which is taken away."""
    text = name_of(LEGACY)(name, value)
    _sized(name, str(value), 1, 255)
    return text


def without_colon(of: Check) -> Check:
    """The name of an availability zone, which "zone:host" is made of."""

    def check(name: str, value: Any) -> str:
        text: str = of(name, value)
        if ":" in text:
            raise BadRequest(f"{_NAME}printable characters except :.Can not start or end with whitespace.")
        return text

    return check


_NAME = "An invalid 'name' value was provided. The name must be: "
name = name_of((2, 1))


def printable(maximum: int) -> Check:
    """Text, or null."""

    def check(name: str, value: Any) -> str | None:
        text: str | None = string(maximum, 0, null=True)(name, value)
        if text is not None and not _printable(text):
            raise invalid(name, value, f"{value!r} does not match printable characters")
        return text

    return check


description = printable(255)


def address(version: int | None = None) -> Check:
    """An address, in its canonical form (RFC 5952)."""

    def check(name: str, value: Any) -> str:
        _of_type(name, value, isinstance(value, str), "string")
        try:
            parsed = ipaddress.ip_address(value)
        except ValueError:
            parsed = None
        if parsed is None and version is None:
            raise invalid(name, value, f"{value!r} is not valid under any of the given schemas")
        if parsed is None or (version is not None and parsed.version != version):
            raise invalid(name, value, f"{value!r} is not a 'ipv{version}'")
        return str(parsed)

    return check


def base64_string(maximum: int = 65535, null: bool = False) -> Check:
    def check(name: str, value: Any) -> str | None:
        if value is None and null:
            return None
        _of_type(name, value, isinstance(value, str), "string", *(("null",) if null else ()))
        text = str(value)
        try:
            base64.b64decode(text)  # what isn't of its alphabet is passed over
        except (binascii.Error, ValueError):
            raise invalid(name, value, f"{value!r} is not a 'base64'") from None
        _sized(name, text, 0, maximum)
        return text

    return check


_KEY = "^[a-zA-Z0-9-_:. ]{1,255}$"


def pairs(item: Check) -> Check:
    """Keys and values of a server or a flavor."""

    def check(name: str, value: Any) -> Any:
        _of_type(name, value, isinstance(value, dict), "object")
        known = dict.fromkeys(key for key in value if re.search(_KEY, key))
        for key in known:
            item(key, value[key])
        odd = sorted(value.keys() - known.keys())
        if odd:
            keys, verb = ", ".join(repr(key) for key in odd), "does" if len(odd) == 1 else "do"
            raise invalid(name, value, f"{keys} {verb} not match any of the regexes: {_KEY!r}")
        return dict(value)

    return check


def one_pair(of: Check) -> Check:
    """Pairs of which there is exactly one."""

    def check(name: str, value: Any) -> Any:
        found = of(name, value)
        if not found:
            raise invalid(name, value, f"{value!r} should be non-empty")
        if len(found) > 1:
            raise invalid(name, value, f"{value!r} has too many properties")
        return found

    return check


metadata = pairs(string(255))
one_metadata = one_pair(metadata)
hostname = string(63, 2, r"^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$")
fqdn = string(255, 1, r"^[a-zA-Z0-9-._]*$")
tag = string(60, 1, r"^[^,/]*$")
disk_config = one_of("AUTO", "MANUAL")
name_or_none = either(string(255, 1), null)
trusted_certs = array(string(None, 1), 50, unique=True, minimum=1, null=True)
