"""/, /v2.0 and /v2.0/extensions: what the API is and what it can do."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.network import listing

# alias → (name, description). Only what works: clients and test suites go by this list.
EXTENSIONS: dict[str, tuple[str, str]] = {
    "agent": ("agent", "Hosts that take part in the networks."),
    "allowed-address-pairs": ("Allowed Address Pairs", "Further addresses that a port may use."),
    "auto-allocated-topology": ("Auto Allocated Topology Services", "A network on demand for each project."),
    "availability_zone": ("Availability Zone", "Zones of networks and routers."),
    "binding": ("Port Binding", "The host that a port is wired on, and how."),
    "dns-integration": ("DNS Integration", "Names of ports."),
    "empty-string-filtering": ("Empty String Filtering Extension", "Filters by an empty value."),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Routers with and without SNAT."),
    "external-net": ("Neutron external network", "Networks that lead outside."),
    "extraroute": ("Neutron Extra Route", "Static routes of routers."),
    "extraroute-atomic": ("Atomically add/remove extra routes", "Changes of some routes of a router."),
    "fip-port-details": ("Floating IP Port Details Extension", "The port behind a floating IP."),
    "filter-validation": ("Filter parameters validation", "Lists refuse filters that there are not."),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of their address."),
    "l2_adjacency": ("L2 Adjacency", "Whether a network is one segment."),
    "net-mtu": ("Network MTU", "The MTU of networks."),
    "net-mtu-writable": ("Network MTU (writable)", "A network's MTU can be chosen and changed."),
    "network-ip-availability": ("Network IP Availability", "How many addresses are used."),
    "network_availability_zone": ("Network Availability Zone", "Zones of networks."),
    "pagination": ("Pagination support", "Lists in pages."),
    "port-security": ("Port Security", "Filters against forged addresses, which can be turned off."),
    "project-id": ("project_id field enabled", "project_id is tenant_id."),
    "provider": ("Provider Network", "The physical network that a network is on."),
    "quota-check-limit": ("Quota engine limit check", "Refuse limits that are lower than the usage."),
    "quota-check-limit-default": ("Quota engine limit check by default", "Unless they are forced."),
    "quota_details": ("Quota details management support", "Limits with usage."),
    "quotas": ("Quota management support", "Limits for each project."),
    "revision-if-match": ("If-Match constraints based on revision_number", "Changes that insist on a revision."),
    "router": ("Neutron L3 Router", "Routers and floating IPs."),
    "router_availability_zone": ("Router Availability Zone", "Zones of routers."),
    "security-group": ("security-group", "Which packets may come and go."),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "normalized_cidr in rules."),
    "security-groups-rules-belongs-to-default-sg": (
        "Security group rule belongs to the project's default security group",
        "Whether a rule is one of a project's default group.",
    ),
    "service-type": ("Neutron Service Type Management", "What provides a service."),
    "sorting": ("Sorting support", "Lists in a chosen order."),
    "standard-attr-description": ("standard-attr-description", "Descriptions of all objects."),
    "standard-attr-revisions": ("Resource revision numbers", "Numbers that grow with each change."),
    "router-enable-snat": ('Exposes the router "enable_snat" read-only configuration flag', "enable_snat of routers."),
    "standard-attr-tag": (
        "Tag support for resources with standard attribute: port, subnet, network, security_group, router, floatingip",
        "Tags of objects.",
    ),
    "standard-attr-timestamp": ("Resource timestamps", "When objects were made and changed."),
    "subnet-external-network": ("Subnet belongs to an external network", "All see subnets of external networks."),
    "subnet-service-types": ("Subnet service types", "Subnets for ports of some owners."),
    "tag-creation": ("Tag creation extension", "Tags are added to those that are there; ports are made with them."),
}  # fmt: skip
_UPDATED = "2026-01-01T10:00:00-00:00"

_COLLECTIONS = [collection.replace("_", "-") for collection in listing.COLLECTIONS.values()]


def _version(req: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "CURRENT",
        "updated": "2014-12-12T00:00:00Z",
        "links": [{"rel": "self", "href": f"{req.base_url}/v2.0/"}],
    }


def root(req: Request) -> dict[str, Any]:
    return {"versions": [_version(req)]}


def v2(req: Request) -> dict[str, Any]:
    resources = [
        {
            "name": name.removesuffix("s"),
            "collection": name,
            "links": [{"rel": "self", "href": f"{req.base_url}/v2.0/{name}"}],
        }
        for name in ("extensions", *_COLLECTIONS)
    ]
    return {"resources": resources, "version": _version(req)}


def _extension(alias: str) -> dict[str, Any]:
    name, description = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": description, "updated": _UPDATED, "links": []}


def extensions(req: Request) -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in EXTENSIONS]}


def extension(req: Request, alias: str) -> dict[str, Any]:
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="HTTPNotFound")
    return {"extension": _extension(alias)}
