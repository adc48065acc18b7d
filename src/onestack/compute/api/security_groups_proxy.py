"""Security groups as clients before 2.36 ask compute for them, and those of a server at any version.

Source: the compute API reference, "Security groups (os-security-groups) (deprecated)".
"""

from __future__ import annotations

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Iterator
from typing import Any

from onestack.compute import links, nics, schema, servers
from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden
from onestack.core.http import Request, Response
from onestack.network import public_legacy as network
from onestack.network.public_legacy import Group, Rule


def index(req: Request) -> dict[str, Any]:
    everybody = req.ctx.is_admin and req.get("all_tenants") is not None
    # Unlike elsewhere a limit of 0 is none, as in Nova.
    start, size = links.offset(req), links.limit(req) or links.MAX_LIMIT
    with req.cloud.db.write() as session:  # the default group may have to be made
        found = network.groups(session, req.cloud, req.ctx, everybody=everybody)
    return {"security_groups": [_render(group) for group in found[start : start + size]]}


def of_server(req: Request, server_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        ports = nics.of(session, [server_id]).get(server_id, [])
        ids = {group_id for nic in ports for group_id, _name in nic.security_groups}
        found = network.groups_by_id(session, sorted(ids))
    return {"security_groups": [_render(group) for group in found]}


def show(req: Request, group_id: str) -> dict[str, Any]:
    _check_id(group_id)
    with req.cloud.db.read() as session:
        return {"security_group": _render(network.group(session, req.ctx, group_id))}


def create(req: Request) -> dict[str, Any]:
    name, description = _body(req)
    req.authorize()
    with _as_nova(), req.cloud.db.write() as session:
        return {"security_group": _render(network.create_group(session, req.cloud, req.ctx, name, description))}


def update(req: Request, group_id: str) -> dict[str, Any]:
    name, description = _body(req)
    req.authorize()
    _check_id(group_id)
    with _as_nova(), req.cloud.db.write() as session:
        group = network.update_group(session, req.cloud, req.ctx, group_id, name, description)
    return {"security_group": _render(group)}


def delete(req: Request, group_id: str) -> Response:
    _check_id(group_id)
    with _as_nova(), req.cloud.db.write() as session:
        network.delete_group(session, req.cloud, req.ctx, group_id)
    return Response()


def create_rule(req: Request) -> dict[str, Any]:
    fields: dict[str, schema.Check] = {"group_id": schema.uuid_or_null, "parent_group_id": schema.uuid_string}
    values = _under(req, "security_group_rule", fields, ("parent_group_id",))
    req.authorize()
    parent, remote = values["parent_group_id"], values.get("group_id")
    with _as_nova(), req.cloud.db.write() as session:
        for group_id in (parent, *((remote,) if remote else ())):
            network.group(session, req.ctx, group_id)
        prefix = None if remote is not None else _cidr(values.get("cidr"))
        protocol, low, high = _ports(values, any_allowed=remote is not None)
        if prefix is not None and prefix.endswith("/0") and prefix not in (_ANYWHERE, "::/0"):
            raise BadRequest(f"Bad prefix for network in cidr {prefix}")
        rule = network.create_rule(
            session, req.cloud, req.ctx, parent, protocol=protocol, low=low, high=high, prefix=prefix,
            remote_group_id=remote,
        )  # fmt: skip
    return {"security_group_rule": _render_rule(rule)}


def delete_rule(req: Request, rule_id: str) -> Response:
    _check_id(rule_id)
    with _as_nova(), req.cloud.db.write() as session:
        network.delete_rule(session, req.cloud, req.ctx, rule_id)
    return Response()


@contextlib.contextmanager
def _as_nova() -> Iterator[None]:
    """Compute says 403 for a full quota and 400 for every other conflict."""
    try:
        yield
    except Conflict as error:
        kind: type[Fault] = Forbidden if error.kind == "OverQuota" else BadRequest
        raise kind(error.message) from None


def _under(req: Request, key: str, fields: dict[str, schema.Check], required: tuple[str, ...]) -> dict[str, Any]:
    checked: dict[str, Any] = schema.open_object({key: schema.open_object(fields, required)}, (key,))("", req.body)
    found: dict[str, Any] = checked[key]
    return found


def _body(req: Request) -> tuple[str, str]:
    fields: dict[str, schema.Check] = {"name": schema.string(), "description": schema.string()}
    values = _under(req, "security_group", fields, ("name", "description"))
    return values["name"], values["description"]


def _ports(values: dict[str, Any], *, any_allowed: bool) -> tuple[str | None, int | None, int | None]:
    """Protocol and range; -1 is any ICMP type or code. A rule for a group may leave out the range, or all three."""
    protocol, low, high = values.get("ip_protocol"), values.get("from_port"), values.get("to_port")
    protocol = str(protocol) if protocol else None
    kind = (protocol or "").upper()
    if any_allowed and kind in _WHOLE and low is None and high is None:
        low, high = _WHOLE[kind]
    if protocol is None or low is None or high is None:
        if any_allowed:
            return None, None, None
        raise BadRequest("Not enough parameters to build a valid rule.")
    first, last = _port(kind, low), _port(kind, high)
    if kind not in _WHOLE:
        raise BadRequest(f"Invalid IP protocol {protocol}.")
    wrong = f"Invalid port range {first}:{last}. "
    if kind == "ICMP":
        if not (-1 <= first <= 255 and -1 <= last <= 255):
            raise BadRequest(f"{wrong}For ICMP, the type:code must be valid")
    elif first > last:
        raise BadRequest(f"{wrong}Former value cannot be greater than the later")
    elif first < 1 or last > 65535:
        raise BadRequest(f"{wrong}Valid {kind} ports should be between 1-65535")
    return kind.lower(), None if first == -1 else first, None if last == -1 else last


_ANYWHERE = "0.0.0.0/0"
_WHOLE = {"ICMP": (-1, -1), "TCP": (1, 65535), "UDP": (1, 65535)}


def _port(kind: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        what = "Type and Code must be integers for ICMP protocol type" if kind == "ICMP" else (
            "To and From ports must be integers"
        )  # fmt: skip
        raise BadRequest(f"Invalid input received: {what}") from None


def _cidr(value: Any) -> str:
    if not value:
        return _ANYWHERE
    try:
        text = urllib.parse.unquote(value) if isinstance(value, str) else ""
        if "/" not in text or "%" in text:
            raise ValueError
        return str(ipaddress.ip_interface(text))
    except ValueError:
        raise BadRequest(f"{value} is not a valid IP network.") from None


def _check_id(value: str) -> None:
    if not schema.is_uuid(value):
        raise BadRequest("Security group id should be uuid")


def _render(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [_render_rule(rule) for rule in group.rules],
    }


def _render_rule(rule: Rule) -> dict[str, Any]:
    low, high = rule.low, rule.high
    if rule.protocol is not None and low is None and high is None:
        low, high = (1, 65535) if rule.protocol in ("tcp", "udp") else (-1, -1)
    anywhere = "0.0.0.0/0" if rule.ethertype == "IPv4" else "::/0"
    return {
        "id": rule.id,
        "parent_group_id": rule.group_id,
        "ip_protocol": rule.protocol,
        "from_port": low,
        "to_port": high,
        "group": {} if rule.group is None else {"name": rule.group[0], "tenant_id": rule.group[1]},
        "ip_range": {} if rule.group is not None else {"cidr": rule.prefix or anywhere},
    }
