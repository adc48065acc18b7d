"""Security groups as clients before 2.36 ask compute for them, and those of a server at any version.

Source: the compute API reference, "Security groups (os-security-groups) (deprecated)".
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from typing import Any

from onestack.compute import nics, schema, servers
from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden
from onestack.core.http import Request, Response
from onestack.network import public_legacy as network
from onestack.network.public_legacy import Group, Rule


def index(req: Request) -> dict[str, Any]:
    everybody = req.ctx.is_admin and bool(req.get_bool("all_tenants", False))
    with req.cloud.db.write() as session:  # the default group may have to be made
        found = network.groups(session, req.cloud, req.ctx, everybody=everybody)
    return {"security_groups": [_render(group) for group in found]}


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
    with _as_nova(), req.cloud.db.write() as session:
        return {"security_group": _render(network.create_group(session, req.cloud, req.ctx, name, description))}


def update(req: Request, group_id: str) -> dict[str, Any]:
    _check_id(group_id)
    name, description = _body(req)
    with _as_nova(), req.cloud.db.write() as session:
        group = network.update_group(session, req.cloud, req.ctx, group_id, name, description)
    return {"security_group": _render(group)}


def delete(req: Request, group_id: str) -> Response:
    _check_id(group_id)
    with _as_nova(), req.cloud.db.write() as session:
        network.delete_group(session, req.cloud, req.ctx, group_id)
    return Response()


def create_rule(req: Request) -> dict[str, Any]:
    values = _under(req, "security_group_rule")
    parent, remote = str(values.get("parent_group_id")), values.get("group_id") or None
    _check_id(parent)
    if remote is not None:
        _check_id(str(remote))
    protocol, low, high = _ports(values, whole_allowed=remote is not None)
    prefix = None if remote is not None else _cidr(values.get("cidr"))
    with _as_nova(), req.cloud.db.write() as session:
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


def _under(req: Request, key: str) -> dict[str, Any]:
    values = req.body.get(key)
    if not isinstance(values, dict):
        raise BadRequest("The request body cannot be empty" if not req.body else f"Missing parameter {key}")
    return values


def _body(req: Request) -> tuple[str, str]:
    values = _under(req, "security_group")
    found = []
    for key in ("name", "description"):
        value = values.get(key)
        if value is None and key == "description":
            value = ""
        if not isinstance(value, str):
            raise BadRequest(f"Security group {key} is not a string or unicode")
        if len(value.strip()) > 255:
            raise BadRequest(f"Security group {key} should not be greater than 255 characters.")
        if not value.strip() and key == "name":
            raise BadRequest(f"Security group {key} cannot be empty.")
        found.append(value)
    return found[0], found[1]


def _ports(values: dict[str, Any], *, whole_allowed: bool) -> tuple[str | None, int | None, int | None]:
    """Protocol and range; -1 is any ICMP type or code. A rule for a group may leave all three out."""
    protocol, low, high = values.get("ip_protocol"), values.get("from_port"), values.get("to_port")
    if protocol is None and low is None and high is None and whole_allowed:
        return None, None, None
    if protocol is None or low is None or high is None:
        raise BadRequest("Not enough parameters to build a valid rule.")
    protocol = str(protocol).lower()
    if protocol not in ("tcp", "udp", "icmp"):
        raise BadRequest(f"Invalid IP protocol {protocol}.")
    first, last = _port(low), _port(high)
    if protocol == "icmp":
        if not (-1 <= first <= 255 and -1 <= last <= 255):
            raise BadRequest(f"Invalid port range {first}:{last}. For ICMP, the type:code must be valid")
    elif not 1 <= first <= last <= 65535:
        raise BadRequest(f"Invalid port range {first}:{last}. Valid {protocol.upper()} ports should be between 1-65535")
    return protocol, None if first == -1 else first, None if last == -1 else last


def _port(value: Any) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise BadRequest("Invalid input for port: it must be a whole number.") from None


def _cidr(value: Any) -> str:
    if value is None or value == "":
        return "0.0.0.0/0"
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_interface(value))
    except ValueError:
        raise BadRequest(f"Invalid CIDR {value}.") from None


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
        "to_port": high if high is not None or low is None else -1,
        "group": {} if rule.group is None else {"name": rule.group[0], "tenant_id": rule.group[1]},
        "ip_range": {} if rule.group is not None else {"cidr": rule.prefix or anywhere},
    }
