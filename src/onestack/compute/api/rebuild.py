"""The `rebuild` action: the same server, made anew from an image."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from onestack.compute import quotas, schema, servers, snapshots
from onestack.compute.api import create_schema, server_create
from onestack.compute.api import servers as servers_api
from onestack.compute.servers import Loaded
from onestack.core.dialect import Version
from onestack.core.errors import Conflict
from onestack.core.http import Request, Response


def body(version: Version, name: str, value: Any) -> Any:
    fields: dict[str, schema.Check] = {
        "name": schema.name_of(version),
        "imageRef": schema.uuid_string,
        "adminPass": schema.string(None),
        "metadata": schema.metadata,
        "preserve_ephemeral": schema.boolean,
        "OS-DCF:diskConfig": schema.disk_config,
        "accessIPv4": schema.address(4),
        "accessIPv6": schema.address(6),
    }
    if version < (2, 57):
        fields["personality"] = create_schema.personality(version)
    for since, key, check in (
        ((2, 19), "description", schema.description),
        ((2, 54), "key_name", schema.name_or_none),
        ((2, 57), "user_data", schema.base64_string(null=True)),
        ((2, 63), "trusted_image_certificates", schema.trusted_certs),
        ((2, 90), "hostname", schema.fqdn if version >= (2, 94) else schema.hostname),
    ):
        if version >= since:
            fields[key] = check
    return schema.obj(fields, ("imageRef",), version)(name, value)


_COLUMNS = {
    "name": "name", "OS-DCF:diskConfig": "disk_config", "accessIPv4": "access_ip_v4", "accessIPv6": "access_ip_v6",
    "description": "description", "hostname": "hostname", "user_data": "user_data", "metadata": "meta",
    "trusted_image_certificates": "trusted_certs", "personality": "personality",
}  # fmt: skip


def run(session: Session, req: Request, found: Loaded, values: dict[str, Any]) -> Response:
    server = found.server
    if server.host is None:
        raise Conflict(f"Cannot 'rebuild' instance {server.id} while it is in vm_state {found.vm_state}")
    quotas.check_metadata(session, server.project_id, len(values.get("metadata") or {}))
    if "personality" in values:
        server_create.personality(session, server.project_id, values["personality"])
    boot = server_create.boot_image(req, session, values["imageRef"], server.ram, server.disk)
    server.image = msgspec.to_builtins(boot.spec())
    server.system_metadata = {**server.system_metadata, **snapshots.remembered(boot, boot.id)}
    server.image_id = values["imageRef"]
    for key, column in _COLUMNS.items():
        if key in values:
            setattr(server, column, values[key])
    if "key_name" in values:
        for column, value in server_create.key_columns(session, server.user_id, values["key_name"]).items():
            setattr(server, column, value)
    password = values.get("adminPass") or server_create.new_password()
    server.admin_password = password
    desired = "stopped" if found.vm_state == "stopped" else "running"
    servers.begin(session, req, found, "rebuild", desired=desired, args={"image_id": server.image_id})
    session.flush()
    shown = servers_api.render_server(req, session, server.id)
    if req.version < (2, 75):
        servers_api.leave_out(shown, *(("key_name",) if req.version >= (2, 54) else ()))
    shown["adminPass"] = password
    if req.version >= (2, 57):
        # It stands here for everybody, and so not among the administrators' attributes.
        shown.pop("OS-EXT-SRV-ATTR:user_data", None)
        shown["user_data"] = server.user_data
    headers = {"Location": shown["links"][0]["href"]}
    return Response({"server": shown}, 202, headers)
