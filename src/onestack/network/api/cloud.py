"""What is there besides tenants' objects: agents, zones, service providers, used addresses, auto-allocated networks."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

import sqlalchemy as sa

from onestack.core.errors import Forbidden, NotFound
from onestack.core.http import Request
from onestack.network import addresses, attributes, auto, errors, ipam, listing, syncer
from onestack.network.models import Network, PortAddress, Subnet
from onestack.network.zones import ZONE

_AGENTS = uuid.UUID("5d1f3e0c-1c35-4a0e-9d55-3b0f6a6f4c11")  # namespace of agents' ids


def _agent(req: Request, chassis: Any) -> dict[str, Any]:
    now = req.cloud.clock.now().isoformat(sep=" ", timespec="seconds")
    return {
        "id": str(uuid.uuid5(_AGENTS, chassis.hostname)),
        "agent_type": "OVN Controller agent",
        "binary": "ovn-controller",
        "host": chassis.hostname,
        "topic": "n/a",
        "availability_zone": "",
        "alive": True,
        "admin_state_up": True,
        "description": "",
        "configurations": {
            "chassis_name": chassis.name,
            "bridge-mappings": ",".join(f"{name}:{req.cloud.settings.external_bridge}"
                                        for name in chassis.physical_networks),
        },
        "resources_synced": None,
        "created_at": now,
        "started_at": now,
        "heartbeat_timestamp": now,
    }  # fmt: skip


def agents(req: Request) -> dict[str, Any]:
    """A list is never refused: who may see no agent gets none."""
    flags = {name: [attributes.boolean(value) for value in req.get_all(name)] for name in ("alive", "admin_state_up")}
    if not req.allows("get_agent", {}) or any(values and True not in values for values in flags.values()):
        return {"agents": []}
    found = [_agent(req, one) for one in syncer.of(req.cloud).chassis]
    for name in ("host", "agent_type", "binary", "id"):
        wanted = req.get_all(name)
        if wanted:
            found = [one for one in found if one[name] in wanted]
    return {"agents": listing.fields(req, found)}


def agent(req: Request, agent_id: str) -> dict[str, Any]:
    """Who may see no agent finds none."""
    for one in (_agent(req, chassis) for chassis in syncer.of(req.cloud).chassis):
        if one["id"] == agent_id and req.allows("get_agent", {}):
            return {"agent": listing.fields(req, [one])[0]}
    raise errors.not_found("agent", agent_id)


def availability_zones(req: Request) -> dict[str, Any]:
    for name, _ in req.query:
        if name not in listing.RESERVED:
            raise errors.invalid_input(f"'{name}' is not supported for filtering")
    zones = [{"name": ZONE, "resource": resource, "state": "available"} for resource in ("network", "router")]
    return {"availability_zones": listing.fields(req, zones)}


def service_providers(req: Request) -> dict[str, Any]:
    found: list[dict[str, Any]] = [{"service_type": "L3_ROUTER_NAT", "name": "ovn", "default": True}]
    for name in ("service_type", "name"):
        wanted = req.get_all(name)
        found = [one for one in found if not wanted or one[name] in wanted]
    return {"service_providers": listing.fields(req, found)}


def ip_availabilities(req: Request) -> dict[str, Any]:
    """A list is never refused: who may see none gets none."""
    if not req.allows("get_network_ip_availability", {}):
        return {"network_ip_availabilities": []}
    wanted: dict[str, list[str]] = {}
    for name, value in req.query:
        wanted.setdefault(name, []).append(value)
    return {"network_ip_availabilities": listing.fields(req, _availabilities(req, wanted))}


def ip_availability(req: Request, network_id: str) -> dict[str, Any]:
    found = _availabilities(req, {"network_id": [network_id]})
    if not found:
        raise errors.not_found("network", network_id)
    if not req.allows("get_network_ip_availability", {}):
        raise NotFound("The resource could not be found.", kind="HTTPNotFound")
    return {"network_ip_availability": listing.fields(req, found)[0]}


def _availabilities(req: Request, wanted: dict[str, list[str]]) -> list[dict[str, Any]]:
    query = sa.select(Network.id, Network.name, Network.project_id).order_by(Network.created_at, Network.id)
    for name, column in (("network_id", Network.id), ("network_name", Network.name), ("project_id", Network.project_id),
                         ("tenant_id", Network.project_id)):  # fmt: skip
        if name in wanted:
            query = query.where(column.in_(wanted[name]))
    versions = [{"4": 4, "6": 6}.get(value, 0) for value in wanted.get("ip_version", ())]
    with req.cloud.db.read() as session:
        networks = session.execute(query).all()
        subnets = sa.select(*Subnet.__table__.c).where(Subnet.network_id.in_([row.id for row in networks]))
        if versions:
            subnets = subnets.where(Subnet.ip_version.in_(versions))
        rows = session.execute(subnets).all()
        used = {
            row[0]: row[1]
            for row in session.execute(
                sa.select(PortAddress.subnet_id, sa.func.count())
                .where(PortAddress.subnet_id.in_([row.id for row in rows]))
                .group_by(PortAddress.subnet_id)
            )
        }
    found = []
    for network in networks:
        lines = [_subnet_line(row, used.get(row.id, 0)) for row in rows if row.network_id == network.id]
        if versions and not lines:
            continue
        found.append(
            {
                "network_id": network.id, "network_name": network.name, "project_id": network.project_id,
                "tenant_id": network.project_id, "total_ips": sum(line["total_ips"] for line in lines),
                "used_ips": sum(line["used_ips"] for line in lines), "subnet_ip_availability": lines,
            }
        )  # fmt: skip
    return found


def _subnet_line(row: Any, used: int) -> dict[str, Any]:
    pools = addresses.pools_of(row)
    first, last = ipam.usable(ipaddress.ip_network(row.cidr))
    return {
        "subnet_id": row.id, "subnet_name": row.name, "cidr": row.cidr, "ip_version": row.ip_version,
        "total_ips": ipam.size(pools) if pools else last - first + 1, "used_ips": used,
    }  # fmt: skip


def _project(req: Request, project_id: str) -> str:
    found = (req.ctx.project_id or "") if project_id in ("null", "None") else project_id
    target = {"project_id": found, "tenant_id": found}
    if found != req.ctx.project_id and not req.ctx.is_admin:
        raise Forbidden("Not authorized.", kind="NotAuthorized")
    req.authorize(target)
    return found


def topology(req: Request, project_id: str) -> dict[str, Any]:
    """The project's auto-allocated network; asking for it makes it (`fields=dry-run` only says whether it could)."""
    project = _project(req, project_id)
    if "dry-run" in req.get_all("fields"):
        with req.cloud.db.read() as session:
            auto.check(session)
        network_id = "dry-run=pass"
    else:
        with req.cloud.db.write() as session:
            network_id = auto.ensure(session, req.cloud, req.ctx, project)
    return {"auto_allocated_topology": {"id": network_id, "tenant_id": project, "project_id": project}}


def delete_topology(req: Request, project_id: str) -> None:
    project = _project(req, project_id)
    with req.cloud.db.write() as session:
        auto.remove(session, req.cloud, req.ctx, project)
