"""Attributes of Neutron's objects: which may be given when, how a value is converted, what is wrong with it.

Neutron is lenient: old clients send "True" and "22" as strings. A parser takes the value as it came and returns the
one to store; it raises Reason ("Invalid input for <attribute>. Reason: …"), or a Fault with words of its own.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onestack.core.context import Context
from onestack.core.words import truth
from onestack.network import errors

_INT64 = 1 << 63


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
    """One attribute. `default` holds when it is left out of a POST; REQUIRED makes leaving it out an error.

    `ruled`: who gives it must pass a policy rule of its own, `create_port:mac_address`; each of the `parts` of a
    dictionary has another, `create_router:external_gateway_info:network_id`. The order of the attributes of an object
    is Neutron's: of two that are wrong the first is named, and a refusal by policy names the rules in this order.
    """

    parse: Parser = anything
    post: bool = True
    put: bool = True
    default: Any = UNSET
    ruled: bool = False
    parts: tuple[str, ...] = ()


READ_ONLY = Attr(post=False, put=False)

Attributes = dict[str, Attr]


def standard(**more: Attr) -> Attributes:
    """The attributes of an object, with those that all objects have."""
    return {
        "id": READ_ONLY,
        "tenant_id": Attr(text(64), put=False),
        "project_id": Attr(text(64), put=False),
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
    for name, attribute in attributes.items():
        _may_be_given(name, attribute, name in sent, creating)
    values: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if name not in sent:
            if creating and attribute.post:
                values[name] = attribute.default() if callable(attribute.default) else attribute.default
            continue
        try:
            value = attribute.parse(sent[name])
        except Reason as reason:
            raise errors.bad_request(f"Invalid input for {name}. Reason: {reason}.") from None
        if creating or value is not UNSET:
            values[name] = value
    return values


def _may_be_given(name: str, attribute: Attr, given: bool, creating: bool) -> None:
    if not given and creating and attribute.post and attribute.default is REQUIRED:
        raise errors.bad_request(f"Failed to parse request. Required attribute '{name}' not specified")
    if given and creating and not attribute.post:
        raise errors.bad_request(f"Attribute '{name}' not allowed in POST")
    if given and not creating and not attribute.put:
        raise errors.bad_request(f"Cannot update read-only attribute {name}")


def with_owner(ctx: Context, sent: dict[str, Any]) -> dict[str, Any]:
    """The body of an object, with its owner under both names if it has one. Only an admin may say that it is another
    than the caller's project."""
    given = {sent[name] if isinstance(sent[name], str) else repr(sent[name]) for name in _OWNER if name in sent}
    if len(given) > 1:
        raise errors.bad_request("'project_id' and 'tenant_id' do not match")
    if not given:
        return sent
    wanted = next(sent[name] for name in _OWNER if name in sent)
    if wanted != ctx.project_id and not (ctx.is_admin or "service" in ctx.roles):
        raise errors.bad_request(
            "Specifying 'project_id' other than the authenticated project in request is not allowed for the "
            "current user."
        )
    return {**sent, **dict.fromkeys(_OWNER, wanted)}


_OWNER = ("project_id", "tenant_id")


# Parsers


def text(length: int | None = None) -> Parser:
    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise Reason(f"'{value}' is not a valid string")
        if length is not None and len(value) > length:
            raise Reason(f"'{value}' exceeds maximum length of {length}")
        return value

    return parse


def name_text(value: Any) -> str:
    """A name: printable characters of the basic plane, and spaces only inside."""
    found: str = text(255)(value)
    kinds = [unicodedata.category(char) for char in found]
    spaced = bool(kinds) and "Zs" in (kinds[0], kinds[-1])
    if spaced or any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds) or any(c > "\ufffe" for c in found):
        raise Reason(f"'{value}' is not a valid string")
    return found


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = truth(str(value))
    if found is None:
        raise errors.invalid_input(f"'{value}' cannot be converted to boolean")
    return found


def integer(value: Any) -> int:
    """Anything that Python makes an integer of, as Neutron does: "22", true, 1.5."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise errors.invalid_input(f"'{value}' is not an integer") from None


def not_negative(value: Any) -> int:
    number = integer(value)
    if number < 0:
        raise Reason(f"'{number}' should be non-negative")
    return number


def one_of(*allowed: Any, convert: Parser = anything) -> Parser:
    def parse(value: Any) -> Any:
        found = convert(value)
        if isinstance(found, dict | list) or found not in allowed:
            raise Reason(f"{found} is not in valid_values")
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
    return different(value, uuid)


def different(value: Any, parse: Parser) -> list[Any]:
    """A list in which nothing is there twice."""
    if not isinstance(value, list):
        raise Reason(f"'{value}' is not a list")
    seen: list[Any] = []
    twice: list[str] = []
    for item in value:
        if item in seen:
            twice += [] if str(item) in twice else [str(item)]
        else:
            seen.append(item)
    if twice:
        raise Reason(f"Duplicate items in the list: '{', '.join(twice)}'")
    return [parse(item) for item in value]


def address(value: Any) -> str:
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_address(value))
    except ValueError:
        plain = _without_zeros(value)
        if plain is not None:
            raise Reason(f"'{value}' is not an accepted IP address, '{plain}' is recommended") from None
        raise Reason(f"'{value}' is not a valid IP address") from None


def _without_zeros(value: Any) -> str | None:
    """010.0.0.1 as 10.0.0.1: nobody knows whether such numbers were meant to be octal."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", value):
        return None
    try:
        return str(ipaddress.ip_address(".".join(str(int(part)) for part in value.split("."))))
    except ValueError:
        return None


