"""What clients see of rows. Each function renders many rows with a constant number of queries."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import seconds
from onestack.core.cloud import Cloud
from onestack.core.db import fetch, many
from onestack.network import objects
from onestack.network.models import (
    Network,
    Port,
    PortAddress,
    PortSecurityGroup,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from onestack.network.zones import ZONE

Rendered = list[dict[str, Any]]
DNS_DOMAIN = "openstacklocal"


_SUBNETS = (
    sa.select(Subnet.id, Subnet.network_id).where(Subnet.network_id.in_(many("networks"))).order_by(Subnet.created_at)
)
_NETWORKS = sa.select(
    Network.id, Network.project_id, Network.shared, Network.external, Network.dns_domain
).where(Network.id.in_(many("networks")))  # fmt: skip
_ADDRESSES = (
    sa.select(PortAddress.port_id, PortAddress.subnet_id, PortAddress.ip_address)
    .where(PortAddress.port_id.in_(many("ports")))
    .order_by(PortAddress.position)
)
_GROUPS = sa.select(PortSecurityGroup.port_id, PortSecurityGroup.security_group_id).where(
    PortSecurityGroup.port_id.in_(many("ports"))
)


def _standard(row: Any, tags: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "tags": tags.get(row.id, []),
        "created_at": seconds(row.created_at),
        "updated_at": seconds(row.updated_at),
        "revision_number": row.revision_number,
    }


def networks(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    ids = [row.id for row in rows]
    tags = objects.tags_of(session, ids)
    subnets: dict[str, list[str]] = {}
    for found in fetch(session, _SUBNETS, networks=ids):
        subnets.setdefault(found.network_id, []).append(found.id)
    return [
        {
            **_standard(row, tags),
            "name": row.name,
            "admin_state_up": row.admin_state_up,
            "status": "ACTIVE",
            "subnets": subnets.get(row.id, []),
            "shared": row.shared,
            "router:external": row.external,
            # Neutron knows of it only where it matters.
            **({"is_default": row.is_default} if row.external else {}),
            "mtu": row.mtu,
            "port_security_enabled": row.port_security_enabled,
            "dns_domain": row.dns_domain,
            "ipv4_address_scope": None,
            "ipv6_address_scope": None,
            "l2_adjacency": True,
            "availability_zone_hints": row.availability_zone_hints,
            "availability_zones": [],
            "provider:network_type": row.network_type,
            "provider:physical_network": row.physical_network,
            "provider:segmentation_id": row.segmentation_id,
        }
        for row in rows
    ]


def subnets(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    tags = objects.tags_of(session, [row.id for row in rows])
    external = _networks(session, rows)
    return [
        {
            **_standard(row, tags),
            "name": row.name,
            "network_id": row.network_id,
            "ip_version": row.ip_version,
            "cidr": row.cidr,
            "gateway_ip": row.gateway_ip,
            "allocation_pools": [{"start": first, "end": last} for first, last in row.allocation_pools],
            "dns_nameservers": row.dns_nameservers,
            "host_routes": row.host_routes,
            "enable_dhcp": row.enable_dhcp,
            "ipv6_ra_mode": row.ipv6_ra_mode,
            "ipv6_address_mode": row.ipv6_address_mode,
            "service_types": row.service_types,
            "subnetpool_id": None,
            "router:external": external[row.network_id].external,
        }
        for row in rows
    ]


def _networks(session: Session, rows: Sequence[Any]) -> dict[str, Any]:
    ids = list({row.network_id for row in rows})
    return {row.id: row for row in fetch(session, _NETWORKS, networks=ids)}


def port_list(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    ids = [row.id for row in rows]
    tags = objects.tags_of(session, ids)
    addresses: dict[str, list[dict[str, str]]] = {}
    for found in fetch(session, _ADDRESSES, ports=ids):
        addresses.setdefault(found.port_id, []).append({"subnet_id": found.subnet_id, "ip_address": found.ip_address})
    groups: dict[str, list[str]] = {}
    for member in fetch(session, _GROUPS, ports=ids):
        groups.setdefault(member.port_id, []).append(member.security_group_id)
    bridge = cloud.settings.integration_bridge
    return [
        {
            **_standard(row, tags),
            "name": row.name,
            "network_id": row.network_id,
            "mac_address": row.mac_address,
            "admin_state_up": row.admin_state_up,
            "status": row.status,
            "device_id": row.device_id,
            "device_owner": row.device_owner,
            "fixed_ips": addresses.get(row.id, []),
            "security_groups": sorted(groups.get(row.id, [])),
            "port_security_enabled": row.port_security_enabled,
            "allowed_address_pairs": _pairs(row),
            "extra_dhcp_opts": [],
            "dns_name": row.dns_name,
            "dns_assignment": [_dns(row, fixed["ip_address"]) for fixed in addresses.get(row.id, [])],
            **_binding(row, bridge),
        }
        for row in rows
    ]


def _pairs(row: Any) -> list[dict[str, str]]:
    return [{"mac_address": row.mac_address, **pair} for pair in row.allowed_address_pairs]


def _dns(row: Any, address: str) -> dict[str, str]:
    hostname = row.dns_name or "host-" + address.replace(".", "-").replace(":", "-")
    return {"hostname": hostname, "ip_address": address, "fqdn": f"{hostname}.{DNS_DOMAIN}."}


def _binding(row: Any, bridge: str) -> dict[str, Any]:
    bound = bool(row.host) and not row.device_owner.startswith("network:")
    details = {"port_filter": True, "connectivity": "l2", "bridge_name": bridge, "bound_drivers": {"0": "ovn"}}
    return {
        "binding:host_id": row.host,
        "binding:profile": row.profile,
        "binding:vnic_type": row.vnic_type,
        "binding:vif_type": "ovs" if bound else "unbound",
        "binding:vif_details": details if bound else {},
    }


def routers(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    tags = objects.tags_of(session, [row.id for row in rows])
    gateways: dict[str, dict[str, Any]] = {}
    query = (
        sa.select(Port.id, Port.network_id, PortAddress.subnet_id, PortAddress.ip_address)
        .outerjoin(PortAddress, PortAddress.port_id == Port.id)
        .where(Port.id.in_([row.gateway_port_id for row in rows if row.gateway_port_id]))
        .order_by(PortAddress.position)
    )
    for found in session.execute(query):
        info = gateways.setdefault(found.id, {"network_id": found.network_id, "external_fixed_ips": []})
        if found.subnet_id is not None:
            info["external_fixed_ips"].append({"subnet_id": found.subnet_id, "ip_address": found.ip_address})
    return [
        {
            **_standard(row, tags),
            "name": row.name,
            "admin_state_up": row.admin_state_up,
            "status": "ACTIVE",
            "external_gateway_info": (
                {**gateways[row.gateway_port_id], "enable_snat": row.enable_snat} if row.gateway_port_id else None
            ),
            "enable_snat": row.enable_snat,
            "routes": row.routes,
            "availability_zone_hints": row.availability_zone_hints,
            "availability_zones": [ZONE],
            "flavor_id": None,
        }
        for row in rows
    ]


def floating_ips(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    tags = objects.tags_of(session, [row.id for row in rows])
    details: dict[str, dict[str, Any]] = {}
    query = sa.select(
        Port.id, Port.name, Port.network_id, Port.mac_address, Port.admin_state_up, Port.status, Port.device_id,
        Port.device_owner,
    ).where(Port.id.in_([row.port_id for row in rows if row.port_id]))  # fmt: skip
    for found in session.execute(query):
        detail = dict(found._mapping)
        details[detail.pop("id")] = detail
    return [
        {
            **_standard(row, tags),
            "floating_network_id": row.floating_network_id,
            "floating_ip_address": row.floating_ip_address,
            "fixed_ip_address": row.fixed_ip_address,
            "port_id": row.port_id,
            "router_id": row.router_id,
            "status": row.status,
            "port_details": details.get(row.port_id),
            "port_forwardings": [],
            "dns_name": row.dns_name,
            "dns_domain": "",
            "qos_policy_id": None,
        }
        for row in rows
    ]


def security_groups(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    tags = objects.tags_of(session, [row.id for row in rows])
    table = SecurityGroupRule.__table__
    query = (
        sa.select(*table.c)
        .where(table.c.security_group_id.in_([row.id for row in rows]))
        .order_by(table.c.created_at, table.c.id)
    )
    rules: dict[str, list[Any]] = {}
    for rule in session.execute(query):
        rules.setdefault(rule.security_group_id, []).append(rule)
    return [
        {
            **_standard(row, tags),
            "name": row.name,
            "stateful": row.stateful,
            "shared": False,
            "security_group_rules": [
                {**_rule(rule), "tags": [], "belongs_to_default_sg": row.default_of is not None}
                for rule in rules.get(row.id, [])
            ],
        }
        for row in rows
    ]


def security_group_rules(session: Session, cloud: Cloud, rows: Sequence[Any]) -> Rendered:
    query = sa.select(SecurityGroup.id).where(
        SecurityGroup.id.in_({row.security_group_id for row in rows}), SecurityGroup.default_of.is_not(None)
    )
    default = set(session.scalars(query))
    return [{**_rule(row), "belongs_to_default_sg": row.security_group_id in default} for row in rows]


def _rule(row: Any) -> dict[str, Any]:
    """A rule, which has no tags."""
    prefix = row.remote_ip_prefix
    standard = _standard(row, {})
    del standard["tags"]
    return {
        **standard,
        "security_group_id": row.security_group_id,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": prefix,
        "normalized_cidr": str(ipaddress.ip_network(prefix, strict=False)) if prefix else None,
        "remote_group_id": row.remote_group_id,
        "remote_address_group_id": None,
    }


RENDER = {
    "network": networks,
    "subnet": subnets,
    "port": port_list,
    "router": routers,
    "floatingip": floating_ips,
    "security_group": security_groups,
    "security_group_rule": security_group_rules,
}


def targets(session: Session, resource: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What policy rules look at, for each row: owner, the network's or the group's owner, sharing, device_owner."""
    found: list[dict[str, Any]] = []
    nets = _networks(session, rows) if resource in ("subnet", "port") and rows else {}
    owners: dict[str, str] = {}
    if resource == "security_group_rule" and rows:
        ids = {row.security_group_id for row in rows}
        query = sa.select(SecurityGroup.id, SecurityGroup.project_id).where(SecurityGroup.id.in_(ids))
        owners = {row.id: row.project_id for row in session.execute(query)}
    for row in rows:
        target: dict[str, Any] = {"project_id": row.project_id, "tenant_id": row.project_id}
        if resource == "network":
            target |= {"shared": row.shared, "router:external": row.external, "network:project_id": row.project_id}
        elif resource in ("subnet", "port"):
            network = nets[row.network_id]
            target |= {
                "network:project_id": network.project_id, "shared": network.shared, "router:external": network.external,
            }  # fmt: skip
            if resource == "port":
                target["device_owner"] = row.device_owner
        elif resource == "security_group_rule":
            target["security_group:project_id"] = owners.get(row.security_group_id)
        found.append(target)
    return found
