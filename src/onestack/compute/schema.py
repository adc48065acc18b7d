"""Checking request bodies as Nova does: the fields depend on the microversion, the words are JSON Schema's.

A check is a function (name, value) → value; it raises BadRequest. `body` checks a whole request body.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from onestack.compute.microversions import LEGACY
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Fault

Check = Callable[[str, Any], Any]

INT32 = 2**31 - 1
_TRUE = frozenset(("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"))
_FALSE = frozenset(("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"))


def invalid(name: str, value: Any, message: str) -> Fault:
    if not name:
        return BadRequest(message)
    text = str(value)
    return BadRequest(f"Invalid input for field/attribute {name}. Value: {text[:1000]}. {message}")


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


def obj(fields: Mapping[str, Check], required: tuple[str, ...] = (), version: Version = (2, 1)) -> Check:
    def check(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid(name, value, f"{value!r} is not of type 'object'")
        for key in required:
            if key not in value:
                raise invalid(name, value, f"'{key}' is a required property")
        unknown = [key for key in value if key not in fields]
        if unknown and version != LEGACY:
            names = ", ".join(repr(key) for key in sorted(unknown))
            verb = "was" if len(unknown) == 1 else "were"
            raise invalid(name, value, f"Additional properties are not allowed ({names} {verb} unexpected)")
        return {key: fields[key](key, item) for key, item in value.items() if key in fields}

    return check


def array(item: Check, maximum: int | None = None, unique: bool = False, minimum: int = 0) -> Check:
    def check(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise invalid(name, value, f"{value!r} is not of type 'array'")
        if maximum is not None and len(value) > maximum:
            raise invalid(name, value, f"{value!r} is too long")
        if len(value) < minimum:
            raise invalid(name, value, f"{value!r} is too short")
        if unique and len({repr(one) for one in value}) != len(value):
            raise invalid(name, value, f"{value!r} has non-unique elements")
        return [item(name, one) for one in value]

    return check


def string(maximum: int | None = 255, minimum: int = 0, pattern: str | None = None, null: bool = False) -> Check:
    compiled = re.compile(pattern) if pattern else None

    def check(name: str, value: Any) -> Any:
        if value is None and null:
            return None
        if not isinstance(value, str):
            raise invalid(name, value, f"{value!r} is not of type 'string'" + (", 'null'" if null else ""))
        if maximum is not None and len(value) > maximum:
            raise invalid(name, value, f"{value!r} is too long")
        if len(value) < minimum:
            raise invalid(name, value, f"{value!r} is too short")
        if compiled and not compiled.search(value):
            raise invalid(name, value, f"{value!r} does not match {pattern!r}")
        return value

    return check


def integer(minimum: int = 0, maximum: int = INT32) -> Check:
    def check(name: str, value: Any) -> int:
        number = value
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int):
            raise invalid(name, value, f"{value!r} is not of type 'integer', 'string'")
        if number < minimum:
            raise invalid(name, value, f"{value!r} is less than the minimum of {minimum}")
        if number > maximum:
            raise invalid(name, value, f"{value!r} is greater than the maximum of {maximum}")
        return number

    return check


def number(minimum: float = 0, maximum: float = 3.40282e38) -> Check:
    def check(name: str, value: Any) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError
            found = float(value)
        except ValueError:
            raise invalid(name, value, f"{value!r} is not of type 'number', 'string'") from None
        if not minimum < found <= maximum:
            raise invalid(name, value, f"{value!r} is out of range")
        return found

    return check


def boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUE:
        return True
    if isinstance(value, str) and value in _FALSE:
        return False
    raise invalid(name, value, f"{value!r} is not one of [True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', "
                               "'Yes', 'yes', False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', "
                               "'no']")  # fmt: skip


def one_of(*values: Any) -> Check:
    def check(name: str, value: Any) -> Any:
        if value not in values:
            raise invalid(name, value, f"{value!r} is not one of {list(values)!r}")
        return value

    return check


def anything(_name: str, value: Any) -> Any:
    return value


def null(name: str, value: Any) -> None:
    if value is not None:
        raise invalid(name, value, f"{value!r} is not of type 'null'")


def either(*checks: Check) -> Check:
    """The first check that accepts; otherwise the last one's words."""

    def check(name: str, value: Any) -> Any:
        for attempt in checks[:-1]:
            try:
                return attempt(name, value)
            except Fault:
                continue
        return checks[-1](name, value)

    return check


def uuid_string(name: str, value: Any) -> str:
    if not is_uuid(value):
        raise invalid(name, value, f"{value!r} is not a 'uuid'")
    return str(value)


def is_uuid(value: Any) -> bool:
    """As Nova reads them: case, dashes and braces don't matter."""
    if not isinstance(value, str):
        return False
    try:
        return str(uuid.UUID(value)).replace("-", "") == value.lower().replace("-", "").strip("{}")
    except (ValueError, AttributeError):
        return False


def _printable(text: str) -> bool:
    return all(
        not (category := unicodedata.category(char)).startswith("C") and (category[0] != "Z" or category == "Zs")
        for char in text
    )


def name_of(version: Version) -> Check:
    """A resource's name: printable, up to 255 characters; outer whitespace is refused, or stripped by /v2."""

    def check(name: str, value: Any) -> str:
        text: str = string(255, 1)(name, value)
        stripped = text.strip()
        if version == LEGACY:
            if not stripped or not _printable(text):
                raise invalid(name, value, f"{value!r} does not match printable characters with at least one non space "
                                           "character")  # fmt: skip
            return stripped
        if stripped != text or not _printable(text):
            raise invalid(name, value, f"{value!r} does not match printable characters. Can not start or end with "
                                       "whitespace.")  # fmt: skip
        return text

    return check


name = name_of((2, 1))


def description(name: str, value: Any) -> str | None:
    text: str | None = string(255, 0, null=True)(name, value)
    if text is not None and not _printable(text):
        raise invalid(name, value, f"{value!r} does not match printable characters")
    return text


def address(version: int | None = None) -> Check:
    """An address, in its canonical form (RFC 5952)."""

    def check(name: str, value: Any) -> str:
        try:
            parsed = ipaddress.ip_address(value if isinstance(value, str) else "")
        except ValueError:
            parsed = None
        if parsed is None or (version is not None and parsed.version != version):
            kind = "ip-address" if version is None else f"ipv{version}"
            raise invalid(name, value, f"{value!r} is not a '{kind}'")
        return str(parsed)

    return check


def base64_string(maximum: int = 65535, null: bool = False) -> Check:
    def check(name: str, value: Any) -> str | None:
        text: str | None = string(maximum, null=null)(name, value)
        if text is None:
            return None
        try:
            base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise invalid(name, value, f"{value!r} is not a 'base64'") from None
        return text

    return check


_KEY = re.compile(r"^[a-zA-Z0-9-_:. ]{1,255}$")


def metadata(name: str, value: Any) -> dict[str, str]:
    """Key/value pairs of a server or a flavor."""
    if not isinstance(value, dict):
        raise invalid(name, value, f"{value!r} is not of type 'object'")
    for key, item in value.items():
        if not _KEY.match(key):
            raise invalid(name, value, f"{key!r} does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'")
        string(255)(key, item)
    return value


hostname = string(63, 2, r"^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$")
fqdn = string(255, 1, r"^[a-zA-Z0-9-._]*$")
tag = string(60, 1, r"^[^,/]*$")
disk_config = one_of("AUTO", "MANUAL")