def network(value: Any) -> str:
    """A CIDR, normal form: host bits are cut off, as Neutron does for a subnet."""
    try:
        if not isinstance(value, str) or "/" not in value or "%" in value:
            raise ValueError
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise Reason(f"'{value}' is not a valid IP subnet") from None


def cidr(value: Any) -> str:
    """The CIDR of a subnet; a lone address is a subnet of one."""
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_interface(value.strip()).network)
    except ValueError:
        raise errors.invalid_input(f"{value} is not in a CIDR format") from None


_MAC = re.compile(
    r"[0-9a-fA-F]{1,2}([:-])[0-9a-fA-F]{1,2}(\1[0-9a-fA-F]{1,2}){4}|[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2}|[0-9a-fA-F]{12}"
)


def mac(value: Any, group: str = "'{}' is not a valid MAC address") -> str:
    """A MAC address of one station, however it is written: fa:16:3e:00:00:01, FA-16-3E-0-0-1, fa16.3e00.0001.

    `group`: what is said of an address of many.
    """
    found = ""
    if isinstance(value, str) and _MAC.fullmatch(value):
        parts = re.split("[:-]", value)
        digits = "".join(part.zfill(2) for part in parts) if len(parts) > 1 else value.replace(".", "")
        found = ":".join(digits[start : start + 2] for start in range(0, 12, 2)).lower()
    if found in ("", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
        raise Reason(f"'{value}' is not a valid MAC address")
    if int(found[:2], 16) & 1:
        raise Reason(group.format(value))
    return found


def addresses(value: Any) -> list[str]:
    """DNS servers: a list of different addresses."""
    if value is None:
        return []
    if not isinstance(value, list | str | dict):
        raise Reason(f"Invalid data format for nameserver: '{value}'")
    found: list[str] = []
    for item in value:
        try:
            one = address(item)
        except Reason as reason:
            raise Reason(f"'{item}' is not a valid nameserver. {reason}") from None
        if one in found:
            raise Reason(f"Duplicate nameserver '{item}'")
        found.append(one)
    return found


def _keys(value: Any, first: str, second: str) -> None:
    """Raises Reason unless it is a dictionary of these two and nothing else."""
    if not isinstance(value, dict):
        raise Reason(f"Invalid input. '{value}' must be a dictionary with keys: {[first, second]}")
    if set(value) != {first, second}:
        raise Reason(
            f"Validation of dictionary's keys failed. Expected keys: {{{first!r}, {second!r}}} "
            f"Provided keys: {set(value) or 'set()'}"
        )


def _strict_network(value: Any) -> str:
    """A CIDR without host bits."""
    try:
        found = network(value)
    except Reason:
        raise Reason(f"'{value}' is not a valid CIDR") from None
    if ipaddress.ip_interface(value).ip != ipaddress.ip_network(found).network_address:
        raise Reason(f"'{value}' is not a valid CIDR")
    if ipaddress.ip_network(found).is_loopback:
        raise Reason(f"'{value}' is not a routable CIDR")
    return found


def host_routes(value: Any) -> list[dict[str, str]]:
    """Host routes of a subnet, extra routes of a router: `[{"destination": cidr, "nexthop": address}]`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for hostroute: '{value}'")
    found: list[dict[str, str]] = []
    for item in value:
        _keys(item, "destination", "nexthop")
        route = {"destination": _strict_network(item["destination"]), "nexthop": address(item["nexthop"])}
        if route in found:
            raise Reason(f"Duplicate hostroute '{item}'")
        found.append(route)
    return found


def pools(value: Any) -> Any:
    """Allocation pools: `[{"start": address, "end": address}]`."""
    if value is None or value in ("", {}):
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise errors.invalid_input("Invalid data format for allocation pools")
    for item in value:
        _keys(item, "start", "end")
    return [{"start": address(item["start"]), "end": address(item["end"])} for item in value]


def fixed_ips(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Reason(f"Invalid data format for fixed IP: '{value}'")
    found: list[dict[str, str]] = []
    seen: set[str] = set()
    for item in value:
        if not isinstance(item, dict):
            raise Reason(f"Invalid data format for fixed IP: '{item}'")
        one: dict[str, str] = {}
        if "ip_address" in item:
            one["ip_address"] = address(item["ip_address"])
            if one["ip_address"] in seen:
                raise Reason(f"Duplicate IP address '{item['ip_address']}'")
            seen.add(one["ip_address"])
        if "subnet_id" in item:
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
        try:
            pair = _pair(item)
        except Reason as reason:
            raise errors.bad_request(str(reason)) from None
        if pair in found:
            raise errors.bad(
                "DuplicateAddressPairInRequest",
                f"Request contains duplicate address pair: mac_address {pair.get('mac_address')} "
                f"ip_address {pair['ip_address']}.",
            )
        found.append(pair)
    return found


def _pair(item: dict[str, Any]) -> dict[str, str]:
    """One allowed address pair; its address is kept with its host bits."""
    pair: dict[str, str] = {}
    if "mac_address" in item:
        pair["mac_address"] = mac(item["mac_address"], group="MAC address {} is a multicast address, which is not "
                                  "supported.")  # fmt: skip
    if "ip_address" not in item:
        raise errors.bad("AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
    extra = set(item) - {"mac_address", "ip_address"}
    if extra:
        raise Reason(f"Unrecognized attribute(s) '{', '.join(sorted(extra))}'")
    (network if "/" in str(item["ip_address"]) else address)(item["ip_address"])
    _refuse_multicast(item["ip_address"])
    pair["ip_address"] = str(item["ip_address"]).lower()
    return pair


def _refuse_multicast(value: str) -> None:
    """Groups are nobody's address; only all of IPv4 may contain them."""
    if "/" not in value:
        if ipaddress.ip_address(value).is_multicast:
            raise Reason(f"IP {value} is a multicast address, which is not supported.")
        return
    found = ipaddress.ip_network(value, strict=False)
    groups = ipaddress.ip_network("224.0.0.0/4" if found.version == 4 else "ff00::/8")
    if found != ipaddress.ip_network("0.0.0.0/0") and found.overlaps(groups):
        raise Reason(f"Subnet {value} overlaps with multicast range {groups}, which is not supported.")


_LABEL = re.compile(r"[a-z0-9-]{1,63}")


def _lower(value: Any) -> str:
    if not isinstance(value, str):
        raise errors.invalid_input(f"Input value {value} must be string type")
    return value.lower()


def _check_labels(value: str) -> None:
    """RFC 952 and RFC 1123, section 2.1."""
    trimmed = value.removesuffix(".")
    labels = trimmed.split(".")
    why = ""
    if len(trimmed) > 255:
        why = f"'{trimmed}' exceeds the 255 character FQDN limit"
    for label in labels if not why else ():
        if not label:
            why = "Encountered an empty component"
        elif label.startswith("-") or label.endswith("-"):
            why = f"Name '{label}' must not start or end with a hyphen"
        elif not _LABEL.fullmatch(label):
            why = f"Name '{label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
        if why:
            break
    if not why and len(labels) > 1 and labels[-1].isdigit():
        why = f"TLD '{labels[-1]}' must not be all numeric"
    if why:
        raise Reason(f"'{value}' not a valid PQDN or FQDN. Reason: {why}")


def dns_name(value: Any) -> str:
    """The name of a port, in lower case."""
    name = _lower(value)
    if name:
        _check_labels(name)
    return name


def relative_dns_name(value: Any) -> str:
    """The name of a floating IP, to which its domain is added."""
    name = _lower(value)
    if name.endswith("."):
        raise Reason(f"'{name}' is a FQDN. It should be a relative domain name")
    if name:
        _check_labels(name)
    if len(name) > 252:
        raise Reason(
            f"'{name}' contains {len(name)} characters. Adding a domain name will cause it to exceed the maximum "
            "length of a FQDN of '255'"
        )
    return name


def dns_domain(value: Any) -> str:
    """A domain with its final dot, in lower case."""
    name = _lower(value)
    if not name:
        return name
    if not name.endswith("."):
        raise Reason(f"'{name}' is not a FQDN")
    _check_labels(name)
    if len(name) > 253:
        raise Reason(
            f"'{name}' contains {len(name)} characters. Adding a sub-domain will cause it to exceed the maximum length "
            "of a FQDN of '255'"
        )
    return name


def mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Reason(f"'{value}' is not a dictionary")
    if not _storable(value):
        raise Reason(f"'{value}' has numbers that are too large")
    return value


def _storable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_storable(item) for item in value.values())
    if isinstance(value, list):
        return all(_storable(item) for item in value)
    return not isinstance(value, int) or -_INT64 <= value < _INT64
