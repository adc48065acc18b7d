"""Floating IPs as clients before 2.36 ask compute for them, and the two actions of a server, until 2.43.

Source: the compute API reference, "Floating IPs (DEPRECATED)".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import schema, servers
from onestack.compute.api.actions import Action
from onestack.compute.servers import Loaded
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request, Response
from onestack.network import public_legacy as network
from onestack.network.public_legacy import Floating


def pools(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"floating_ip_pools": [{"name": name} for name in network.pools(session, req.ctx)]}


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"floating_ips": [_render(one) for one in network.floating(session, req.ctx)]}


def show(req: Request, floating_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        found = network.floating(session, req.ctx, floating_id)
    if not found:
        raise _missing(floating_id)
    return {"floating_ip": _render(found[0])}


def create(req: Request) -> dict[str, Any]:
    """The body may be missing, or name a pool."""
    pool = req.body.get("pool") if isinstance(req.body, dict) else None
    if pool is not None and not isinstance(pool, str):
        raise schema.invalid("pool", pool, f"{pool!r} is not of type 'string', 'null'")
    with req.cloud.db.write() as session:
        try:
            made = network.allocate_floating(session, req.cloud, req.ctx, pool)
        except Conflict as error:
            if error.kind == "OverQuota":
                message = f"IP allocation over quota in pool {pool}." if pool else "IP allocation over quota."
                raise Forbidden(message) from None
            where = f"in pool {pool}." if pool else "available."
            raise NotFound(f"No more floating IPs {where}") from None
    return {"floating_ip": _render(made)}


def delete(req: Request, floating_id: str) -> Response:
    with req.cloud.db.write() as session:
        try:
            network.release_floating(session, req.cloud, req.ctx, floating_id)
        except NotFound:
            raise _missing(floating_id) from None
    return Response()


def _missing(floating_id: str) -> NotFound:
    return NotFound(f"Floating IP not found for ID {floating_id}")


def _render(one: Floating) -> dict[str, Any]:
    return {"id": one.id, "ip": one.address, "fixed_ip": one.fixed, "instance_id": one.server_id, "pool": one.pool}


def _add(session: Session, req: Request, found: Loaded, argument: dict[str, Any]) -> None:
    server, address = found.server, argument["address"]
    if server.host is None:
        raise BadRequest("No fixed IPs associated to instance")
    try:
        network.associate_floating(session, req.cloud, req.ctx, server.id, address, argument.get("fixed_address"))
    except (BadRequest, Conflict) as error:
        raise BadRequest(error.message) from None
    except NotFound as error:
        if error.kind == "ExternalGatewayForFloatingIPNotFound":
            raise BadRequest(f"Unable to associate floating IP {address}: {error.message}") from None
        raise
    servers.instant(session, req, server, "addFloatingIp")


def _remove(session: Session, req: Request, found: Loaded, argument: dict[str, Any]) -> None:
    network.disassociate_floating(session, req.cloud, req.ctx, found.server.id, argument["address"])
    servers.instant(session, req, found.server, "removeFloatingIp")


def _add_body(version: Version, name: str, value: Any) -> Any:
    fields = {"address": schema.address(), "fixed_address": schema.address()}
    return schema.obj(fields, ("address",), version)(name, value)


def _remove_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"address": schema.address()}, ("address",), version)(name, value)


ACTIONS: dict[str, Action] = {
    "addFloatingIp": Action("os_compute_api:os-floating-ips:add", _add, argument=_add_body, until=(2, 43)),
    "removeFloatingIp": Action("os_compute_api:os-floating-ips:remove", _remove, argument=_remove_body, until=(2, 43)),
}
