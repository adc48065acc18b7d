"""Security groups and their rules; each project has a group `default`, made when it is first needed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.network import attributes, dirty, errors, objects
from onestack.network.attributes import REQUIRED, UNSET, Attr, boolean, standard, text
from onestack.network.models import PortSecurityGroup, SecurityGroup, SecurityGroupRule

# Names of IP protocols (IANA), as Neutron knows them.
PROTOCOLS: dict[str, int] = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
_NAMED = (None, "any", *PROTOCOLS)
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp", 136: "udplite"}
_ICMP = (1, 58)
_V6_ONLY = {"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"}


def _name(value: Any) -> str:
    """Any text, blank too; the name of the group that each project has is no other's."""
    found: str = text(255)(value)
    if found.lower() == "default":
        raise errors.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    return found


ATTRIBUTES = standard(
    name=Attr(_name, default=""),
    # The engine keeps state for every group; a stateless one is refused rather than ignored.
    stateful=Attr(attributes.one_of(True, convert=boolean), default=True),
    security_group_rules=Attr(post=False, put=False),
    shared=Attr(post=False, put=False),
)


def _protocol(value: Any) -> str | None:
    """A name in lower case, or a number as text; `any` and null mean every protocol."""
    if value is None:
        return None
    word = str(value).strip().lower()
    if word == "any":
        return None
    if word in PROTOCOLS:
        return word
    if word.isascii() and word.isdigit() and 0 <= int(word) <= 255:
        return str(int(word))
    raise errors.bad(
        "SecurityGroupRuleInvalidProtocol",
        f"Security group rule protocol {value} not supported. Only protocol values {_NAMED} and integer "
        "representations [0 to 255] are supported.",
    )


def _port(value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number <= 65535:
        raise errors.bad("SecurityGroupInvalidPortValue", f"Invalid value for port {value}")
    return number


def _ethertype(value: Any) -> str:
    found = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(value).lower())
    if found is None:
        raise errors.bad(
            "SecurityGroupRuleInvalidEtherType",
            f"Security group rule for ethertype '{value}' not supported. Allowed values are ['IPv4', 'IPv6'].",
        )
    return found


def _prefix(value: Any) -> str | None:
    """A CIDR with its host bits, as Neutron keeps them; a lone address stands for itself."""
    if not value:
        return None
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_interface(value))
    except ValueError:
        raise errors.bad("InvalidCIDR", f"Invalid CIDR {value} given as IP prefix.") from None


def _id(value: Any) -> str | None:
    """Any value stands for a group, which is there or isn't."""
    return None if value is None else str(value)


RULE_ATTRIBUTES = standard(
    security_group_id=Attr(text(36), put=False, default=REQUIRED),
    remote_group_id=Attr(_id, put=False, default=None),
    direction=Attr(attributes.one_of("ingress", "egress"), put=False, default=REQUIRED),
    protocol=Attr(_protocol, put=False, default=None),
    port_range_min=Attr(_port, put=False, default=None),
    port_range_max=Attr(_port, put=False, default=None),
    ethertype=Attr(_ethertype, put=False, default="IPv4"),
    remote_ip_prefix=Attr(_prefix, put=False, default=None),
    remote_address_group_id=Attr(_id, put=False, default=None),
    normalized_cidr=Attr(post=False, put=False),
    belongs_to_default_sg=Attr(post=False, put=False),
)
del RULE_ATTRIBUTES["tags"]


def ensure_default(session: Session, cloud: Cloud, project_id: str) -> str:
    """The id of a project's default group, which is made if it isn't there."""
    found = session.scalars(sa.select(SecurityGroup.id).where(SecurityGroup.default_of == project_id)).first()
    if found is not None:
        return found
    group = _insert(session, cloud, project_id, name="default", description="Default security group", default=True)
    return group.id


