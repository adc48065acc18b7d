"""Interfaces of servers: /servers/{id}/os-interface. Source: the compute API reference, "Port interfaces".

An interface is wanted from the moment of the answer; the host's agent plugs it, whether the guest runs or not.
"""

from __future__ import annotations

from typing import Any

from onestack.compute import nics, schema, servers
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request, Response
from onestack.network.public import NicRequest


def index(req: Request, server_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        ports = nics.of(session, [server_id]).get(server_id, [])
    return {"interfaceAttachments": [render(req, nic) for nic in ports]}


def show(req: Request, server_id: str, port_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
        ports = nics.of(session, [server_id]).get(server_id, [])
    for nic in ports:
        if nic.port_id == port_id:
            return {"interfaceAttachment": render(req, nic)}
    raise NotFound(f"Instance {server_id} does not have a port with id {port_id}")


def create(req: Request, server_id: str) -> dict[str, Any]:
    values = _body(req)
    network_id, port_id = values.get("net_id"), values.get("port_id")
    fixed = [entry["ip_address"] for entry in values.get("fixed_ips") or []]
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id)
        if network_id and port_id:
            raise BadRequest("Must not input both network_id and port_id")
        if fixed and not network_id:
            raise BadRequest("Must input network_id when request IP address")
        servers.check_unlocked(req.ctx, found)
        found.check("attach_interface")
        wanted = NicRequest(
            network_id=network_id, port_id=port_id, fixed_ip=fixed[0] if fixed else None, tag=values.get("tag")
        )
        nic = nics.attach(session, req, found.server, wanted)
        servers.begin(session, req, found, "attach_interface", args={"port_id": nic.port_id})
        return {"interfaceAttachment": render(req, nic)}


def delete(req: Request, server_id: str, port_id: str) -> Response:
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id)
        servers.check_unlocked(req.ctx, found)
        found.check("detach_interface")
        ports = nics.of(session, [server_id]).get(server_id, [])
        if port_id not in [nic.port_id for nic in ports]:
            raise NotFound(f"Port {port_id} not found")
        nics.detach(session, req, found.server, port_id)
        servers.begin(session, req, found, "detach_interface", args={"port_id": port_id})
    return Response()


def render(req: Request, nic: nics.Nic) -> dict[str, Any]:
    body: dict[str, Any] = {
        "net_id": nic.network_id,
        "port_id": nic.port_id,
        "mac_addr": nic.mac,
        "port_state": nic.status,
        "fixed_ips": [{"subnet_id": fixed.subnet_id, "ip_address": fixed.address} for fixed in nic.fixed_ips],
    }
    if req.version >= (2, 70):
        body["tag"] = nic.tag or None
    return body


def _body(req: Request) -> dict[str, Any]:
    fields: dict[str, schema.Check] = {
        "net_id": schema.uuid_string,
        "port_id": schema.uuid_string,
        "fixed_ips": schema.array(
            schema.obj({"ip_address": schema.address()}, ("ip_address",), req.version), 1, minimum=1
        ),
    }
    if req.version >= (2, 49):
        fields["tag"] = schema.tag
    checked = schema.obj({"interfaceAttachment": schema.obj(fields, (), req.version)}, (), req.version)("", req.body)
    found: dict[str, Any] = checked.get("interfaceAttachment") or {}
    return found
