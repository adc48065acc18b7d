"""Usages of a provider, and of a project over all providers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core.http import Request
from onestack.placement import schemas
from onestack.placement.api import common
from onestack.placement.models import Allocation, Consumer, Inventory
from onestack.placement.public import usage


def show(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        provider = common.provider(session, uuid, f"No resource provider with uuid {uuid} found: ")
        names = session.scalars(sa.select(Inventory.resource_class).where(Inventory.provider_uuid == uuid))
        used = dict.fromkeys(sorted(names), 0) | usage(session, [uuid]).get(uuid, {})
        return {"resource_provider_generation": provider.generation, "usages": used}


def total(req: Request) -> dict[str, Any]:
    """What a project uses; from 1.38 by consumer type."""
    typed = req.version >= (1, 38)
    req.authorize({"project_id": req.get("project_id")})
    project = common.query(req, schemas.usage_query(req.version))["project_id"]
    kind = sa.func.coalesce(Consumer.consumer_type, "unknown")
    conditions = [Consumer.project_id == project]
    if req.get("user_id") is not None:
        conditions.append(Consumer.user_id == req.get("user_id"))
    wanted = req.get("consumer_type") if typed else None
    if wanted not in (None, "all"):
        conditions.append(kind == wanted)
    query = (
        sa.select(kind, Allocation.resource_class, sa.func.sum(Allocation.used))
        .join(Consumer, Consumer.uuid == Allocation.consumer_uuid)
        .where(*conditions)
        .group_by(kind, Allocation.resource_class)
    )
    counts = sa.select(kind, sa.func.count()).where(*conditions).group_by(kind)
    with req.cloud.db.read() as session:
        rows = session.execute(query).all()
        consumers = {row[0]: row[1] for row in session.execute(counts)}
    result: dict[str, Any] = {}
    if not typed:
        for _, resource, used in rows:
            result[resource] = result.get(resource, 0) + int(used)
        return {"usages": result}
    for name, resource, used in rows:
        group = "all" if wanted == "all" else name
        entry = result.setdefault(group, {"consumer_count": 0})
        entry[resource] = entry.get(resource, 0) + int(used)
    for name, entry in result.items():
        entry["consumer_count"] = sum(consumers.values()) if name == "all" else consumers.get(name, 0)
    return {"usages": result}
