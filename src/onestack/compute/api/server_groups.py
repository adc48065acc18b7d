"""Server groups: /os-server-groups. Source: the compute API reference, "Server groups"."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import links, quotas, schema, server_groups
from onestack.compute.models_admin import ServerGroup
from onestack.core import quota
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.http import Request, Response


def index(req: Request) -> dict[str, Any]:
    # Unlike elsewhere a limit of 0 is none, as in Nova.
    size, start = links.limit(req) or links.MAX_LIMIT, links.offset(req)
    query = sa.select(ServerGroup).order_by(ServerGroup.created_at, ServerGroup.id)
    everybody = req.get("all_projects") is not None and req.allows("os_compute_api:os-server-groups:index:all_projects")
    if not everybody:
        query = query.where(ServerGroup.project_id == (req.ctx.project_id or ""))
    with req.cloud.db.read() as session:
        rows = list(session.scalars(query.limit(size).offset(start)))
        members = server_groups.members(session, [row.id for row in rows])
    return {"server_groups": [render_group(req, row, members.get(row.id, [])) for row in rows]}


def show(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = _load(session, req, group_id)
        members = server_groups.members(session, [row.id])
    return {"server_group": render_group(req, row, members.get(row.id, []))}


def create(req: Request) -> dict[str, Any]:
    project_id = req.ctx.project_id
    if project_id is None:
        raise Forbidden("A server group belongs to a project: ask with a token that is scoped to one.")
    values = schema.body(req.body, "server_group", _fields(req.version), req.version, required=_required(req.version))
    req.authorize()
    policy = values["policy"] if req.version >= (2, 64) else values["policies"][0]
    rules = values.get("rules") or {}
    if rules and policy != "anti-affinity":
        raise BadRequest("Only anti-affinity policy supports rules.")
    row = ServerGroup(
        id=req.cloud.ids.uuid(), project_id=project_id, user_id=req.ctx.user_id, name=values["name"], policy=policy,
        max_per_host=rules.get("max_server_per_host"), created_at=req.cloud.clock.now(),
    )  # fmt: skip
    with req.cloud.db.write() as session:
        quota.lock(session, quotas.SERVICE, project_id)
        limit = quotas.limits(session, project_id)["server_groups"]
        if limit != quota.UNLIMITED and server_groups.count(session, project_id) >= limit:
            raise Forbidden("Quota exceeded, too many server groups.")
        session.add(row)
    return {"server_group": render_group(req, row, [])}


def delete(req: Request, group_id: str) -> Response:
    with req.cloud.db.write() as session:
        session.delete(_load(session, req, group_id))
    return Response()


def render_group(req: Request, row: ServerGroup, members: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": row.id, "name": row.name, "members": members}
    if req.version >= (2, 64):
        body["policy"] = row.policy
        body["rules"] = {} if row.max_per_host is None else {"max_server_per_host": row.max_per_host}
    else:
        body["policies"] = [row.policy]
        body["metadata"] = {}
    if req.version >= (2, 13):
        body["project_id"], body["user_id"] = row.project_id, row.user_id
    return body


def _load(session: Session, req: Request, group_id: str) -> ServerGroup:
    row = server_groups.find(session, req.ctx, group_id)
    if row is None:
        raise NotFound(f"Instance group {group_id} could not be found.")
    req.authorize({"project_id": row.project_id})
    return row


def _required(version: Version) -> tuple[str, ...]:
    return ("name", "policy") if version >= (2, 64) else ("name", "policies")


def _fields(version: Version) -> dict[str, schema.Check]:
    policy = schema.one_of(*(server_groups.POLICIES if version >= (2, 15) else server_groups.HARD))
    name = schema.name_of(version)
    if version >= (2, 64):
        rules = schema.obj({"max_server_per_host": schema.count(1)}, (), version)
        return {"name": name, "policy": policy, "rules": rules}
    return {"name": name, "policies": schema.array(policy, 1, unique=True, minimum=1)}