def _insert(
    session: Session, cloud: Cloud, project_id: str, *, name: str, description: str, default: bool
) -> SecurityGroup:
    group = SecurityGroup(
        **objects.stamp(cloud, project_id), name=name, description=description, stateful=True,
        default_of=project_id if default else None,
    )  # fmt: skip
    session.add(group)
    session.flush()
    for ethertype in ("IPv4", "IPv6"):
        wanted: list[dict[str, Any]] = [{"direction": "egress"}]
        if default:
            wanted.append({"direction": "ingress", "remote_group_id": group.id})
        for columns in wanted:
            rule = objects.stamp(
                cloud, project_id, security_group_id=group.id, ethertype=ethertype, revision_number=0, **columns
            )
            session.add(SecurityGroupRule(**rule))
    session.flush()
    dirty.note(session, cloud, "security_group", [group.id])
    return group


def create(session: Session, cloud: Cloud, project_id: str, values: dict[str, Any]) -> SecurityGroup:
    ensure_default(session, cloud, project_id)
    objects.take_quota(session, project_id, {"security_group": 1})
    objects.take_quota(session, project_id, {"security_group_rule": 2})
    return _insert(session, cloud, project_id, name=values["name"], description=values["description"], default=False)


def update(session: Session, cloud: Cloud, group: SecurityGroup, values: dict[str, Any]) -> None:
    if group.default_of is not None and values.get("name", group.name) != group.name:
        raise errors.conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    for name, value in values.items():
        setattr(group, name, value)
    objects.touch_if_changed(session, cloud, group)
    session.flush()
    dirty.note(session, cloud, "security_group", [group.id])


def _in_use(session: Session, group_id: str) -> bool:
    query = sa.select(PortSecurityGroup.port_id).where(PortSecurityGroup.security_group_id == group_id)
    return session.execute(query.limit(1)).first() is not None


def delete(session: Session, cloud: Cloud, group: SecurityGroup, *, admin: bool) -> None:
    if _in_use(session, group.id):
        raise errors.conflict("SecurityGroupInUse", f"Security Group {group.id} in use.")
    if group.default_of is not None and not admin:
        raise errors.conflict(
            "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
        )
    # Rules of other groups that admit this one's members admit nobody any more.
    elsewhere = set(
        session.scalars(
            sa.select(SecurityGroupRule.security_group_id).where(SecurityGroupRule.remote_group_id == group.id)
        )
    )
    session.execute(
        sa.delete(SecurityGroupRule).where(
            sa.or_(SecurityGroupRule.security_group_id == group.id, SecurityGroupRule.remote_group_id == group.id)
        )
    )
    objects.forget_tags(session, [group.id])
    session.execute(sa.delete(SecurityGroup).where(SecurityGroup.id == group.id))
    dirty.note(session, cloud, "security_group", {group.id, *elsewhere})


def require(session: Session, ctx: Context, ids: Iterable[str]) -> None:
    """Refuse (404) groups that the caller doesn't have."""
    wanted = list(ids)
    if not wanted:
        return
    query = sa.select(SecurityGroup.id).where(SecurityGroup.id.in_(wanted))
    condition = objects.visible("security_group", ctx)
    if condition is not None:
        query = query.where(condition)
    there = set(session.scalars(query))
    for one in wanted:
        if one not in there:
            raise errors.not_found("security_group", one)


def create_rule(
    session: Session, cloud: Cloud, ctx: Context, group: SecurityGroup, project_id: str, values: dict[str, Any]
) -> SecurityGroupRule:
    """A new rule, which an admin may put into anybody's group. Raises SecurityGroupRuleExists, OverQuota, and what is
    wrong with a protocol or a range."""
    objects.take_quota(session, project_id, {"security_group_rule": 1})
    if values["remote_address_group_id"] is not None:
        wanted = values["remote_address_group_id"]
        raise errors.NotFound(f"Address group {wanted} could not be found.", kind="AddressGroupNotFound")
    if values["remote_group_id"] is not None:
        if values["remote_ip_prefix"] is not None:
            raise errors.bad(
                "SecurityGroupMultipleRemoteEntites",
                "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            )
        require(session, ctx, [values["remote_group_id"]])
    _check(values)
    columns = {
        name: values[name]
        for name in ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
                     "remote_group_id")
    }  # fmt: skip
    same = _same(session, group.id, columns)
    if same is not None:
        raise errors.conflict("SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {same}.")
    description = values["description"] if values["description"] is not UNSET else ""
    rule = SecurityGroupRule(
        **objects.stamp(cloud, project_id, revision_number=0),
        security_group_id=group.id,
        description=description,
        **columns,
    )
    session.add(rule)
    objects.touch(cloud, group)
    session.flush()
    dirty.note(session, cloud, "security_group", [group.id])
    return rule


