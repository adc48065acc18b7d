"""Servers' network interfaces: what network says of them, in compute's forms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import schema
from onestack.compute.models import Server
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.network import public as network
from onestack.network.public import Nic, NicRequest


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
            entries.extend(_address(floating, "floating", nic.mac) for floating in fixed.floating)
    return found


def _address(address: str, kind: str, mac: str) -> dict[str, Any]:
    return {
        "version": 6 if ":" in address else 4, "addr": address, "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": mac,
    }  # fmt: skip


def security_groups(ports: Iterable[Nic]) -> list[dict[str, str]]:
    """The names of the groups of all interfaces, each once."""
    names = {name: None for nic in ports for name in nic.security_groups}
    return [{"name": name} for name in names]


def requested(networks: Any, count: int) -> Any:
    """The `networks` of a create, checked: None (whatever the project has), "auto", "none" or network.NicRequests."""
    if networks is None or isinstance(networks, str):
        return networks
    found = []
    for entry in networks:
        port, uuid, fixed = entry.get("port"), entry.get("uuid"), entry.get("fixed_ip")
        if port is None and not schema.is_uuid(uuid):
            if uuid is None:
                raise BadRequest("Bad networks format: network uuid is not in proper format (None)")
            raise BadRequest(f"Bad networks format: network uuid is not in proper format ({uuid})")
        if port is not None and fixed is not None:
            raise BadRequest(f"Specified Fixed IP '{fixed}' cannot be used with port '{port}': the two cannot be "
                             "specified together.")  # fmt: skip
        if count > 1 and port is not None:
            raise BadRequest("Unable to launch multiple instances with a single configured port ID. Please launch your "
                             "instance one by one with different ports.")  # fmt: skip
        if count > 1 and fixed is not None:
            raise BadRequest("Invalid fixed IP Address in server create request: max_count must be 1 if a fixed IP is "
                             "given.")  # fmt: skip
        found.append(NicRequest(network_id=None if port else uuid, port_id=port, fixed_ip=fixed, tag=entry.get("tag")))
    return found or None


def allocate(
    session: Session, req: Request, server_id: str, wanted: Any, groups: list[dict[str, str]] | None
) -> list[Nic]:
    """Ports for a server. What network doesn't find is a mistake of the request: raises BadRequest, Conflict."""
    names = [group["name"] for group in groups or [] if group.get("name")]
    try:
        return network.allocate(
            session, req.cloud, req.ctx, server_id, wanted, security_groups=names or None
        )
    except NotFound as error:
        raise BadRequest(error.message) from None


def attach(
    session: Session, req: Request, server: Server, network_id: str | None, port_id: str | None, fixed_ip: str | None,
    tag: str | None,
) -> Nic:  # fmt: skip
    """One more interface: of a port, on a network, or on whatever network the project has. Bound to the host at once."""
    wanted: Any = None
    if network_id or port_id:
        wanted = [NicRequest(network_id=network_id, port_id=port_id, fixed_ip=fixed_ip, tag=tag)]
    try:
        added = network.allocate(session, req.cloud, req.ctx, server.id, wanted)
    except NotFound as error:
        raise NotFound(error.message) from None
    if len(added) != 1:
        raise BadRequest("The project has no network to attach. Name one.")
    if server.host is not None:
        network.bind(session, req.cloud, server.id, server.host)
    return added[0]


def detach(session: Session, req: Request, server: Server, port_id: str) -> None:
    network.detach(session, req.cloud, server.id, port_id)


def change_group(session: Session, req: Request, server: Server, group: str, change: str) -> None:
    """Put a security group on all interfaces of a server, or take it off. Raises NotFound."""
    if change == "add":
        network.add_security_group(session, req.cloud, req.ctx, server.id, group)
    else:
        network.remove_security_group(session, req.cloud, req.ctx, server.id, group)
