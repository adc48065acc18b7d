"""Rules and their defaults, by Neutron's names (its policy reference).

Neutron has one kind of check of its own, `field:<collection>:<attribute>=<value>` (or `=~<pattern>`), which looks at
the object; it is registered here. Targets carry `network:project_id` and `security_group:project_id` for the rules
about the owners of those.
"""

from __future__ import annotations

import re
from typing import Any

from oslo_policy import _checks, policy

ADMIN = "rule:admin_only"
MEMBER = "(rule:admin_only) or (role:member and project_id:%(project_id)s)"
MANAGER = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)"
READER = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)"
SERVICE = "(rule:admin_only) or (rule:service_api)"
NET_OWNER = "(rule:admin_only) or (role:member and rule:network_owner)"
NET_OWNER_OR_SERVICE = f"{SERVICE} or (role:member and rule:network_owner)"
MEMBER_OR_NET_OWNER = f"{MEMBER} or (role:member and rule:network_owner)"
SG_MEMBER = "(rule:admin_only) or (role:member and rule:sg_owner)"
SG_READER = "(rule:admin_only) or (role:reader and rule:sg_owner)"
GUEST = "rule:compute_device or rule:baremetal_device or rule:manila_device"

_BASE = {
    "context_is_admin": "role:admin",
    "service_api": "role:service",
    "owner": "project_id:%(project_id)s",
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "context_is_advsvc": "role:advsvc",
    "admin_or_network_owner": "rule:context_is_admin or project_id:%(network:project_id)s",
    "admin_owner_or_network_owner": "rule:owner or rule:admin_or_network_owner",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_only": "rule:context_is_admin",
    "regular_user": "",
    "shared": "field:networks:shared=True",
    "external": "field:networks:router:external=True",
    "external_network": "field:subnets:router:external=True",
    "default": "rule:admin_or_owner",
    "sg_owner": "project_id:%(security_group:project_id)s",
    "network_device": "field:port:device_owner=~^network:",
    "compute_device": "field:port:device_owner=~^compute:",
    "baremetal_device": "field:port:device_owner=~^baremetal:",
    "manila_device": "field:port:device_owner=~^manila:",
}

_NETWORKS = {
    "create_network": MEMBER,
    "create_network:port_security_enabled": MEMBER,
    "get_network": f"{READER} or rule:service_api or rule:shared or rule:external or rule:context_is_advsvc",
    "update_network": MEMBER,
    "update_network:port_security_enabled": MEMBER,
    "delete_network": MEMBER,
    "create_network:tags": MEMBER,
    "update_network:tags": MEMBER,
    "delete_network:tags": MEMBER,
    **{
        f"{verb}_network:{attribute}": ADMIN
        for verb in ("create", "update")
        for attribute in (
            "shared", "router:external", "is_default", "provider:network_type", "provider:physical_network",
            "provider:segmentation_id",
        )
    },
    **{
        f"get_network:provider:{attribute}": ADMIN
        for attribute in ("network_type", "physical_network", "segmentation_id")
    },
}  # fmt: skip

_SUBNETS = {
    "create_subnet": NET_OWNER,
    "create_subnet:tags": MEMBER_OR_NET_OWNER,
    "get_subnet": f"{READER} or rule:shared or rule:external_network or (role:reader and rule:network_owner)"
    " or rule:service_api",
    "update_subnet": MEMBER_OR_NET_OWNER,
    "delete_subnet": MEMBER_OR_NET_OWNER,
    "update_subnet:tags": MEMBER_OR_NET_OWNER,
    "delete_subnet:tags": MEMBER_OR_NET_OWNER,
}

