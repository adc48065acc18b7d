"""The part of public.py that compute's older API stands on: security groups, floating IPs and networks under Nova's
names. Every function takes the caller's session and commits nothing; faults are Neutron's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.network import attributes, floating_ips, objects, security_groups
from onestack.network.models import FloatingIp, Network, Port, PortAddress, SecurityGroup, SecurityGroupRule


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An ingress rule. `group`: (name, project) of the group that is let in, instead of `prefix`."""

    id: str
    group_id: str
    ethertype: str
    protocol: str | None
    low: int | None
    high: int | None
    prefix: str | None
    group: tuple[str, str] | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    rules: list[Rule]


class Floating(msgspec.Struct, frozen=True, kw_only=True):
    """`pool` is the name of its external network; `server_id` None unless it leads to a server."""

    id: str
    address: str
    fixed: str | None
    server_id: str | None
    pool: str


# Security groups


def groups(session: Session, cloud: Cloud, ctx: Context, *, everybody: bool = False) -> list[Group]:
    """The groups of the caller's project, or of all; the default group is made if it isn't there."""
    project = ctx.project_id or ""
    if project:
        security_groups.ensure_default(session, cloud, project)
    query = sa.select(SecurityGroup).order_by(SecurityGroup.name, SecurityGroup.id)
    return _groups(session, query if everybody else query.where(SecurityGroup.project_id == project))


def groups_by_id(session: Session, ids: Sequence[str]) -> list[Group]:
    """Whoever owns them: the caller has seen that they may be shown."""
    query = sa.select(SecurityGroup).where(SecurityGroup.id.in_(ids)).order_by(SecurityGroup.name, SecurityGroup.id)
    return _groups(session, query)


def group(session: Session, ctx: Context, group_id: str) -> Group:
    """Raises SecurityGroupNotFound."""
    objects.get(session, "security_group", group_id, ctx)
    return groups_by_id(session, [group_id])[0]


def create_group(session: Session, cloud: Cloud, ctx: Context, name: str, description: str) -> Group:
    values = attributes.read(security_groups.ATTRIBUTES, {"name": name, "description": description}, creating=True)
    row = security_groups.create(session, cloud, ctx.project_id or "", values)
    return groups_by_id(session, [row.id])[0]


def update_group(session: Session, cloud: Cloud, ctx: Context, group_id: str, name: str, description: str) -> Group:
    row = objects.get(session, "security_group", group_id, ctx)
    values = attributes.read(security_groups.ATTRIBUTES, {"name": name, "description": description}, creating=False)
    security_groups.update(session, cloud, row, values)
    return groups_by_id(session, [row.id])[0]


def delete_group(session: Session, cloud: Cloud, ctx: Context, group_id: str) -> None:
    row = objects.get(session, "security_group", group_id, ctx)
    security_groups.delete(session, cloud, row, admin=ctx.is_admin)


def create_rule(
    session: Session, cloud: Cloud, ctx: Context, group_id: str, *, protocol: str | None, low: int | None,
    high: int | None, prefix: str | None, remote_group_id: str | None,
) -> Rule:  # fmt: skip
    row = objects.get(session, "security_group", group_id, ctx)
    sent = {
        "security_group_id": group_id, "direction": "ingress", "protocol": protocol, "port_range_min": low,
        "port_range_max": high, "remote_ip_prefix": prefix, "remote_group_id": remote_group_id,
        "ethertype": "IPv6" if prefix is not None and ":" in prefix else "IPv4",
    }  # fmt: skip
    values = attributes.read(security_groups.RULE_ATTRIBUTES, sent, creating=True)
    made = security_groups.create_rule(session, cloud, ctx, row, ctx.project_id or row.project_id, values)
    return next(rule for rule in groups_by_id(session, [group_id])[0].rules if rule.id == made.id)


def delete_rule(session: Session, cloud: Cloud, ctx: Context, rule_id: str) -> None:
    security_groups.delete_rule(session, cloud, objects.get(session, "security_group_rule", rule_id, ctx))


def _groups(session: Session, query: sa.Select[SecurityGroup]) -> list[Group]:
    rows = list(session.scalars(query))
    other = sa.orm.aliased(SecurityGroup)
    rules: dict[str, list[Rule]] = {row.id: [] for row in rows}
    found = session.execute(
        sa.select(SecurityGroupRule, other.name, other.project_id)
        .outerjoin(other, other.id == SecurityGroupRule.remote_group_id)
        .where(SecurityGroupRule.security_group_id.in_(list(rules)), SecurityGroupRule.direction == "ingress")
        .order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)
    )
    for rule, name, project_id in found:
        rules[rule.security_group_id].append(
            Rule(
                id=rule.id, group_id=rule.security_group_id, ethertype=rule.ethertype, protocol=rule.protocol,
                low=rule.port_range_min, high=rule.port_range_max, prefix=rule.remote_ip_prefix,
                group=None if rule.remote_group_id is None else (name, project_id),
            )
        )  # fmt: skip
    return [
        Group(id=row.id, name=row.name, description=row.description, project_id=row.project_id, rules=rules[row.id])
        for row in rows
    ]


