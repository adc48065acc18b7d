"""Security group rules as OVN ACLs: the match expressions of ovn-sb(5), in the form that operators know from Neutron.

Addresses are parsed and written anew, so nothing that a user typed gets into an expression.
"""

from __future__ import annotations

import ipaddress
import uuid

from onestack.network.drivers.base import Rule

# Names of the networking API for IP protocol numbers (IANA); `icmp` means ICMPv6 in an IPv6 rule.
PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
_HIGHEST_PORT = 65535


def group_name(group_id: str) -> str:
    """The name of a security group's port group; OVN derives `$<name>_ip4` and `$<name>_ip6` from its members."""
    return "pg_" + str(uuid.UUID(group_id)).replace("-", "_")


def match(rule: Rule, group: str) -> str | None:
    """The match of a rule for members of the port group `group`.

    None when OVN can't express the rule (ports of a protocol other than TCP, UDP and SCTP): it then allows nothing,
    rather than more than was asked for. Raises ValueError for addresses or protocols that are none.
    """
    ingress = rule.direction == "ingress"
    version = "ip4" if rule.ethertype == "IPv4" else "ip6"
    terms = [f"outport == @{group}" if ingress else f"inport == @{group}", version]
    far = f"{version}.{'src' if ingress else 'dst'}"
    if rule.remote_ip_prefix:
        prefix = ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
        if (prefix.version == 4) != (version == "ip4"):
            raise ValueError(f"{prefix} in a rule for {rule.ethertype}")
        terms.append(f"{far} == {prefix}")
    elif rule.remote_group_id:
        terms.append(f"{far} == ${group_name(rule.remote_group_id)}_{version}")
    protocol = _protocol(rule, version)
    if protocol is None:
        return None
    return " && ".join(terms + protocol)


def _protocol(rule: Rule, version: str) -> list[str] | None:
    """The terms for protocol and ports; none for any protocol."""
    number = _number(rule.protocol, version)
    low, high = rule.port_range_min, rule.port_range_max
    if number is None:
        return [] if low is None and high is None else None
    if number == (1 if version == "ip4" else 58):
        return _icmp("icmp4" if version == "ip4" else "icmp6", low, high)
    if number in _WITH_PORTS:
        return _ports(_WITH_PORTS[number], low, high)
    if low is not None or high is not None:
        return None
    return [f"ip.proto == {number}"]


def _number(protocol: str | None, version: str) -> int | None:
    """An IP protocol number; None for any. 0 is the API's other way to say any."""
    if protocol is None or protocol.lower() == "any":
        return None
    name = protocol.lower()
    number = PROTOCOLS[name] if name in PROTOCOLS else int(name)
    if not 0 <= number <= 255:
        raise ValueError(f"protocol {protocol}")
    if number == 1 and version == "ip6":
        return 58
    return number or None


def _icmp(name: str, kind: int | None, code: int | None) -> list[str]:
    terms = [name]
    if kind is not None:
        terms.append(f"{name}.type == {int(kind)}")
        if code is not None:
            terms.append(f"{name}.code == {int(code)}")
    return terms


def _ports(name: str, low: int | None, high: int | None) -> list[str]:
    first = low if low is not None else 0
    last = high if high is not None else _HIGHEST_PORT
    if first == last:
        return [name, f"{name}.dst == {int(first)}"]
    terms = [name]
    if first > 1:
        terms.append(f"{name}.dst >= {int(first)}")
    if last < _HIGHEST_PORT:
        terms.append(f"{name}.dst <= {int(last)}")
    return terms