_PORTS = {
    "create_port": f"{NET_OWNER_OR_SERVICE} or rule:shared",
    "create_port:device_id": f"{MEMBER} or rule:service_api",
    "create_port:device_owner": f"not rule:network_device or {NET_OWNER_OR_SERVICE}",
    "create_port:fixed_ips": f"{NET_OWNER_OR_SERVICE} or rule:shared",
    "create_port:fixed_ips:subnet_id": f"{NET_OWNER_OR_SERVICE} or rule:shared",
    "create_port:binding:vnic_type": f"{MEMBER} or rule:service_api",
    "get_port": f"{SERVICE} or (role:reader and rule:network_owner) or (role:reader and project_id:%(project_id)s)",
    "update_port": f"{MEMBER} or rule:service_api",
    "update_port:device_id": f"{MEMBER} or rule:service_api",
    "update_port:device_owner": f"not rule:network_device or {NET_OWNER_OR_SERVICE}",
    "update_port:mac_address": f"{SERVICE} or (role:manager and rule:network_owner)",
    "update_port:fixed_ips": NET_OWNER_OR_SERVICE,
    "update_port:fixed_ips:subnet_id": f"{NET_OWNER_OR_SERVICE} or rule:shared",
    "update_port:binding:vnic_type": f"{MEMBER} or rule:service_api",
    "delete_port": f"{SERVICE} or (not ({GUEST}) and (role:member and rule:network_owner or role:member and "
    "project_id:%(project_id)s))",
    "create_port:tags": MEMBER,
    "update_port:tags": MEMBER_OR_NET_OWNER,
    "delete_port:tags": MEMBER_OR_NET_OWNER,
    "create_port:mac_address": NET_OWNER_OR_SERVICE,
    **{
        f"{verb}_port:{attribute}": NET_OWNER_OR_SERVICE
        for verb in ("create", "update")
        for attribute in (
            "fixed_ips:ip_address", "port_security_enabled", "allowed_address_pairs",
            "allowed_address_pairs:mac_address", "allowed_address_pairs:ip_address",
        )
    },
    **{f"{verb}_port:binding:host_id": SERVICE for verb in ("create", "update")},
    **{f"{verb}_port:binding:profile": "rule:service_api" for verb in ("create", "update")},
    **{
        f"get_port:binding:{attribute}": SERVICE for attribute in ("vif_type", "vif_details", "host_id", "profile")
    },
}  # fmt: skip

_L3 = {
    "get_router": READER,
    "delete_router": MEMBER,
    "add_router_interface": MEMBER,
    "remove_router_interface": MEMBER,
    "add_extraroutes": MEMBER,
    "remove_extraroutes": MEMBER,
    "create_router:tags": MEMBER,
    "delete_router:tags": MEMBER,
    "update_router:tags": MEMBER,
    **{
        f"{verb}_router{part}": check
        for verb in ("create", "update")
        for part, check in {
            "": MEMBER,
            ":external_gateway_info": MEMBER,
            ":external_gateway_info:network_id": MEMBER,
            ":external_gateway_info:enable_snat": ADMIN,
            ":external_gateway_info:external_fixed_ips": ADMIN,
        }.items()
    },
    "create_floatingip": MEMBER,
    "create_floatingip:floating_ip_address": MANAGER,
    "create_floatingip:router_id": MEMBER,
    "get_floatingip": READER,
    "update_floatingip": MEMBER,
    "update_floatingip:router_id": MEMBER,
    "delete_floatingip": MEMBER,
    "create_floatingip:tags": MEMBER,
    "update_floatingip:tags": MEMBER,
    "delete_floatingip:tags": MEMBER,
}

_SECURITY = {
    "create_security_group": MEMBER,
    "get_security_group": READER,
    "update_security_group": MEMBER,
    "delete_security_group": MEMBER,
    "create_security_group:tags": MEMBER,
    "update_security_group:tags": MEMBER,
    "delete_security_group:tags": MEMBER,
    "create_security_group_rule": SG_MEMBER,
    "get_security_group_rule": SG_READER,
    "delete_security_group_rule": SG_MEMBER,
}

_OTHER = {
    "get_quota": READER,  # Neutron asks only for other projects' limits, and documents the rule of those
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
    "get_agent": ADMIN,
    "update_agent": ADMIN,
    "get_auto_allocated_topology": READER,
    "delete_auto_allocated_topology": MEMBER,
    "get_availability_zone": "role:reader",
    "get_network_ip_availability": SERVICE,
    "get_service_provider": "role:reader",
}

POLICIES: dict[str, str] = {**_BASE, **_NETWORKS, **_SUBNETS, **_PORTS, **_L3, **_SECURITY, **_OTHER}


class FieldCheck(_checks.Check):
    """`field:port:device_owner=~^network:`: what an attribute of the target is."""

    def __init__(self, kind: str, match: str) -> None:
        super().__init__(kind, match)
        _, _, condition = match.partition(":")
        self.field, _, value = condition.partition("=")
        self.pattern = re.compile(value[1:]) if value.startswith("~") else None
        self.value = {"True": True, "False": False}.get(value, value)

    def __call__(self, target: Any, creds: Any, enforcer: Any, current_rule: Any = None) -> bool:
        found = target.get(self.field)
        if found is None:
            return False
        if self.pattern is not None:
            return bool(self.pattern.match(str(found)))
        return bool(found == self.value)


policy.register("field", FieldCheck)
