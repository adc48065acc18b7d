"""Consoles: POST /servers/{id}/remote-consoles, the older actions, and who a console's token is for.

VNC (shown by noVNC) and serial consoles are served; SPICE, RDP and MKS are refused in Nova's words.
Source: the compute API reference, "Server Consoles" and "os-console-auth-tokens".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import schema, servers
from onestack.compute.api.actions import Action
from onestack.compute.console import tokens
from onestack.compute.servers import Loaded
from onestack.core.dialect import MALFORMED, Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request

RULE = "os_compute_api:os-remote-consoles"

_SERVED = {"vnc": "novnc", "serial": "serial"}  # protocol → its type


def create(req: Request, server_id: str) -> dict[str, Any]:
    wanted = schema.body(req.body, "remote_console", _fields(req.version), req.version, required=("protocol", "type"))
    protocol, kind = wanted["protocol"], wanted["type"]
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id)
        if protocol == "rdp":
            raise BadRequest(MALFORMED)
        url = _open(session, req, found, protocol, kind)
    return {"remote_console": {"protocol": protocol, "type": kind, "url": url}}


def show_token(req: Request, token: str) -> dict[str, Any]:
    if req.version < (2, 31):
        # It was for RDP consoles only, which no longer exist.
        raise BadRequest(MALFORMED)
    with req.cloud.db.read() as session:
        found = tokens.redeem(session, req.cloud, token)
    if found is None:
        raise NotFound("Token not found")
    # A console is a socket file on its host, where only the agent gets at it: it has no port.
    return {
        "console": {
            "instance_uuid": found.server_id, "host": found.host, "port": 0, "internal_access_path": None,
        }
    }  # fmt: skip


def _open(session: Session, req: Request, found: Loaded, protocol: str, kind: str) -> str:
    """The console's address, with a new token. Raises BadRequest, Conflict."""
    server = found.server
    if found.task_state == "deleting":
        raise Conflict(
            f"Cannot 'get_{protocol}_console' instance {server.id} while it is in task_state {found.task_state}"
        )
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    if protocol not in _SERVED:
        raise BadRequest(f"Unavailable console type {kind}.")
    if kind != _SERVED[protocol]:
        raise BadRequest(f"Invalid console type {kind}")
    if server.launched_at is None:
        raise Conflict(f"Instance {server.id} is not ready")
    token = tokens.issue(session, req.cloud, server_id=server.id, host=server.host, console_type=kind)
    return tokens.url(req.cloud, token, kind)


def _fields(version: Version) -> dict[str, schema.Check]:
    protocols, kinds = ["vnc", "spice", "serial", "rdp"], ["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5"]
    if version >= (2, 8):
        protocols.append("mks")
        kinds.append("webmks")
    if version >= (2, 99):
        kinds.append("spice-direct")
    return {"protocol": schema.one_of(*protocols), "type": schema.one_of(*kinds)}


def _action(protocol: str, *kinds: str) -> Action:
    def argument(version: Version, name: str, value: Any) -> Any:
        return schema.obj({"type": schema.one_of(*kinds)}, ("type",), version)(name, value)

    return Action(RULE, _run(protocol), argument=argument, guarded=False, status=200, until=(2, 5))


def _run(protocol: str) -> Callable[[Session, Request, Loaded, Any], dict[str, Any]]:
    def run(session: Session, req: Request, found: Loaded, argument: dict[str, str]) -> dict[str, Any]:
        kind = argument["type"]
        return {"console": {"type": kind, "url": _open(session, req, found, protocol, kind)}}

    return run


def _no_rdp(_version: Version, _name: str, _value: Any) -> Any:
    raise BadRequest(MALFORMED)


ACTIONS: dict[str, Action] = {
    "os-getVNCConsole": _action("vnc", "novnc", "xvpvnc"),
    "os-getSerialConsole": _action("serial", "serial"),
    "os-getSPICEConsole": _action("spice", "spice-html5"),
    "os-getRDPConsole": Action(RULE, argument=_no_rdp, until=(2, 5)),
}