# Floating IPs


def pools(session: Session, ctx: Context) -> list[str]:
    """The names of the external networks."""
    query = sa.select(Network.name).where(Network.external).order_by(Network.created_at, Network.id)
    return list(session.scalars(_seen(query, "network", ctx)))


def floating(session: Session, ctx: Context, floating_id: str | None = None) -> list[Floating]:
    """Those of the caller's project, or the one asked for that the caller can see."""
    query = (
        sa.select(
            FloatingIp.id, FloatingIp.floating_ip_address, FloatingIp.fixed_ip_address, Port.device_id,
            Port.device_owner, Network.name,
        )
        .join(Network, Network.id == FloatingIp.floating_network_id)
        .outerjoin(Port, Port.id == FloatingIp.port_id)
        .order_by(FloatingIp.created_at, FloatingIp.id)
    )  # fmt: skip
    if floating_id is None:
        query = query.where(FloatingIp.project_id == (ctx.project_id or ""))
    else:
        query = _seen(query.where(FloatingIp.id == floating_id), "floatingip", ctx)
    return [
        Floating(
            id=row[0], address=row[1], fixed=row[2], pool=row[5],
            server_id=row[3] if (row[4] or "").startswith("compute:") else None,
        )
        for row in session.execute(query)
    ]  # fmt: skip


def allocate_floating(session: Session, cloud: Cloud, ctx: Context, pool: str | None) -> Floating:
    """An address of the pool, or of the default one. Raises NotFound without such a pool, and what Neutron refuses."""
    query = sa.select(Network.id).where(Network.external).order_by(Network.is_default.desc(), Network.created_at)
    if pool is not None:
        query = query.where(sa.or_(Network.name == pool, Network.id == pool))
    network = session.scalars(_seen(query, "network", ctx)).first()
    if network is None:
        raise NotFound("Floating IP pool not found.", kind="FloatingIpPoolNotFound")
    values = attributes.read(floating_ips.ATTRIBUTES, {"floating_network_id": network}, creating=True)
    made = floating_ips.create(session, cloud, ctx, ctx.project_id or "", values)
    return floating(session, ctx, made.id)[0]


def release_floating(session: Session, cloud: Cloud, ctx: Context, floating_id: str) -> None:
    floating_ips.delete(session, cloud, objects.get(session, "floatingip", floating_id, ctx))


def associate_floating(
    session: Session, cloud: Cloud, ctx: Context, server_id: str, address: str, fixed: str | None
) -> None:
    """Lead `address` to the server: to `fixed`, or to the first IPv4 address of its interfaces; taken from wherever it
    led before. Raises NotFound (no such floating IP, no route), BadRequest (no such fixed address)."""
    row = _by_address(session, ctx, address)
    query = (
        sa.select(PortAddress.port_id, PortAddress.ip_address)
        .join(Port, Port.id == PortAddress.port_id)
        .where(Port.device_id == server_id, Port.device_owner.like("compute:%"), ~PortAddress.ip_address.contains(":"))
        .order_by(Port.nic_index, PortAddress.position)
    )
    if fixed is not None:
        query = query.where(PortAddress.ip_address == fixed)
    target = session.execute(query).first()
    if target is None:
        if fixed is None:
            raise BadRequest("No fixed IPs associated to instance")
        raise BadRequest("Specified fixed address not assigned to instance")
    values = {"port_id": target.port_id, "fixed_ip_address": target.ip_address}
    floating_ips.update(session, cloud, ctx, row, values)


def disassociate_floating(session: Session, cloud: Cloud, ctx: Context, server_id: str, address: str) -> None:
    """Raises NotFound, and Conflict when it doesn't lead to the server."""
    row = _by_address(session, ctx, address)
    port = None if row.port_id is None else session.get(Port, row.port_id)
    if port is None or port.device_id != server_id:
        raise Conflict(f"Floating IP {address} is not associated with instance {server_id}.")
    floating_ips.update(session, cloud, ctx, row, {"port_id": None})


def _by_address(session: Session, ctx: Context, address: str) -> FloatingIp:
    query = sa.select(FloatingIp).where(FloatingIp.floating_ip_address == address)
    row: FloatingIp | None = session.scalars(_seen(query, "floatingip", ctx)).first()
    if row is None:
        raise NotFound("floating IP not found")
    return row


# Networks


def networks(session: Session, ctx: Context) -> list[tuple[str, str]]:
    """(id, name) of the networks that the caller can see."""
    query = sa.select(Network.id, Network.name).order_by(Network.created_at, Network.id)
    return [(row.id, row.name) for row in session.execute(_seen(query, "network", ctx))]


def _seen(query: Any, resource: str, ctx: Context) -> Any:
    condition = objects.visible(resource, ctx)
    return query if condition is None else query.where(condition)
