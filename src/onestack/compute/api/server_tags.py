"""Tags of servers, from 2.26 on: /servers/{id}/tags."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import links, schema, servers
from onestack.compute.models import Server, ServerTag
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request, Response

MOST = 50


def index(req: Request, server_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        return {"tags": _tags(session, server_id)}


def show(req: Request, server_id: str, tag: str) -> None:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        if tag not in _tags(session, server_id):
            raise _missing(server_id, tag)


def update(req: Request, server_id: str, tag: str) -> Response:
    schema.null("", req.body)
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "update_tag")
        _check(tag)
        present = _tags(session, server_id)
        if tag in present:
            return Response(status=204)
        if len(present) >= MOST:
            raise BadRequest(f"The number of tags exceeded the per-server limit {MOST}")
        session.add(ServerTag(server_id=server_id, tag=tag))
        server.updated_at = req.cloud.clock.now()
    return Response(status=201, headers={"Location": f"{links.root(req)}/servers/{server_id}/tags/{tag}"})


def _check(tag: str) -> None:
    try:
        schema.tag("", tag)
    except BadRequest as error:
        raise BadRequest(
            f"Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','. Validation error "
            f"message: {error.message}"
        ) from None


def update_all(req: Request, server_id: str) -> dict[str, Any]:
    values = schema.obj({"tags": schema.array(schema.tag, MOST)}, ("tags",), req.version)("", req.body)["tags"]
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "update_tag")
        _clear(session, server_id)
        for tag in dict.fromkeys(values):
            session.add(ServerTag(server_id=server_id, tag=tag))
        server.updated_at = req.cloud.clock.now()
        session.flush()
        return {"tags": _tags(session, server_id)}


def delete(req: Request, server_id: str, tag: str) -> None:
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "delete_tag")
        row = session.get(ServerTag, (server_id, tag))
        if row is None:
            raise _missing(server_id, tag)
        session.delete(row)
        server.updated_at = req.cloud.clock.now()


def delete_all(req: Request, server_id: str) -> None:
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "delete_tag")
        _clear(session, server_id)
        server.updated_at = req.cloud.clock.now()


def _load(req: Request, session: Session, server_id: str, action: str) -> Server:
    found = servers.load(req, session, server_id)
    found.check(action)
    return found.server


def _tags(session: Session, server_id: str) -> list[str]:
    query = sa.select(ServerTag.tag).where(ServerTag.server_id == server_id).order_by(ServerTag.tag)
    return list(session.scalars(query))


def _clear(session: Session, server_id: str) -> None:
    session.execute(sa.delete(ServerTag).where(ServerTag.server_id == server_id))


def _missing(server_id: str, tag: str) -> NotFound:
    return NotFound(f"Server {server_id} has no tag '{tag}'")