def number_of(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def _same(session: Session, group_id: str, columns: dict[str, Any]) -> str | None:
    """The id of a rule that says the same, whichever way it spells the protocol and "everywhere"."""
    query = sa.select(SecurityGroupRule).where(
        SecurityGroupRule.security_group_id == group_id,
        SecurityGroupRule.direction == columns["direction"],
        SecurityGroupRule.ethertype == columns["ethertype"],
        SecurityGroupRule.port_range_min.is_not_distinct_from(columns["port_range_min"]),
        SecurityGroupRule.port_range_max.is_not_distinct_from(columns["port_range_max"]),
        SecurityGroupRule.remote_group_id.is_not_distinct_from(columns["remote_group_id"]),
    )
    for rule in session.scalars(query):
        if _canonical(rule.protocol, rule.ethertype) == _canonical(columns["protocol"], columns["ethertype"]) and (
            _narrowing(rule.remote_ip_prefix) == _narrowing(columns["remote_ip_prefix"])
        ):
            return rule.id
    return None


def _canonical(protocol: str | None, ethertype: str) -> int | None:
    number = number_of(protocol)
    return 58 if number == 1 and ethertype == "IPv6" else number


def _narrowing(prefix: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    cidr = None if prefix is None else ipaddress.ip_interface(prefix).network
    return None if cidr is None or cidr.prefixlen == 0 else cidr


def _check(values: dict[str, Any]) -> None:
    protocol, low, high = values["protocol"], values["port_range_min"], values["port_range_max"]
    ethertype, prefix = values["ethertype"], values["remote_ip_prefix"]
    if prefix is not None and (":" in prefix) != (ethertype == "IPv6"):
        raise errors.bad(
            "SecurityGroupRuleParameterConflict", f"Conflicting value ethertype {ethertype} for CIDR {prefix}"
        )
    if protocol in _V6_ONLY and ethertype == "IPv4":
        raise errors.bad(
            "SecurityGroupEthertypeConflictWithProtocol", f"Invalid ethertype {ethertype} for protocol {protocol}."
        )
    if low is None and high is None:
        return
    number = number_of(protocol)
    if number is None:
        raise errors.bad("SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
    if number in _ICMP:
        _check_icmp(low, high)
    elif number in _WITH_PORTS:
        _check_ports(low, high)
    else:
        raise errors.bad(
            "SecurityGroupInvalidProtocolForPort",
            f"Ports cannot be specified for protocol {protocol}. Ports are only supported for "
            f"{sorted(_WITH_PORTS.values())}.",
        )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for field, name, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and value > 255:
            raise errors.bad(
                "SecurityGroupInvalidIcmpValue",
                f"Invalid value for ICMP {name} ({field}) {value}. It must be 0 to 255.",
            )
    if kind is None and code is not None:
        raise errors.bad(
            "SecurityGroupMissingIcmpType",
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
        )


def _check_ports(low: int | None, high: int | None) -> None:
    if low == 0 or high == 0:
        raise errors.bad("SecurityGroupInvalidPortValue", "Invalid value for port 0")
    if low is None or high is None or low > high:
        raise errors.bad(
            "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        )


def delete_rule(session: Session, cloud: Cloud, rule: SecurityGroupRule) -> None:
    group = objects.get(session, "security_group", rule.security_group_id)
    session.delete(rule)
    objects.touch(cloud, group)
    session.flush()
    objects.forget_tags(session, [rule.id])
    dirty.note(session, cloud, "security_group", [group.id])
