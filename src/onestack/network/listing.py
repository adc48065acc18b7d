"""Lists: filters on every attribute, sorting, paging with links, fields, and policy on what is shown.

The number of queries doesn't depend on the length: one for the rows, some for what belongs to them.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import paging
from onestack.core.db import fetch
from onestack.core.http import Request
from onestack.network import attributes, errors, objects, security_groups, views
from onestack.network.models import (
    Network,
    Port,
    PortAddress,
    PortSecurityGroup,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Tag,
)  # fmt: skip
from onestack.network.policies import POLICIES

MAX_PAGE = 10_000
_INT64 = 1 << 63
RESERVED = {"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"}
_TAGS = {"tags", "tags-any", "not-tags", "not-tags-any"}

Condition = sa.ColumnElement[bool]
Filter = Callable[[list[str]], Condition]

COLLECTIONS = {
    "network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floatingips",
    "security_group": "security_groups", "security_group_rule": "security_group_rules",
}  # fmt: skip

# Attribute → column, where the names differ.
_ALIASES: dict[str, dict[str, str]] = {
    "network": {
        "router:external": "external", "provider:network_type": "network_type",
        "provider:physical_network": "physical_network", "provider:segmentation_id": "segmentation_id",
    },
    "port": {"binding:host_id": "host", "binding:vnic_type": "vnic_type"},
}  # fmt: skip
_INTERNAL = {"of_compute", "default_of", "gateway_port_id", "host", "external", "floating_port_id", "tag", "nic_index"}


_COMMON = ("id", "tenant_id", "project_id", "description", "revision_number")
# What Neutron filters and sorts by; it refuses everything else.
_FILTERS: dict[str, frozenset[str]] = {
    resource: frozenset((*_COMMON, *_TAGS, *names.split()))
    for resource, names in {
        "network": "name admin_state_up status shared is_default router:external mtu provider:network_type "
        "provider:physical_network provider:segmentation_id qinq vlan_transparent",
        "subnet": "name ip_version network_id subnetpool_id cidr gateway_ip enable_dhcp ipv6_ra_mode ipv6_address_mode "
        "shared router:external",
        "port": "name network_id admin_state_up mac_address fixed_ips device_id device_owner status binding:host_id "
        "security_groups",
        "router": "name admin_state_up enable_snat",
        "floatingip": "floating_ip_address floating_network_id router_id port_id fixed_ip_address status",
        "security_group": "name stateful shared",
        "security_group_rule": "security_group_id direction ethertype protocol port_range_min port_range_max "
        "remote_ip_prefix remote_group_id remote_address_group_id normalized_cidr belongs_to_default_sg",
    }.items()
}
_SORTS: dict[str, frozenset[str]] = {
    resource: frozenset(("id", "tenant_id", "project_id", *names.split()))
    for resource, names in {
        "network": "name admin_state_up status mtu availability_zone_hints",
        "subnet": "name ip_version network_id subnetpool_id cidr gateway_ip enable_dhcp ipv6_ra_mode ipv6_address_mode",
        "port": "name network_id admin_state_up mac_address device_id device_owner status",
        "router": "name admin_state_up status enable_snat flavor_id",
        "floatingip": "floating_ip_address floating_network_id router_id fixed_ip_address status",
        "security_group": "name",
        "security_group_rule": "security_group_id direction ethertype protocol port_range_min port_range_max "
        "remote_ip_prefix remote_group_id remote_address_group_id",
    }.items()
}  # fmt: skip
# How a filter's value is read where that isn't what its column says. Raises a Fault.
_PARSERS: dict[str, dict[str, attributes.Parser]] = {
    "subnet": {"cidr": attributes.cidr},
    "security_group_rule": {
        name: security_groups.RULE_ATTRIBUTES[name].parse
        for name in ("ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")
    },
}


def _constant(word: str) -> Filter:
    return lambda values: sa.true() if word in values else sa.false()


def _truth(held: bool) -> Filter:
    """A filter on what is the same for all objects."""
    return lambda values: sa.true() if held in [attributes.boolean(value) for value in values] else sa.false()


def _fixed_ips(values: list[str]) -> Condition:
    """`fixed_ips=subnet_id=X`, `fixed_ips=ip_address=Y`, `fixed_ips=ip_address_substr=Z`, together: any of each."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        key, equals, word = value.partition("=")
        if not equals:
            raise errors.invalid_input(f"'{value}' is not of the form <key>=[value]")
        wanted.setdefault(key.strip(), []).append(word.strip())
    query = sa.select(PortAddress.port_id)
    if "subnet_id" in wanted or "subnet" in wanted:
        query = query.where(PortAddress.subnet_id.in_(wanted.get("subnet_id", []) + wanted.get("subnet", [])))
    if "ip_address" in wanted:
        query = query.where(PortAddress.ip_address.in_(wanted["ip_address"]))
    if "ip_address_substr" in wanted:
        parts = [PortAddress.ip_address.contains(word, autoescape=True) for word in wanted["ip_address_substr"]]
        query = query.where(sa.or_(*parts))
    return Port.id.in_(query)


