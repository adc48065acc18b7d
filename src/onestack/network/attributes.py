"""Attributes of Neutron's objects: which may be given when, how a value is converted, what is wrong with it.

Neutron is lenient: old clients send "True" and "22" as strings. A parser takes the value as it came and returns the
one to store; it raises Reason ("Invalid input for <attribute>. Reason: …"), or a Fault with words of its own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onestack.core.context import Context
from onestack.core.words import truth
from onestack.network import errors


class Unset:
    """The value of an attribute that wasn't given and has no default: the rules choose one."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()
REQUIRED = Unset()


class Reason(Exception):
    """What is wrong with a value."""


Parser = Callable[[Any], Any]


def anything(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Attr:
    """One attribute. `default` holds when it is left out of a POST; REQUIRED makes leaving it out an error."""

    parse: Parser = anything
    post: bool = True
    put: bool = True
    default: Any = UNSET


READ_ONLY = Attr(post=False, put=False)

Attributes = dict[str, Attr]


def standard(**more: Attr) -> Attributes:
    """The attributes of an object, with those that all objects have."""
    return {
        "id": READ_ONLY,
        "project_id": Attr(text(255), put=False),
        "tenant_id": Attr(text(255), put=False),
        "description": Attr(text(255), default=""),
        "created_at": READ_ONLY,
        "updated_at": READ_ONLY,
        "revision_number": READ_ONLY,
        "tags": READ_ONLY,
        **more,
    }


def read(attributes: Attributes, sent: dict[str, Any], *, creating: bool) -> dict[str, Any]:
    """The parsed values of a POST (all that may be given, defaults filled in) or a PUT (only those given)."""
    unknown = sorted(set(sent) - set(attributes))
    if unknown:
        raise errors.bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    values: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if name not in sent:
            if creating and attribute.post:
                if attribute.default is REQUIRED:
                    raise errors.bad_request(f"Failed to parse request. Required attribute '{name}' not specified")
                values[name] = attribute.default() if callable(attribute.default) else attribute.default
            continue
        if creating and not attribute.post:
            raise errors.bad_request(f"Attribute '{name}' not allowed in POST")
        if not creating and not attribute.put:
            raise errors.bad_request(f"Cannot update read-only attribute {name}")
        try:
            value = attribute.parse(sent[name])
        except Reason as reason:
            raise errors.bad_request(f"Invalid input for {name}. Reason: {reason}.") from None
        if creating or value is not UNSET:
            values[name] = value
    return values


def owner(ctx: Context, sent: dict[str, Any]) -> str:
    """Whose the new object is: the caller's, or what an admin says."""
    project, tenant = sent.get("project_id"), sent.get("tenant_id")
    if project is not None and tenant is not None and project != tenant:
        raise errors.bad_request("'project_id' and 'tenant_id' do not match")
    wanted = project if project is not None else tenant
    if wanted is None or wanted == ctx.project_id:
        return ctx.project_id or ""
    if not isinstance(wanted, str) or len(wanted) > 64:
        raise errors.bad_request(f"Invalid input for project_id. Reason: '{wanted}' is not a valid string.")
    if not ctx.is_admin and "service" not in ctx.roles:
        raise errors.bad_request(
            "Specifying 'project_id' other than the authenticated project in request is not allowed for the "
            "current user."
        )
    return wanted


# Parsers


def text(length: int | None = None) -> Parser:
    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise Reason(f"'{value}' is not a valid string")
        if length is not None and len(value) > length:
            raise Reason(f"'{value}' exceeds maximum length of {length}")
        return value

    return parse


def filled_text(length: int) -> Parser:
    inner = text(length)

    def parse(value: Any) -> Any:
        inner(value)
        if not value.strip():
            raise Reason(f"'{value}' Blank strings are not permitted")
        return value

    return parse


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = truth(str(value))
    if found is None:
        raise errors.invalid_input(f"'{value}' cannot be converted to boolean")
    return found


def integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise errors.invalid_input(f"'{value}' is not an integer")
    try:
        number = int(value)
    except ValueError:
        raise errors.invalid_input(f"'{value}' is not an integer") from None
    if not -(1 << 31) <= number < 1 << 31:
        raise errors.invalid_input(f"'{value}' is out of range")
    return number


def between(low: int, high: int) -> Parser:
    def parse(value: Any) -> int:
        number = integer(value)
        if number < low:
            raise Reason(f"'{value}' is too small - must be at least '{low}'")
        if number > high:
            raise Reason(f"'{value}' is too large - must be no larger than '{high}'")
        return number

    return parse


def one_of(*allowed: Any, convert: Parser = anything) -> Parser:
    def parse(value: Any) -> Any:
        found = convert(value)
        if isinstance(found, dict | list) or found not in allowed:
            raise Reason(f"'{value}' is not in {list(allowed)}")
        return found

    return parse


def optional(inner: Parser) -> Parser:
    return lambda value: None if value is None else inner(value)


def unless_null(inner: Parser) -> Parser:
    """Null is as good as nothing said."""
    return lambda value: UNSET if value is None else inner(value)


_UUID = re.compile(r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$")


def is_uuid(value: Any) -> bool:
    return isinstance(value, str) and bool(_UUID.match(value))


def uuid(value: Any) -> str:
    if not is_uuid(value):
        raise Reason(f"'{value}' is not a valid UUID")
    return str(value)


def uuids(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Reason(f"'{value}' is not a list")
    for item in value:
        uuid(item)
    different(value)
    return list(value)


def different(items: list[str]) -> None:
    """Raises Reason, which names what is there twice."""
    twice = sorted({item for item in items if items.count(item) > 1})
    if twice:
        raise Reason(f"Duplicate items in the list: '{', '.join(twice)}'")


def address(value: Any) -> str:
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise Reason(f"'{value}' is not a valid IP address") from None


def network(value: Any) -> str:
    """A CIDR, normal form: host bits are cut off, as Neutron does for a subnet."""
    try:
        if not isinstance(value, str) or "/" not in value or "%" in value:
            raise ValueError
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise Reason(f"'{value}' is not a valid IP subnet") from None


def address_or_network(value: Any) -> str:
    try:
        return str(address(value))
    except Reason:
        try:
            return str(network(value))
        except Reason:
            raise Reason(f"'{value}' is neither a valid IP address, nor is it a valid IP subnet") from None


_MAC = re.compile(r"^[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}$")


def mac(value: Any) -> str:
    if not isinstance(value, str) or not _MAC.match(value) or value.replace("-", ":") == "00:00:00:00:00:00":
        raise Reason(f"'{value}' is not a valid MAC address")
    found = value.lower().replace("-", ":")
    if int(found[:2], 16) & 1:
        raise Reason(f"'{value}' is not a valid MAC address")
    return found


def addresses(value: Any) -> list[str]:
    """DNS servers: a list of different addresses."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for nameserver: '{value}'")
    found: list[str] = []
    for item in value:
        try:
            one = address(item)
        except Reason:
            raise Reason(f"'{item}' is not a valid nameserver. '{item}' is not a valid IP address") from None
        if one in found:
            raise Reason(f"Duplicate nameserver '{item}'")
        found.append(one)
    return found


def _strict_network(value: Any) -> str:
    """A CIDR without host bits."""
    try:
        found = network(value)
    except Reason:
        raise Reason(f"'{value}' is not a valid CIDR") from None
    if ipaddress.ip_interface(value).ip != ipaddress.ip_network(found).network_address:
        raise Reason(f"'{value}' is not a valid CIDR")
    return found


def host_routes(value: Any) -> list[dict[str, str]]:
    """Host routes of a subnet, extra routes of a router: `[{"destination": cidr, "nexthop": address}]`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for hostroute: '{value}'")
    found: list[dict[str, str]] = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"destination", "nexthop"}:
            raise Reason(f"Invalid data format for hostroute: '{item}'")
        route = {"destination": _strict_network(item["destination"]), "nexthop": address(item["nexthop"])}
        if route in found:
            raise Reason(f"Duplicate hostroute '{item}'")
        found.append(route)
    return found


def pools(value: Any) -> Any:
    if value in (None, "", {}):
        return UNSET
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for IP pool: '{value}'")
    found = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"start", "end"}:
            raise Reason(f"Invalid data format for IP pool: '{item}'")
        found.append({"start": address(item["start"]), "end": address(item["end"])})
    return found


def fixed_ips(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for fixed IP: '{value}'")
    found: list[dict[str, str]] = []
    seen: set[str] = set()
    for item in value:
        if not isinstance(item, dict) or not set(item) <= {"subnet_id", "ip_address"}:
            raise Reason(f"Invalid data format for fixed IP: '{item}'")
        one: dict[str, str] = {}
        if item.get("ip_address") is not None:
            one["ip_address"] = address(item["ip_address"])
            if one["ip_address"] in seen:
                raise Reason(f"Duplicate IP address '{item['ip_address']}'")
            seen.add(one["ip_address"])
        if item.get("subnet_id") is not None:
            one["subnet_id"] = uuid(item["subnet_id"])
        found.append(one)
    return found


def address_pairs(value: Any) -> list[dict[str, str]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise errors.bad_request("Allowed address pairs must be a list.")
    if len(value) > 10:
        raise errors.bad("AllowedAddressPairExhausted", "The number of allowed address pair exceeds the maximum 10.")
    found: list[dict[str, str]] = []
    for item in value:
        if not isinstance(item, dict):
            raise Reason(f"'{item}' is not a dictionary")
        extra = set(item) - {"mac_address", "ip_address"}
        if extra:
            raise Reason(f"Unrecognized attribute(s) '{', '.join(sorted(extra))}'")
        if "ip_address" not in item:
            raise errors.bad("AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
        pair = {"ip_address": _as_written(item["ip_address"])}
        if item.get("mac_address") is not None:
            pair["mac_address"] = mac(item["mac_address"])
        if pair in found:
            raise errors.bad(
                "DuplicateAddressPairInRequest",
                f"Request contains duplicate address pair: mac_address {pair.get('mac_address')} "
                f"ip_address {pair['ip_address']}.",
            )
        found.append(pair)
    return found


def _as_written(value: Any) -> str:
    """An address or CIDR, checked; kept with its host bits, as Neutron shows it."""
    address_or_network(value)
    return str(value).lower()


_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


def dns_name(value: Any) -> str:
    name = text(255)(value)
    if name and not all(_LABEL.match(label) for label in name.lower().rstrip(".").split(".")):
        raise Reason(f"'{value}' not a valid PQDN or FQDN. Reason: it is not made of letters, digits and hyphens")
    return str(name).lower()


def mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Reason(f"'{value}' is not a dictionary")
    return value
