"""What was done to a server: /servers/{id}/os-instance-actions, straight from the operations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import links, servers
from onestack.compute.api.server_view import host_id
from onestack.compute.models import Server
from onestack.core import operations
from onestack.core.clock import micros
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.core.operations import Operation, OperationEvent


def index(req: Request, server_id: str) -> dict[str, Any]:
    paged = req.version >= (2, 58)
    size = links.limit(req) if paged else 0
    query = sa.select(Operation).where(Operation.object_id == server_id, Operation.object_type == servers.OBJECT)
    query = query.order_by(Operation.created_at.desc(), Operation.id.desc())
    with req.cloud.db.read() as session:
        _load(req, session, server_id)
        if paged:
            query = _page(req, session, server_id, query).limit(size)
        rows = list(session.scalars(query))
    body = {"instanceActions": [_action(req, row) for row in rows]}
    if not paged:
        return body
    path = f"servers/{server_id}/os-instance-actions"
    found = links.next_links(req, path, len(rows), size, rows[-1].request_id if rows else None)
    if found:
        body["links"] = found
    return body


def show(req: Request, server_id: str, request_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = _load(req, session, server_id)
        row = _find(session, server_id, request_id)
        if row is None:
            raise NotFound(f"Action {request_id} not found")
        body = _action(req, row)
        admin = req.allows("os_compute_api:os-instance-actions:events", {"project_id": found.server.project_id})
        if admin or req.version >= (2, 51):
            query = sa.select(OperationEvent).where(OperationEvent.operation_id == row.id)
            events = session.scalars(query.order_by(OperationEvent.started_at.desc()))
            body["events"] = [_event(req, found.server, event, admin) for event in events]
    return {"instanceAction": body}


def _load(req: Request, session: Session, server_id: str) -> servers.Loaded:
    return servers.load(req, session, server_id, deleted=req.version >= (2, 21))


def _find(session: Session, server_id: str, request_id: str) -> Operation | None:
    query = sa.select(Operation).where(Operation.object_id == server_id, Operation.request_id == request_id)
    return session.scalars(query.order_by(Operation.created_at.desc()).limit(1)).first()


def _page(req: Request, session: Session, server_id: str, query: sa.Select[Any]) -> sa.Select[Any]:
    moments = {
        name: links.moment(name, text)
        for name, since in (("changes-since", (2, 58)), ("changes-before", (2, 66)))
        if (text := req.get(name)) is not None and req.version >= since
    }
    if len(moments) == 2 and moments["changes-since"] > moments["changes-before"]:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    for name, moment in moments.items():
        later = name == "changes-since"
        query = query.where(Operation.updated_at >= moment if later else Operation.updated_at <= moment)
    marker = req.get("marker")
    if marker is not None:
        row = _find(session, server_id, marker)
        if row is None:
            raise BadRequest(f"marker [{marker}] not found")
        query = query.where(
            sa.or_(
                Operation.created_at < row.created_at,
                sa.and_(Operation.created_at == row.created_at, Operation.id < row.id),
            )
        )
    return query


def _action(req: Request, row: Operation) -> dict[str, Any]:
    body = {
        "action": row.action, "instance_uuid": row.object_id, "request_id": row.request_id, "user_id": row.user_id,
        "project_id": row.project_id, "start_time": micros(row.created_at),
        "message": "Error" if row.state == operations.FAILED else None,
    }  # fmt: skip
    if req.version >= (2, 58):
        body["updated_at"] = micros(row.updated_at)
    return body


def _event(req: Request, server: Server, row: OperationEvent, admin: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "event": row.event, "start_time": micros(row.started_at), "finish_time": micros(row.finished_at),
        "result": row.result,
    }  # fmt: skip
    if admin:
        body["traceback"] = None
    if req.version >= (2, 62):
        body["hostId"] = host_id(row.host, server.project_id)
        if admin:
            body["host"] = row.host
    if req.version >= (2, 84):
        detailed = req.allows("os_compute_api:os-instance-actions:events:details", {"project_id": server.project_id})
        body["details"] = row.message if detailed or row.result == "Error" else None
    return body
