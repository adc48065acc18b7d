"""What Nova had and took away for every microversion: 410, whatever is asked of it. Mounted like routes.ROUTES."""

from __future__ import annotations

from typing import Any

from onestack.compute.dialect import GONE
from onestack.core.errors import Gone
from onestack.core.http import Request
from onestack.core.routes import Route

_CONSOLES, _CELLS = "/servers/{server_id}/consoles", "/os-cells"

_ENTRY = "/os-floating-ip-dns/{domain}/entries/{entry}"

_GONE = (
    ("GET", "/servers/{server_id}/os-virtual-interfaces"), ("GET", _CONSOLES), ("POST", _CONSOLES),
    ("GET", f"{_CONSOLES}/{{name}}"), ("DELETE", f"{_CONSOLES}/{{name}}"), ("PUT", "/os-agents/{name}"),
    ("DELETE", "/os-agents/{name}"), ("POST", _CELLS), ("GET", f"{_CELLS}/capacities"), ("GET", f"{_CELLS}/detail"),
    ("GET", f"{_CELLS}/info"), ("POST", f"{_CELLS}/sync_instances"), ("GET", f"{_CELLS}/{{name}}"),
    ("PUT", f"{_CELLS}/{{name}}"), ("DELETE", f"{_CELLS}/{{name}}"), ("GET", f"{_CELLS}/{{name}}/capacities"),
    ("PUT", "/os-cloudpipe/{name}"),
    ("POST", "/os-networks"), ("POST", "/os-networks/add"), ("DELETE", "/os-networks/{network_id}"),
    ("POST", "/os-networks/{network_id}/action"), ("POST", "/os-tenant-networks"),
    ("DELETE", "/os-tenant-networks/{network_id}"), ("GET", "/os-fixed-ips/{address}"),
    ("POST", "/os-fixed-ips/{address}/action"), ("GET", "/os-floating-ips-bulk"), ("POST", "/os-floating-ips-bulk"),
    ("GET", "/os-floating-ips-bulk/{host}"), ("PUT", "/os-floating-ips-bulk/{host}"), ("GET", "/os-floating-ip-dns"),
    ("GET", "/os-security-group-default-rules"), ("POST", "/os-security-group-default-rules"), ("GET", "/os-cells"),
    ("GET", "/os-certificates/{name}"), ("POST", "/os-certificates"), ("GET", "/os-cloudpipe"),
    ("POST", "/os-cloudpipe"), ("GET", "/os-fping"), ("GET", "/os-fping/{server_id}"), ("GET", "/os-agents"),
    ("POST", "/os-agents"), ("PUT", "/os-floating-ip-dns/{domain}"), ("DELETE", "/os-floating-ip-dns/{domain}"),
    ("GET", _ENTRY), ("PUT", _ENTRY), ("DELETE", _ENTRY), ("GET", "/os-security-group-default-rules/{rule_id}"),
    ("DELETE", "/os-security-group-default-rules/{rule_id}"),
)  # fmt: skip


def gone(_req: Request, **_params: Any) -> None:
    raise Gone(GONE)


ROUTES = [Route(method, path, gone) for method, path in _GONE]
