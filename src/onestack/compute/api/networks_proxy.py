"""Networks as clients before 2.36 ask compute for them: os-networks, os-tenant-networks; and what is gone for good.

Source: the compute API reference, "Networks (os-networks) (deprecated)" and "Obsolete APIs".
"""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.network import public_legacy as network

# What nova-network knew of a network. The network service has its own API for it; here all but two are null.
_NULL = (
    "broadcast", "cidr", "cidr_v6", "dns1", "dns2", "gateway", "gateway_v6", "netmask", "netmask_v6",
)  # fmt: skip
_NULL_FOR_ADMINS = (
    "bridge", "bridge_interface", "created_at", "deleted", "deleted_at", "dhcp_server", "dhcp_start", "enable_dhcp",
    "host", "injected", "mtu", "multi_host", "priority", "project_id", "rxtx_base", "share_address", "updated_at",
    "vlan", "vpn_private_address", "vpn_public_address", "vpn_public_port",
)  # fmt: skip


def index(req: Request) -> dict[str, Any]:
    return {"networks": [_render(req, *one) for one in _all(req)]}


def show(req: Request, network_id: str) -> dict[str, Any]:
    return {"network": _render(req, *_one(req, network_id))}


def index_tenant(req: Request) -> dict[str, Any]:
    return {"networks": [_render_tenant(*one) for one in _all(req)]}


def show_tenant(req: Request, network_id: str) -> dict[str, Any]:
    return {"network": _render_tenant(*_one(req, network_id))}


def _all(req: Request) -> list[tuple[str, str]]:
    with req.cloud.db.read() as session:
        return network.networks(session, req.ctx)


def _one(req: Request, network_id: str) -> tuple[str, str]:
    for found in _all(req):
        if found[0] == network_id:
            return found
    raise NotFound("Network not found")


def _render(req: Request, network_id: str, name: str) -> dict[str, Any]:
    names = (*_NULL, *_NULL_FOR_ADMINS) if req.ctx.is_admin else _NULL
    return {"id": network_id, "label": name, **dict.fromkeys(names)}


def _render_tenant(network_id: str, name: str) -> dict[str, str]:
    return {"id": network_id, "label": name, "cidr": "None"}
