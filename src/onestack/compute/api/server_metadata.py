"""Metadata of servers: /servers/{id}/metadata. Source: the compute API reference, "Server metadata"."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import hosts, quotas, schema, servers
from onestack.compute.models import Server
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request


def index(req: Request, server_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"metadata": servers.load(req, session, server_id).server.meta}


def show(req: Request, server_id: str, key: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        meta = servers.load(req, session, server_id).server.meta
    if key not in meta:
        raise NotFound("Metadata item was not found")
    return {"meta": {key: meta[key]}}


def create(req: Request, server_id: str) -> dict[str, Any]:
    """Add to, or overwrite some."""
    values = _body(req, "metadata")
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "update_server_metadata")
        return {"metadata": _set(req, session, server, {**server.meta, **values})}


def update_all(req: Request, server_id: str) -> dict[str, Any]:
    """Replace all."""
    values = _body(req, "metadata")
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "update_server_metadata")
        return {"metadata": _set(req, session, server, values)}


def update(req: Request, server_id: str, key: str) -> dict[str, Any]:
    values = _body(req, "meta", schema.one_metadata)
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "update_server_metadata")
        if list(values) != [key]:
            raise BadRequest("Request body and URI mismatch")
        _set(req, session, server, {**server.meta, **values})
    return {"meta": values}


def delete(req: Request, server_id: str, key: str) -> None:
    with req.cloud.db.write() as session:
        server = _load(req, session, server_id, "delete_server_metadata")
        if key not in server.meta:
            raise NotFound("Metadata item was not found")
        _set(req, session, server, {name: value for name, value in server.meta.items() if name != key})


def _body(req: Request, key: str, check: schema.Check = schema.metadata) -> dict[str, str]:
    checked: dict[str, str] = schema.obj({key: check}, (key,), req.version)("", req.body)[key]
    return checked


def _load(req: Request, session: Session, server_id: str, action: str) -> Server:
    found = servers.load(req, session, server_id)
    servers.check_unlocked(req.ctx, found)
    found.check(action)
    return found.server


def _set(req: Request, session: Session, server: Server, values: dict[str, str]) -> dict[str, str]:
    quotas.check_metadata(session, server.project_id, len(values))
    server.meta = values
    server.updated_at = req.cloud.clock.now()
    hosts.touch(session, req.cloud, server)
    return values
