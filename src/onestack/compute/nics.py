"""Servers' network interfaces: what network says of them, in compute's forms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import schema
from onestack.compute.models import Server
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request
from onestack.network import public as network
from onestack.network.public import Nic, NicRequest

AUTO, NONE = "auto", "none"


def of(session: Session, server_ids: Sequence[str]) -> dict[str, list[Nic]]:
    """Server id → its interfaces in their order."""
    return network.info(session, server_ids) if server_ids else {}


def addresses(ports: Iterable[Nic]) -> dict[str, list[dict[str, Any]]]:
    """Network name → addresses, as `addresses` of a server shows them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for nic in ports:
        entries = found.setdefault(nic.network_name, [])
        for fixed in nic.fixed_ips:
            entries.append(_address(fixed.address, "fixed", nic.mac))
            for floating, target in nic.floating_ips:
                if target == fixed.address:
                    entries.append(_address(floating, "floating", nic.mac))
    return found


def _address(address: str, kind: str, mac: str) -> dict[str, Any]:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": mac,
    }


def security_groups(ports: Iterable[Nic]) -> list[dict[str, str]]:
    """The names of the groups of all interfaces, each group once."""
    groups = {group_id: name for nic in ports for group_id, name in nic.security_groups}
    return [{"name": name} for name in groups.values()]


def requested(networks: Any) -> str | list[NicRequest]:
    """The `networks` of a create, checked: AUTO, NONE, or requests. Without any: on the project's only network."""
    if isinstance(networks, str):
        return networks
    found: list[NicRequest] = []
    for entry in networks or []:
        port, uuid, fixed = entry.get("port"), entry.get("uuid"), entry.get("fixed_ip")
        if port is not None and any(port == other.port_id for other in found):
            raise BadRequest(f"Port ID '{port}' was specified twice: you cannot attach a port multiple times.")
        if port is not None and fixed is not None:
            raise BadRequest(
                f"Specified Fixed IP '{fixed}' cannot be used with port '{port}': the two cannot be specified together."
            )
        if port is None and "uuid" not in entry:
            raise BadRequest("Bad network format: missing 'uuid'")
        if port is None and not schema.is_uuid(uuid):
            raise BadRequest(f"Bad networks format: network uuid is not in proper format ({uuid})")
        found.append(NicRequest(network_id=None if port else uuid, port_id=port, fixed_ip=fixed, tag=entry.get("tag")))
    return found or [NicRequest()]


def allocate(
    session: Session,
    req: Request,
    server: Server,
    wanted: str | list[NicRequest],
    groups: list[dict[str, str]] | None,
) -> list[Nic]:
    """Ports for a new server. What network doesn't find is a mistake of the request: raises BadRequest, Conflict."""
    if wanted == NONE:
        return []
    names = list(dict.fromkeys(group["name"] for group in groups or [] if group.get("name")))
    try:
        if isinstance(wanted, str):
            wanted = [NicRequest(network_id=_automatic(session, req))]
        return network.allocate(
            session, req.cloud, req.ctx, server.id, wanted, security_groups=names, hostname=server.hostname,
            project_id=server.project_id,
        )  # fmt: skip
    except NotFound as error:
        raise BadRequest(error.message) from None


def _automatic(session: Session, req: Request) -> str:
    try:
        return network.auto_network(session, req.cloud, req.ctx)
    except Conflict as error:
        if error.kind == "NetworkAmbiguous":
            raise
        raise BadRequest(f"Unable to automatically allocate a network for project {req.ctx.project_id}") from None


def attach(session: Session, req: Request, server: Server, wanted: NicRequest) -> Nic:
    """One more interface: of a port, on a network, or on the only one there is; bound to the host at once."""
    return network.attach(
        session, req.cloud, req.ctx, server.id, wanted, host=server.host or "", hostname=server.hostname,
        project_id=server.project_id,
    )  # fmt: skip


def detach(session: Session, req: Request, server: Server, port_id: str) -> None:
    network.detach(session, req.cloud, server.id, port_id)


def change_group(session: Session, req: Request, server: Server, group: str, *, add: bool) -> None:
    """Put a security group on all interfaces of a server, or take it off. Raises NotFound, BadRequest."""
    network.set_security_group(session, req.cloud, req.ctx, server.id, group, add=add)
