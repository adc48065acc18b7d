"""Servers: list, show, update, delete. Source: the compute API reference, "Servers"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import availability, hosts, links, list_schema, nics, schema, server_groups, server_query, servers
from onestack.compute.api import server_view
from onestack.compute.models import Server
from onestack.core import paging
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request, Response


def index(req: Request) -> dict[str, Any]:
    def render(session: Session, rows: list[Any]) -> list[dict[str, Any]]:
        root, bookmarks = links.root(req), links.bookmark_root(req)
        return [
            {
                "id": row.id,
                "name": row.name,
                "links": [
                    {"rel": "self", "href": f"{root}/servers/{row.id}"},
                    {"rel": "bookmark", "href": f"{bookmarks}/servers/{row.id}"},
                ],
            }
            for row in rows
        ]

    return _list(req, render, "servers", detail=False)


def detail(req: Request) -> dict[str, Any]:
    def render(session: Session, rows: list[Any]) -> list[dict[str, Any]]:
        view = server_view.View(req, session, rows)
        return [view.render(row) for row in rows]

    return _list(req, render, "servers/detail", detail=True)


def _list(
    req: Request, render: Callable[[Session, list[Any]], list[dict[str, Any]]], path: str, *, detail: bool
) -> dict[str, Any]:
    list_schema.check(req)
    size = links.limit(req)
    sorts = server_query.sorts(req)
    with req.cloud.db.read() as session:
        try:
            conditions = server_query.conditions(req, session, detail=detail)
        except server_query.Nothing:
            return {"servers": []}
        extra = server_view.extra_columns(req) if detail else []
        query = server_view.select(*extra).where(*conditions)
        marker = _marker(session, req, sorts)
        rows = list(session.execute(paging.paginate(query, server_query.SORT, sorts, marker=marker, limit=size)))
        body = {"servers": render(session, rows)}
    last = rows[-1].id if rows else None
    return links.with_next(body, "servers", links.next_links(req, path, len(rows), size, last))


def _marker(session: Session, req: Request, sorts: list[tuple[str, str]]) -> dict[str, Any] | None:
    marker = req.get("marker")
    if not marker:
        return None
    columns = [server_query.SORT[key].label(f"sort_{number}") for number, (key, _direction) in enumerate(sorts)]
    query = server_view.select(*columns).where(Server.id == marker)
    if not req.ctx.is_admin:
        query = query.where(Server.project_id == (req.ctx.project_id or ""))
    row = session.execute(query).first()
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    return {key: getattr(row, f"sort_{number}") for number, (key, _direction) in enumerate(sorts)}


def show(req: Request, server_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = _row(req, session, server_id)
        ctx = req.ctx
        if row is None or row.deleted_at is not None or not (ctx.is_admin or row.project_id == ctx.project_id):
            raise NotFound(f"Instance {server_id} could not be found.")
        req.authorize({"project_id": row.project_id, "user_id": row.user_id})
        return {"server": _render(req, session, row)}


def render_server(req: Request, session: Session, server_id: str) -> dict[str, Any]:
    """A server that the caller may see, as it is in this transaction."""
    return _render(req, session, _row(req, session, server_id))


def _row(req: Request, session: Session, server_id: str) -> Any:
    return server_view.one(req, session, server_id)


def _render(req: Request, session: Session, row: Any) -> dict[str, Any]:
    body = server_view.View(req, session, [row]).render(row)
    if req.version >= (2, 71):
        body["server_groups"] = server_groups.of_server(session, row.id)
    return body


def update(req: Request, server_id: str) -> dict[str, Any]:
    values = schema.body(req.body, "server", _update_fields(req.version), req.version)
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id)
        servers.check_unlocked(req.ctx, found)
        row = found.server
        for key, column in _COLUMNS.items():
            if key in values:
                setattr(row, column, values[key])
        if "pinned_availability_zone" in values:
            _pin(session, row, values["pinned_availability_zone"])
        if values:
            row.updated_at = req.cloud.clock.now()
            hosts.touch(session, req.cloud, row)
        session.flush()
        body = render_server(req, session, server_id)
    if req.version < (2, 75):
        leave_out(body)
    return {"server": body}


def leave_out(body: dict[str, Any], *keep: str) -> None:
    """Before 2.75 the answers to an update and a rebuild have less in them than that to a show."""
    for key in list(body):
        if key.startswith(("OS-EXT-", "OS-SRV-USG:", "os-extended-volumes:")):
            del body[key]
    for key in ("config_drive", "key_name", "security_groups", "host_status", "server_groups"):
        if key not in keep:
            body.pop(key, None)
    for entries in body["addresses"].values():
        entries[:] = [{"version": entry["version"], "addr": entry["addr"]} for entry in entries]


_COLUMNS = {
    "name": "name", "OS-DCF:diskConfig": "disk_config", "accessIPv4": "access_ip_v4", "accessIPv6": "access_ip_v6",
    "description": "description", "hostname": "hostname",
}  # fmt: skip


def _pin(session: Session, row: Server, zone: str | None) -> None:
    if zone is not None and (row.host is None or availability.zones(session, [row.host])[row.host] != zone):
        raise BadRequest(f"Availability zone {zone} is not the one that server {row.id} is in.")
    row.availability_zone = zone


def _update_fields(version: Version) -> dict[str, schema.Check]:
    found: dict[str, schema.Check] = {
        "name": schema.name_of(version),
        "OS-DCF:diskConfig": schema.disk_config,
        "accessIPv4": schema.address(4),
        "accessIPv6": schema.address(6),
    }
    if version >= (2, 19):
        found["description"] = schema.description
    if version >= (2, 90):
        found["hostname"] = schema.fqdn if version >= (2, 94) else schema.hostname
    if version >= (2, 104):
        found["pinned_availability_zone"] = schema.name_or_none
    return found


def delete(req: Request, server_id: str) -> Response:
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id)
        servers.check_unlocked(req.ctx, found)
        servers.delete(session, req, found)
    return Response()


def ips(req: Request, server_id: str) -> dict[str, Any]:
    return {"addresses": _addresses(req, server_id)}


def ips_of_network(req: Request, server_id: str, network: str) -> dict[str, Any]:
    found = _addresses(req, server_id)
    if network not in found:
        raise NotFound("Instance is not a member of specified network")
    return {network: found[network]}


def _addresses(req: Request, server_id: str) -> dict[str, list[dict[str, Any]]]:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        ports = nics.of(session, [server_id]).get(server_id, [])
    return {
        name: [{"version": entry["version"], "addr": entry["addr"]} for entry in entries]
        for name, entries in nics.addresses(ports).items()
    }


def nothing_attached(req: Request, server_id: str) -> dict[str, Any]:
    """GET …/os-volume_attachments: there are no volumes."""
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
    return {"volumeAttachments": []}


def no_migrations(req: Request, server_id: str) -> dict[str, Any]:
    """GET …/migrations: none is under way."""
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
    return {"migrations": []}
