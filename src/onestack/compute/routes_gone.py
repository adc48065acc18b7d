"""What Nova had and took away for every microversion: 410, whatever is asked of it. Mounted like routes.ROUTES."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import Gone
from onestack.core.http import Request
from onestack.core.routes import Route

_CONSOLES, _CELLS = "/servers/{server_id}/consoles", "/os-cells"

_GONE = (
    ("GET", "/servers/{server_id}/os-virtual-interfaces"), ("GET", _CONSOLES), ("POST", _CONSOLES),
    ("GET", f"{_CONSOLES}/{{name}}"), ("DELETE", f"{_CONSOLES}/{{name}}"), ("PUT", "/os-agents/{name}"),
    ("DELETE", "/os-agents/{name}"), ("POST", _CELLS), ("GET", f"{_CELLS}/capacities"), ("GET", f"{_CELLS}/detail"),
    ("GET", f"{_CELLS}/info"), ("POST", f"{_CELLS}/sync_instances"), ("GET", f"{_CELLS}/{{name}}"),
    ("PUT", f"{_CELLS}/{{name}}"), ("DELETE", f"{_CELLS}/{{name}}"), ("GET", f"{_CELLS}/{{name}}/capacities"),
    ("PUT", "/os-cloudpipe/{name}"),
)  # fmt: skip


def gone(_req: Request, **_params: Any) -> None:
    raise Gone("This resource is no longer available. No forwarding address is given.")


ROUTES = [Route(method, path, gone) for method, path in _GONE]