def _in_groups(values: list[str]) -> Condition:
    members = sa.select(PortSecurityGroup.port_id).where(PortSecurityGroup.security_group_id.in_(values))
    return Port.id.in_(members)


def _networks_with(column: Any, values: list[str]) -> Condition:
    wanted = [attributes.boolean(value) for value in values]
    return Subnet.network_id.in_(sa.select(Network.id).where(column.in_(wanted)))


def _in_default_group(values: list[str]) -> Condition:
    defaults = sa.select(SecurityGroup.id).where(SecurityGroup.default_of.is_not(None))
    within = SecurityGroupRule.security_group_id.in_(defaults)
    wanted = {attributes.boolean(value) for value in values}
    return sa.or_(*[within if value else sa.not_(within) for value in sorted(wanted)])


_SPECIAL: dict[str, dict[str, Filter]] = {
    "network": {"status": _constant("ACTIVE"), "qinq": _truth(False), "vlan_transparent": _truth(False)},
    "subnet": {
        "shared": lambda values: _networks_with(Network.shared, values),
        "router:external": lambda values: _networks_with(Network.external, values),
        "subnetpool_id": _constant(""),
    },
    "port": {"fixed_ips": _fixed_ips, "security_groups": _in_groups},
    "security_group": {"shared": _truth(False)},
    "security_group_rule": {
        "belongs_to_default_sg": _in_default_group, "remote_address_group_id": _constant(""),
        "normalized_cidr": lambda values: sa.true(),
    },
}  # fmt: skip


def _columns(resource: str) -> dict[str, Any]:
    """Attribute → column of everything that can be filtered and sorted by."""
    table = objects.MODELS[resource].__table__
    found = {column.name: column for column in table.c if column.name not in _INTERNAL}
    found["tenant_id"] = table.c.project_id
    for attribute, column in _ALIASES.get(resource, {}).items():
        found[attribute] = table.c[column]
        found.pop(column, None)
    return found


_COLUMNS = {resource: _columns(resource) for resource in COLLECTIONS}


def index(req: Request, resource: str) -> dict[str, Any]:
    """The list that a request asks for, rendered."""
    collection = COLLECTIONS[resource]
    with req.cloud.db.read() as session:
        query = sa.select(*objects.MODELS[resource].__table__.c)
        condition = objects.visible(resource, req.ctx)
        if condition is not None:
            query = query.where(condition)
        query = _filter(query, resource, req.query)
        rows, links = _page(req, session, resource, query)
        rendered = show_allowed(req, session, resource, rows)
    answer: dict[str, Any] = {collection: fields(req, rendered)}
    if links:
        answer[f"{collection}_links"] = links
    return answer


def _filter(query: sa.Select[Any], resource: str, given: Sequence[tuple[str, str]]) -> sa.Select[Any]:
    asked: dict[str, list[str]] = {}
    for name, value in given:
        if name not in RESERVED:
            asked.setdefault(name, []).append(value)
    unknown = [name for name in asked if name not in _FILTERS[resource]]
    if unknown:
        raise errors.bad_request(f"{unknown} is invalid attribute for filtering")
    columns, special, parsers = _COLUMNS[resource], _SPECIAL.get(resource, {}), _PARSERS.get(resource, {})
    for name, values in asked.items():
        if name in _TAGS:
            query = query.where(_tagged(objects.MODELS[resource].__table__.c.id, name, values))
        elif name in special:
            query = query.where(special[name](values))
        elif name in parsers:
            parsed = [parsers[name](value) for value in values]
            found = columns[name].in_([value for value in parsed if value is not None])
            query = query.where(sa.or_(found, columns[name].is_(None)) if None in parsed else found)
        else:
            query = query.where(_matches(columns[name], values))
    return query


def _matches(column: Any, values: list[str]) -> Condition:
    if column.name == "revision_number":
        return sa.cast(column, sa.String).in_(values)
    if isinstance(column.type, sa.Boolean):
        return column.in_([attributes.boolean(value) for value in values])
    if isinstance(column.type, sa.Integer):
        numbers = [attributes.integer(value) for value in values]
        return column.in_([number for number in numbers if -_INT64 <= number < _INT64])
    found = column.in_(values)
    return sa.or_(found, column.is_(None)) if "" in values else found


def _tagged(id_column: Any, name: str, values: list[str]) -> Condition:
    tags = {tag for value in values for tag in value.split(",")}
    if name.endswith("-any"):
        condition: Condition = id_column.in_(sa.select(Tag.object_id).where(Tag.tag.in_(tags)))
    else:
        condition = sa.and_(*[id_column.in_(sa.select(Tag.object_id).where(Tag.tag == tag)) for tag in sorted(tags)])
    return sa.not_(condition) if name.startswith("not-") else condition


