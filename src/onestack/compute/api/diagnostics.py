"""GET /servers/{id}/diagnostics: what the hypervisor knows of a guest, asked of its host."""

from __future__ import annotations

from typing import Any

from onestack.compute import links, questions, servers
from onestack.core.errors import Conflict
from onestack.core.http import Request, Response


async def show(req: Request, server_id: str) -> Response:
    links.refuse_unknown_query(req, frozenset(), since=(2, 102))
    host = await req.run(_host, req, server_id)
    figures = await questions.ask(req, host, server_id, "diagnostics")
    return Response(figures if req.version >= (2, 48) else _flat(figures), 200)


def _host(req: Request, server_id: str) -> str:
    with req.cloud.db.read() as session:
        found = servers.load(req, session, server_id)
        found.check("get_diagnostics")
        if found.server.host is None:
            raise Conflict(f"Instance {server_id} is not ready")
        return found.server.host


def _flat(figures: dict[str, Any]) -> dict[str, Any]:
    """The form before 2.48: one flat object with libvirt's own names."""
    flat: dict[str, Any] = {}
    for number, cpu in enumerate(figures.get("cpu_details") or []):
        flat[f"cpu{cpu.get('id', number)}_time"] = cpu.get("time")
    memory = figures.get("memory_details") or {}
    flat["memory"] = (memory.get("maximum") or 0) * 1024
    for number, nic in enumerate(figures.get("nic_details") or []):
        for key, value in nic.items():
            if key != "mac_address":
                flat[f"vnet{number}_{key.replace('octets', '').rstrip('_')}"] = value
    for number, disk in enumerate(figures.get("disk_details") or []):
        for key, value in disk.items():
            flat[f"vd{chr(97 + number)}_{key}"] = value
    return flat
