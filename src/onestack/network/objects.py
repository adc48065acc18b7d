"""What all objects share: ids, owners, times, revisions, tags, visibility, quotas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import quota
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import fetch, many
from onestack.network import errors
from onestack.network.models import FloatingIp, Network, Port, Router, SecurityGroup, SecurityGroupRule, Subnet, Tag

MODELS: dict[str, Any] = {
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "router": Router,
    "floatingip": FloatingIp,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
}

# Limits of a project, Neutron's own. What we don't have is limited all the same: clients print the whole list.
QUOTAS: dict[str, int] = {
    "network": 100, "subnet": 100, "subnetpool": -1, "port": 500, "router": 10, "floatingip": 50,
    "security_group": 10, "security_group_rule": 100, "rbac_policy": 10,
    "router_route": 30,  # of each router, where all others are of the project
}  # fmt: skip


def stamp(cloud: Cloud, project_id: str, **more: Any) -> dict[str, Any]:
    """The columns that every new row has. Neutron counts what it writes after the row itself, so the first revision of
    networks, ports, routers and security groups is 1, and of what has nothing of the kind 0."""
    now = cloud.clock.now()
    return {
        "id": cloud.ids.uuid(), "project_id": project_id, "revision_number": 1, "created_at": now, "updated_at": now,
        **more,
    }  # fmt: skip


def touch(cloud: Cloud, row: Any) -> None:
    """The row was changed."""
    row.revision_number += 1
    row.updated_at = cloud.clock.now()


def touch_if_changed(session: Session, cloud: Cloud, row: Any, also: bool = False) -> None:
    """The row was written; it was changed if it differs from what it was, or `also` something that belongs to it."""
    if also or session.is_modified(row):
        touch(cloud, row)


def sees_all(ctx: Context) -> bool:
    return ctx.is_admin or "service" in ctx.roles


def visible(resource: str, ctx: Context) -> sa.ColumnElement[bool] | None:
    """The condition that keeps other tenants' rows out; None when the caller sees everything."""
    return None if sees_all(ctx) else within(resource, ctx.project_id or "-")


def within(resource: str, project: Any) -> sa.ColumnElement[bool]:
    """The condition for what a project sees; `project` is its id, or a bindparam for it."""
    open_networks = sa.or_(Network.project_id == project, Network.shared, Network.external)
    if resource == "network":
        return open_networks
    if resource == "subnet":
        nets = sa.select(Network.id).where(open_networks)
        return sa.or_(Subnet.project_id == project, Subnet.network_id.in_(nets))
    if resource == "port":
        own = sa.select(Network.id).where(Network.project_id == project)
        return sa.or_(Port.project_id == project, Port.network_id.in_(own))
    if resource == "security_group_rule":
        groups = sa.select(SecurityGroup.id).where(SecurityGroup.project_id == project)
        return sa.or_(SecurityGroupRule.project_id == project, SecurityGroupRule.security_group_id.in_(groups))
    owned: sa.ColumnElement[bool] = MODELS[resource].project_id == project
    return owned


@cache
def _one(resource: str, limited: bool) -> sa.Select[Any]:
    """An object by its `id`; `limited`: if the `project` sees it."""
    model = MODELS[resource]
    query = sa.select(model).where(model.id == sa.bindparam("id"))
    return query.where(within(resource, sa.bindparam("project"))) if limited else query


def get(session: Session, resource: str, identifier: Any, ctx: Context | None = None) -> Any:
    """One object, as an entity. What the caller can't see isn't there (404). Without `ctx`: any."""
    values = {"id": str(identifier)}
    limited = ctx is not None and not sees_all(ctx)
    if ctx is not None and limited:
        values["project"] = ctx.project_id or "-"
    row = session.scalars(_one(resource, limited), values).first()
    if row is None:
        raise errors.not_found(resource, identifier)
    return row


def subnets_of(session: Session, network_id: str, *, lock: bool = False) -> list[Subnet]:
    """The subnets of a network, oldest first. `lock`: nobody else allocates in them until the transaction ends."""
    query = sa.select(Subnet).where(Subnet.network_id == network_id).order_by(Subnet.created_at, Subnet.id)
    return list(session.scalars(query.with_for_update() if lock else query))


def usage(session: Session, project_id: str, resources: Iterable[str] = QUOTAS) -> dict[str, int]:
    """How many a project has of each resource, counted from the rows in one query."""
    counted = [name for name in resources if name in MODELS]
    if not counted:
        return {}
    columns = []
    for name in counted:
        model = MODELS[name]
        query = sa.select(sa.func.count()).select_from(model).where(model.project_id == project_id)
        columns.append(query.scalar_subquery().label(name))
    row = session.execute(sa.select(*columns)).one()
    return {name: int(getattr(row, name)) for name in counted}


def take_quota(session: Session, project_id: str, wanted: Mapping[str, int]) -> None:
    """Refuse (409 OverQuota) what would pass a limit. The cloud's own objects have no project and no limit."""
    if not project_id:
        return
    quota.lock(session, "network", project_id)
    limits = quota.limits(session, "network", project_id, QUOTAS)
    if all(limits.get(name, quota.UNLIMITED) == quota.UNLIMITED for name in wanted):
        return
    over = quota.exceeded(limits, usage(session, project_id, wanted), wanted)
    if over:
        raise errors.over_quota(over)


_TAGS = sa.select(Tag.object_id, Tag.tag).where(Tag.object_id.in_(many("ids"))).order_by(Tag.tag)


def tags_of(session: Session, ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in fetch(session, _TAGS, ids=ids):
        found.setdefault(row.object_id, []).append(row.tag)
    return found


def add_tags(session: Session, identifier: str, tags: Iterable[str]) -> None:
    session.add_all([Tag(object_id=identifier, tag=tag) for tag in tags])


def forget_tags(session: Session, ids: list[str]) -> None:
    session.execute(sa.delete(Tag).where(Tag.object_id.in_(ids)))