def _sorts(req: Request, resource: str, backwards: bool) -> list[paging.Sort]:
    keys, directions = req.get_all("sort_key"), req.get_all("sort_dir")
    if len(keys) != len(directions):
        raise errors.bad_request("The number of sort_keys and sort_dirs must be same")
    unknown = [key for key in keys if key not in _SORTS[resource]]
    if unknown:
        raise errors.bad_request(f"{unknown} is invalid attribute for sort_keys")
    wrong = [word for word in directions if word not in ("asc", "desc")]
    if wrong:
        raise errors.bad_request(f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    # What has no column is the same for all.
    sorts = [(key, word) for key, word in zip(keys, directions, strict=True) if key in _COLUMNS[resource]]
    if "id" not in keys:
        sorts += [] if sorts else [("created_at", "asc")]
        sorts.append(("id", "asc"))
    if backwards:
        sorts = [(key, "desc" if word == "asc" else "asc") for key, word in sorts]
    return sorts


def _page(
    req: Request, session: Session, resource: str, query: sa.Select[Any]
) -> tuple[Sequence[Any], list[dict[str, str]]]:
    limit, marker = _limit(req), req.get("marker")
    backwards = (req.get("page_reverse") or "").lower() == "true"
    columns, sorts = _COLUMNS[resource], _sorts(req, resource, backwards)
    table = objects.MODELS[resource].__table__
    after = None
    if marker and limit:
        row = session.execute(sa.select(*table.c).where(table.c.id == marker)).first()
        if row is None:
            raise errors.not_found(resource, marker)
        after = {key: row._mapping[columns[key].name] for key, _ in sorts}
    size = min(limit or MAX_PAGE, MAX_PAGE)
    query = paging.paginate(query, columns, sorts, marker=after, limit=size if limit else None)
    rows = list(session.execute(query))
    if backwards:
        rows.reverse()
    return rows, _links(req, rows, limit, marker, backwards)


def _limit(req: Request) -> int:
    """How many are asked for; 0: all."""
    found = req.get("limit")
    try:
        limit = 0 if found is None else int(found)
    except ValueError:
        limit = -1
    if limit < 0:
        raise errors.bad_resource("limit", f"Limit must be an integer 0 or greater and not '{found}'")
    return limit


def _links(req: Request, rows: Sequence[Any], limit: int, marker: str | None, backwards: bool) -> list[dict[str, str]]:
    """`next` where the page is full (or was reached from the end), `previous` where there is something before."""
    if not limit or not rows:
        return []
    full = len(rows) >= limit
    links = []
    if full or backwards:
        links.append({"rel": "next", "href": _href(req, rows[-1].id, False)})
    if (marker and not backwards) or (backwards and full):
        links.append({"rel": "previous", "href": _href(req, rows[0].id, True)})
    return links


def _href(req: Request, marker: str, backwards: bool) -> str:
    kept = [(key, value) for key, value in req.query if key not in ("marker", "page_reverse")]
    kept.append(("marker", marker))
    if backwards:
        kept.append(("page_reverse", "True"))
    return f"{req.base_url}{req.falcon.path}?{urllib.parse.urlencode(kept)}"


# Resource → its attributes that have a rule of their own for who may see them, with that rule.
_SECRET = {
    resource: [(rule.removeprefix(start), rule) for rule in POLICIES if rule.startswith(start)]
    for resource in COLLECTIONS
    for start in [f"get_{resource}:"]
}


def show_allowed(req: Request, session: Session, resource: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Render the rows that policy lets the caller see, without the attributes that it doesn't."""
    seen: dict[tuple[Any, ...], list[str] | None] = {}
    hidden: list[list[str] | None] = []
    for target in views.targets(session, resource, rows):
        key = tuple(target.values())
        if key not in seen:
            seen[key] = _hidden(req, resource, target)
        hidden.append(seen[key])
    kept = [row for row, secret in zip(rows, hidden, strict=True) if secret is not None]
    rendered = views.RENDER[resource](session, req.cloud, kept)
    for item, secret in zip(rendered, (one for one in hidden if one is not None), strict=True):
        for name in secret:
            item.pop(name, None)
    return rendered


def _hidden(req: Request, resource: str, target: dict[str, Any]) -> list[str] | None:
    """The attributes that the caller may not see of such an object; None when not even the object."""
    if not req.allows(f"get_{resource}", target):
        return None
    return [name for name, rule in _SECRET[resource] if not req.allows(rule, target)]


def fields(req: Request, rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only what the request wants of each (`fields`)."""
    wanted = set(req.get_all("fields")) - {""}
    if not wanted:
        return rendered
    return [{name: value for name, value in item.items() if name in wanted} for item in rendered]


@cache
def _one(resource: str, visible: bool) -> sa.Select[Any]:
    """One row by its `id`, where the `project` sees it."""
    table = objects.MODELS[resource].__table__
    query = sa.select(*table.c).where(table.c.id == sa.bindparam("id"))
    return query.where(objects.within(resource, sa.bindparam("project"))) if visible else query


def one(req: Request, session: Session, resource: str, identifier: str) -> dict[str, Any]:
    """One object, rendered; 404 when it isn't there or isn't for the caller."""
    if objects.sees_all(req.ctx):
        rows = fetch(session, _one(resource, False), id=identifier)
    else:
        rows = fetch(session, _one(resource, True), id=identifier, project=req.ctx.project_id or "-")
    rendered = show_allowed(req, session, resource, rows.all())
    if not rendered:
        raise errors.not_found(resource, identifier)
    return fields(req, rendered)[0]
