"""A good request for each route: what stands in its path, and bodies that the real services accept.

`$name` means `World.ids[name]`. A route that isn't named here takes no body, or gets one of its neighbours'.
"""

from __future__ import annotations

import re
from typing import Any

from onestack.core.routes import Route
from tests.contract.world import HOST, KEY, MARK, PASSWORD, service_of

Bodies = dict[tuple[str, str, str], list[Any]]

_DOMAIN = "default"
_LOGIN = {"name": "ann", "password": PASSWORD, "domain": {"id": _DOMAIN}}
_PASSWORD = {"methods": ["password"], "password": {"user": _LOGIN}}

IDENTITY: Bodies = {
    ("identity", "POST", "/v3/auth/tokens"): [
        {"auth": {"identity": _PASSWORD}},
        {"auth": {"identity": _PASSWORD, "scope": {"project": {"id": "$project_id"}}}},
        {"auth": {"identity": _PASSWORD, "scope": {"project": {"name": "alpha", "domain": {"name": "Default"}}}}},
        {"auth": {"identity": _PASSWORD, "scope": {"domain": {"id": _DOMAIN}}}},
        {"auth": {"identity": _PASSWORD, "scope": {"system": {"all": True}}}},
        {"auth": {"identity": _PASSWORD, "scope": "unscoped"}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "$token"}}}},
        {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {
            "id": "$application_credential_id", "secret": "wrong"}}}},
        {"auth": {"identity": {"methods": ["totp"], "totp": {"user": {"id": "$user_id", "passcode": "123456"}}}}},
        {"auth": {"identity": _PASSWORD, "scope": {"OS-TRUST:trust": {"id": "$trust_id"}}}},
    ],
    ("identity", "POST", "/v3/OS-TRUST/trusts"): [
        {"trust": {"trustor_user_id": "$user_id", "trustee_user_id": "$ned", "project_id": "$project_id",
                   "impersonation": False, "roles": [{"id": "$member_role"}], "expires_at": "2027-01-01T00:00:00Z",
                   "remaining_uses": 3, "allow_redelegation": False, "redelegation_count": 0}},
        {"trust": {"trustor_user_id": "$user_id", "trustee_user_id": "$ned", "project_id": "$project_id",
                   "impersonation": True, "roles": [{"name": "member"}], "allow_redelegation": True}},
    ],
    ("identity", "POST", "/v3/domains"): [{"domain": {"name": "d", "description": "", "enabled": True, "options": {}}}],
    ("identity", "POST", "/v3/projects"): [
        {"project": {"name": "p", "domain_id": _DOMAIN, "parent_id": "$project_id", "description": "", "tags": ["a"],
                     "enabled": True, "is_domain": False, "options": {"immutable": True}}},
        {"project": {"name": "p", "is_domain": True}},
    ],
    ("identity", "PUT", "/v3/projects/{project_id}/tags"): [{"tags": ["a", "b"]}],
    ("identity", "POST", "/v3/users"): [
        {"user": {"name": "u", "password": "secret", "domain_id": _DOMAIN, "default_project_id": "$project_id",
                  "email": "u@example.org", "enabled": True, "description": "",
                  "options": {"ignore_password_expiry": True}}},
    ],
    ("identity", "POST", "/v3/users/{user_id}/password"): [
        {"user": {"password": "newsecret", "original_password": PASSWORD}},
    ],
    ("identity", "POST", "/v3/users/{user_id}/application_credentials"): [
        {"application_credential": {
            "name": "a", "description": "", "secret": "s", "expires_at": "2027-01-01T00:00:00.000000",
            "roles": [{"name": "member"}], "unrestricted": False,
            "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}},
        {"application_credential": {"name": "a", "roles": [{"id": "$member_role"}]}},
    ],
    ("identity", "POST", "/v3/groups"): [{"group": {"name": "g", "domain_id": _DOMAIN, "description": ""}}],
    ("identity", "POST", "/v3/roles"): [{"role": {"name": "r", "domain_id": _DOMAIN, "options": {}}}],
    ("identity", "POST", "/v3/services"): [{"service": {"type": "t", "name": "n", "enabled": True, "description": ""}}],
    ("identity", "POST", "/v3/endpoints"): [
        {"endpoint": {"service_id": "$service_id", "interface": "public", "url": "http://h:1/%(tenant_id)s",
                      "region_id": "$region_id", "enabled": True}},
    ],
    ("identity", "POST", "/v3/regions"): [{"region": {"id": "r", "parent_region_id": "$region_id", "description": ""}}],
    ("identity", "POST", "/v3/credentials"): [
        {"credential": {"type": "ec2", "blob": '{"access": "a", "secret": "b"}', "user_id": "$user_id",
                        "project_id": "$project_id"}},
        {"credential": {"type": "cert", "blob": "x", "user_id": "$user_id"}},
    ],
    ("identity", "PATCH", "/v3/credentials/{credential_id}"): [{"credential": {"blob": "x"}}],
    ("identity", "POST", "/v2.0/tokens"): [
        {"auth": {"tenantName": "alpha", "passwordCredentials": {"username": "ann", "password": "open sesame"}}}
    ],
    ("identity", "PATCH", "/v2.0/OS-KSCRUD/users/{user_id}"): [
        {"user": {"password": "new", "original_password": "open sesame"}}
    ],
    ("identity", "POST", "/v2.0/users/{user_id}/credentials/OS-EC2"): [{"tenant_id": "$project_id"}],
    ("identity", "POST", "/v3/users/{user_id}/credentials/OS-EC2"): [{"tenant_id": "$project_id"}],
    ("identity", "POST", "/v3/ec2tokens"): [
        {"credentials": {"access": "$access", "signature": "$ec2_signature", "host": "h", "verb": "GET", "path": "/",
                         "params": {"SignatureVersion": "1"}, "headers": {}, "body_hash": ""}},
    ],
    ("identity", "POST", "/v3/s3tokens"): [
        {"credentials": {"access": "$access", "signature": "$s3_signature", "token": "dGV4dA=="}},
    ],
    ("identity", "POST", "/v3/OS-OAUTH1/consumers"): [{"consumer": {"description": "c"}}],
    ("identity", "PATCH", "/v3/OS-OAUTH1/consumers/{consumer_id}"): [{"consumer": {"description": "d"}}],
    ("identity", "PUT", "/v3/OS-OAUTH1/authorize/{request_token_id}"): [{"roles": []}],
}  # fmt: skip
for _noun in ("domain", "project", "user", "group", "role", "service", "endpoint", "region"):
    _values = IDENTITY[("identity", "POST", f"/v3/{_noun}s")][-1]
    IDENTITY[("identity", "PATCH", f"/v3/{_noun}s/{{{_noun}_id}}")] = [_values, {_noun: {"description": "x"}}]
_LIMIT = {"service_id": "$limited_service_id", "resource_name": "disks", "description": "", "region_id": None}
_GROUP = {"name": "g", "description": "", "filters": {"interface": "public", "region_id": "$region_id"}}
_OPTIONS = {"url": "ldap://h", "password": "x", "page_size": 1}
IDENTITY |= {
    ("identity", "POST", "/v3/registered_limits"): [
        {"registered_limits": [_LIMIT | {"resource_name": "r", "default_limit": 5}]},
    ],
    ("identity", "PATCH", "/v3/registered_limits/{registered_limit_id}"): [
        {"registered_limit": _LIMIT | {"default_limit": -1}},
    ],
    ("identity", "POST", "/v3/limits"): [
        {"limits": [_LIMIT | {"resource_limit": 5, "project_id": "$project_id"},
                    _LIMIT | {"resource_limit": 6, "domain_id": _DOMAIN}]},
    ],
    ("identity", "PATCH", "/v3/limits/{limit_id}"): [{"limit": {"resource_limit": 7, "description": ""}}],
    ("identity", "PUT", "/v3/domains/{domain_id}/config"): [{"config": {"ldap": _OPTIONS}}],
    ("identity", "PATCH", "/v3/domains/{domain_id}/config"): [{"config": {"ldap": _OPTIONS}}],
    ("identity", "PATCH", "/v3/domains/{domain_id}/config/{group}"): [{"config": {"ldap": _OPTIONS}}],
    ("identity", "PATCH", "/v3/domains/{domain_id}/config/{group}/{option}"): [{"config": {"url": "ldap://h"}}],
    ("identity", "POST", "/v3/OS-EP-FILTER/endpoint_groups"): [{"endpoint_group": _GROUP}],
    ("identity", "PATCH", "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"): [{"endpoint_group": _GROUP}],
    ("identity", "POST", "/v3/policies"): [{"policy": {"type": "t", "blob": "{}"}}],
    ("identity", "PATCH", "/v3/policies/{policy_id}"): [{"policy": {"type": "t", "blob": "{}"}}],
}  # fmt: skip
IDENTITY[("identity", "PUT", "/v3/regions/{region_id}")] = [{"region": {"description": ""}}]

_TENANT = {"tenant": {"name": "t", "description": "", "enabled": True}}
_OLD_USER = {"name": "v2", "password": "secret", "email": "e", "enabled": True, "tenantId": "$project_id"}
IDENTITY |= {
    ("identity", "POST", "/v2.0/tenants"): [_TENANT],
    ("identity", "PUT", "/v2.0/tenants/{tenant_id}"): [{"tenant": {"description": "x"}}],
    ("identity", "POST", "/v2.0/tenants/{tenant_id}"): [{"tenant": {"description": "x"}}],
    ("identity", "POST", "/v2.0/users"): [
        {"user": _OLD_USER}, {"user": {"username": "v2", "OS-KSADM:password": "secret"}},
    ],
    ("identity", "POST", "/v2.0/OS-KSADM/roles"): [{"role": {"name": "r", "description": "d"}}],
    ("identity", "POST", "/v2.0/users/{user_id}/roleRefs"): [{"role": {"tenantId": "$beta", "roleId": "$role_id"}}],
    ("identity", "POST", "/v2.0/OS-KSADM/services"): [
        {"OS-KSADM:service": {"type": "t", "name": "n", "description": ""}},
    ],
    ("identity", "POST", "/v2.0/endpoints"): [
        {"endpoint": {"service_id": "$service_id", "region": "$region_id", "publicurl": "http://h:1",
                      "adminurl": "http://h:2", "internalurl": "http://h:3", "enabled": True}},
    ],
} | {
    ("identity", "PUT", f"/v2.0/users/{{user_id}}{rest}"): [{"user": values}]
    for rest, values in (
        ("", {"name": "v2", "email": "x"}), ("/password", {"password": "secret"}), ("/tenant", {"tenantId": "$beta"}),
        ("/OS-KSADM/password", {"password": "secret"}), ("/OS-KSADM/tenant", {"tenantId": "$beta"}),
        ("/enabled", {"enabled": True}), ("/OS-KSADM/enabled", {"enabled": True}),
    )
}  # fmt: skip

_IMAGE = "/v2/images/{image_id}"
_DEFINITIONS = "/v2/metadefs/namespaces"
_NAMESPACE = _DEFINITIONS + "/{namespace}"
_SHAPE = {"title": "T", "type": "string", "enum": ["a", "b"], "default": "a", "minimum": 1, "items": {"type": "string"}}
IMAGE: Bodies = {
    ("image", "POST", "/v2/images"): [
        {"name": "i", "disk_format": "qcow2", "container_format": "bare", "visibility": "private", "min_disk": 1,
         "min_ram": 1, "protected": False, "os_hidden": False, "tags": ["a"], "hw_disk_bus": "virtio",
         "id": "0b7eb9bb-3c3d-4d1e-9b5e-3a0f64cd3b9b"},
    ],
    ("image", "PATCH", _IMAGE): [
        [{"op": "replace", "path": "/name", "value": "n"}, {"op": "add", "path": "/k2", "value": "v"}],
        [{"op": "remove", "path": "/k"}], [{"op": "replace", "path": "/tags", "value": ["x"]}],
        [{"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd", "metadata": {}}}],
        [{"op": "add", "path": "/protected", "value": True}], [{"op": "replace", "path": "/min_disk", "value": 2}],
    ],
    ("image", "POST", _IMAGE + "/import"): [
        {"method": {"name": "web-download", "uri": "http://127.0.0.1:1/x"}},
        {"method": {"name": "copy-image"}, "stores": ["file"], "all_stores": True},
        {"method": {"name": "glance-direct"}},
    ],
    ("image", "POST", _IMAGE + "/locations"): [{"url": "http://example.org/disk"}],
    ("image", "POST", _IMAGE + "/members"): [{"member": "$beta"}],
    ("image", "PUT", _IMAGE + "/members/{member_id}"): [{"status": "accepted"}],
    ("image", "POST", "/images"): [
        {"image": {"name": "i", "disk_format": "qcow2", "container_format": "bare", "is_public": False, "min_disk": 1,
                   "min_ram": 1, "protected": False, "properties": {"hw_disk_bus": "virtio"}, "status": "queued",
                   "size": None, "checksum": None, "locations": [], "id": "0b7eb9bb-3c3d-4d1e-9b5e-3a0f64cd3b9b"}},
    ],
    ("image", "PUT", "/images/{image_id}"): [
        {"image": {"location": "http://127.0.0.1:1/x"}, "from_state": "queued"},
        {"image": {"status": "deleted", "owner": "$beta", "location_data": [{"url": "file:///etc/passwd"}]}},
        {"image": {"name": "n", "min_disk": 2, "properties": {"k2": "v"}}},
    ],
    **{
        ("image", "PUT", prefix + "/images/{image_id}/members" + rest): [body]
        for prefix in ("", "/v1")
        for rest, body in (
            ("", {"memberships": [{"member_id": "$beta", "can_share": True}]}),
            ("/{member_id}", {"member": {"can_share": True}}),
        )
    },
    ("image", "POST", _DEFINITIONS): [
        {"namespace": "n", "display_name": "N", "description": "d", "visibility": "public", "protected": False,
         "owner": "$alpha", "resource_type_associations": [{"name": "r", "prefix": "p", "properties_target": "t"}],
         "objects": [{"name": "o", "description": "d", "required": ["q"], "properties": {"q": _SHAPE}}],
         "properties": {"p": _SHAPE}, "tags": [{"name": "t"}]},
    ],
    ("image", "PUT", _NAMESPACE): [{"namespace": "n", "display_name": "N", "visibility": "private"}],
    ("image", "POST", _NAMESPACE + "/resource_types"): [{"name": "r", "prefix": "p", "properties_target": "t"}],
    ("image", "POST", _NAMESPACE + "/objects"): [{"name": "o", "required": ["q"], "properties": {"q": _SHAPE}}],
    ("image", "PUT", _NAMESPACE + "/objects/{object_name}"): [{"name": "o2", "properties": {"q": _SHAPE}}],
    ("image", "POST", _NAMESPACE + "/properties"): [_SHAPE | {"name": "p"}],
    ("image", "PUT", _NAMESPACE + "/properties/{property_name}"): [_SHAPE | {"name": "p2"}],
    ("image", "POST", _NAMESPACE + "/tags"): [{"tags": [{"name": "a"}, {"name": "b"}]}],
    ("image", "PUT", _NAMESPACE + "/tags/{tag_name}"): [{"name": "t2"}],
    ("image", "PUT", "/v1/images/{image_id}/members"): [{"memberships": [{"member_id": "$beta", "can_share": True}]}],
    ("image", "PUT", "/v1/images/{image_id}/members/{member_id}"): [{"member": {"can_share": True}}],
}  # fmt: skip

_P = "/resource_providers/{uuid}"
_RECORD = {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 1.5}
_CLAIM = {"allocations": {"$provider": {"resources": {"VCPU": 1}}}, "project_id": "$project_id", "user_id": "$user_id"}
_NEW_CLAIM = _CLAIM | {"consumer_generation": None, "consumer_type": "INSTANCE"}
_OLD_CLAIM = {
    "allocations": [{"resource_provider": {"uuid": "$provider"}, "resources": {"VCPU": 1}}],
    "project_id": "$project_id", "user_id": "$user_id",
}  # fmt: skip
PLACEMENT: Bodies = {
    ("placement", "POST", "/resource_providers"): [
        {"name": "p"},
        {"name": "p", "uuid": "0b7eb9bb-3c3d-4d1e-9b5e-3a0f64cd3b9b", "parent_provider_uuid": "$provider"},
    ],
    ("placement", "PUT", _P): [{"name": "p"}, {"name": "p", "parent_provider_uuid": "$provider"}],
    ("placement", "POST", _P + "/inventories"): [{"resource_class": "CUSTOM_C", **_RECORD}],
    ("placement", "PUT", _P + "/inventories"): [
        {"resource_provider_generation": 1, "inventories": {"VCPU": _RECORD, "CUSTOM_C": _RECORD}},
    ],
    ("placement", "PUT", _P + "/inventories/{resource_class}"): [{"resource_provider_generation": 1, **_RECORD}],
    ("placement", "PUT", _P + "/aggregates"): [
        ["0b7eb9bb-3c3d-4d1e-9b5e-3a0f64cd3b9b"],
        {"aggregates": ["0b7eb9bb-3c3d-4d1e-9b5e-3a0f64cd3b9b"], "resource_provider_generation": 1},
    ],
    ("placement", "PUT", _P + "/traits"): [{"traits": ["CUSTOM_T"], "resource_provider_generation": 1}],
    ("placement", "POST", "/resource_classes"): [{"name": "CUSTOM_D"}],
    ("placement", "PUT", "/resource_classes/{name}"): [{"name": "CUSTOM_D"}],
    ("placement", "PUT", "/allocations/{consumer_uuid}"): [_OLD_CLAIM, _CLAIM, _NEW_CLAIM],
    ("placement", "POST", "/allocations"): [{"$server_id": _NEW_CLAIM}, {"$port_id": _CLAIM}],
    ("placement", "POST", "/reshaper"): [
        {"inventories": {"$provider": {"resource_provider_generation": 1, "inventories": {"VCPU": _RECORD}}},
         "allocations": {"$server_id": _NEW_CLAIM}},
    ],
}  # fmt: skip

_POOL = [{"start": "10.9.0.10", "end": "10.9.0.20"}]
_ROUTES = [{"destination": "10.8.0.0/16", "nexthop": "10.0.0.7"}]
_OBJECTS: dict[str, list[dict[str, Any]]] = {
    "network": [
        {"name": "n", "admin_state_up": True, "shared": False, "router:external": False, "mtu": 1400,
         "port_security_enabled": True, "description": "", "dns_domain": "example.org."},
        {"name": "n", "provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": 7},
    ],
    "subnet": [
        {"network_id": "$network_id", "cidr": "10.9.0.0/24", "ip_version": 4, "gateway_ip": "10.9.0.1",
         "allocation_pools": _POOL, "dns_nameservers": ["9.9.9.9"], "host_routes": _ROUTES, "enable_dhcp": True,
         "service_types": ["compute:nova"], "name": "s"},
        {"network_id": "$network_id", "cidr": "fd00:9::/64", "ip_version": 6, "ipv6_ra_mode": "slaac",
         "ipv6_address_mode": "slaac"},
    ],
    "port": [
        {"network_id": "$network_id", "name": "p", "fixed_ips": [{"subnet_id": "$subnet_id", "ip_address": "10.0.0.9"}],
         "mac_address": "fa:16:3e:00:00:09", "security_groups": ["$security_group_id"], "device_id": "d",
         "device_owner": "compute:nova", "allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}],
         "port_security_enabled": True, "binding:vnic_type": "normal", "binding:host_id": HOST, "dns_name": "a",
         "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]},
    ],
    "router": [
        {"name": "r", "external_gateway_info": {"network_id": "$public", "enable_snat": True}, "routes": [],
         "admin_state_up": True, "distributed": False, "ha": False},
    ],
    "floatingip": [
        {"floating_network_id": "$public", "port_id": "$nic_id", "fixed_ip_address": "10.0.0.9", "description": ""},
        {"floating_network_id": "$public", "floating_ip_address": "172.24.4.200"}, {"port_id": None},
    ],
    "security_group": [{"name": "g", "description": "", "stateful": True}],
    "security_group_rule": [
        {"security_group_id": "$security_group_id", "direction": "egress", "ethertype": "IPv4", "protocol": "tcp",
         "port_range_min": 1, "port_range_max": 9, "remote_ip_prefix": "10.0.0.0/8"},
        {"security_group_id": "$security_group_id", "direction": "ingress", "remote_group_id": "$security_group_id"},
    ],
}  # fmt: skip
_R = "/v2.0/routers/{router_id}"
NETWORK: Bodies = {
    ("network", "PUT", f"{_R}/add_router_interface"): [{"port_id": "$port_id"}, {"subnet_id": "$subnet_id"}],
    ("network", "PUT", f"{_R}/remove_router_interface"): [{"subnet_id": "$subnet_id"}, {"port_id": "$port_id"}],
    ("network", "PUT", f"{_R}/add_extraroutes"): [{"router": {"routes": _ROUTES}}],
    ("network", "PUT", f"{_R}/remove_extraroutes"): [{"router": {"routes": _ROUTES}}],
    ("network", "POST", "/v2.0/quotas"): [{"quota": {"network": 5}}],
    ("network", "PUT", "/v2.0/quotas/{project_id}"): [
        {"quota": {"network": 5, "port": -1, "floatingip": 0, "force": True}}
    ],
}
for _noun, _list in _OBJECTS.items():
    _plural = f"{_noun}s".replace("_", "-")
    _key = "rule_id" if _noun == "security_group_rule" else f"{_noun}_id"
    NETWORK[("network", "POST", f"/v2.0/{_plural}")] = [
        *({_noun: _values} for _values in _list), {f"{_noun}s": _list[:1] * 2}
    ]  # fmt: skip
    _fixed = ("network_id", "cidr", "ip_version", "floating_network_id", "ipv6_ra_mode", "floating_ip_address")
    NETWORK[("network", "PUT", f"/v2.0/{_plural}/{{{_key}}}")] = [
        *({_noun: {key: value for key, value in _values.items() if key not in _fixed}} for _values in _list),
        {_noun: {"description": "x"}},
    ]
    for _method in ("POST", "PUT"):
        NETWORK[("network", _method, f"/v2.0/{_plural}/{{{_key}}}/tags")] = [{"tags": ["a", "b"]}]

_SERVER = {"name": "s", "flavorRef": "1", "imageRef": "$public_image_id"}
_FULL_SERVER = _SERVER | {
    "networks": [{"uuid": "$network_id", "fixed_ip": "10.0.0.77", "tag": "nic"}], "key_name": MARK,
    "security_groups": [{"name": MARK}], "metadata": {"a": "b"}, "user_data": "IyEvYmluL3No", "config_drive": True,
    "availability_zone": f"nova:{HOST}", "min_count": 1, "max_count": 2, "OS-DCF:diskConfig": "AUTO", "tags": ["x"],
    "description": "d", "adminPass": "p", "accessIPv4": "10.1.1.1", "accessIPv6": "fd00::9",
    "return_reservation_id": True, "trusted_image_certificates": ["c"],
}  # fmt: skip
_MAPPED = _SERVER | {
    "networks": "auto", "host": HOST, "hypervisor_hostname": HOST,
    "block_device_mapping_v2": [{"source_type": "image", "uuid": "$public_image_id", "boot_index": 0,
                                 "destination_type": "local", "delete_on_termination": True, "volume_size": 1}],
}  # fmt: skip
_OLD_SERVER = _SERVER | {
    "networks": [{"port": "$port_id"}], "personality": [{"path": "/a", "contents": "aGk="}], "key_name": MARK,
}  # fmt: skip
ACTIONS: list[Any] = [
    {"os-start": None}, {"os-stop": None}, {"reboot": {"type": "HARD"}}, {"reboot": {"type": "SOFT"}},
    {"pause": None}, {"unpause": None}, {"suspend": None}, {"resume": None}, {"lock": {"locked_reason": "r"}},
    {"unlock": None}, {"forceDelete": None}, {"os-resetState": {"state": "error"}},
    {"changePassword": {"adminPass": "p"}}, {"addSecurityGroup": {"name": MARK}},
    {"removeSecurityGroup": {"name": MARK}}, {"os-getConsoleOutput": {"length": 5}},
    {"os-getVNCConsole": {"type": "novnc"}}, {"os-getSerialConsole": {"type": "serial"}},
    {"rebuild": {"imageRef": "$public_image_id", "name": "n", "adminPass": "p", "metadata": {"a": "b"},
                 "preserve_ephemeral": False, "description": "d", "key_name": MARK, "user_data": "aGk=",
                 "hostname": "h", "personality": [{"path": "/a", "contents": "aGk="}]}},
    {"rebuild": {"imageRef": "$public_image_id"}},
    {"addFloatingIp": {"address": "$floating_address", "fixed_address": "10.0.0.9"}},
    {"removeFloatingIp": {"address": "$floating_address"}}, {"addFixedIp": {"networkId": "$network_id"}},
    {"removeFixedIp": {"address": "10.0.0.9"}}, {"createImage": {"name": "i", "metadata": {"a": "b"}}},
    {"resize": {"flavorRef": "2"}}, {"confirmResize": None}, {"revertResize": None}, {"shelve": None},
    {"os-migrateLive": {"host": None, "block_migration": "auto"}}, {"evacuate": {"host": HOST}},
    {"trigger_crash_dump": None}, {"restore": None}, {"rescue": {"adminPass": "p"}}, {"createBackup": {
        "name": "b", "backup_type": "daily", "rotation": 1}},
]  # fmt: skip
_S, _F, _A = "/servers/{server_id}", "/flavors/{flavor_id}", "/os-aggregates/{aggregate_id}"
_RULE = {"parent_group_id": "$security_group_id", "ip_protocol": "tcp", "from_port": 1, "to_port": 9,
         "cidr": "10.0.0.0/8"}  # fmt: skip
_COMPUTE: dict[tuple[str, str], list[Any]] = {
    ("POST", "/servers"): [
        {"server": _SERVER}, {"server": _SERVER | {"networks": "none"}}, {"server": _FULL_SERVER},
        {"server": _MAPPED}, {"server": _OLD_SERVER}, {"server": _SERVER | {"networks": "auto", "hostname": "guest"}},
        {"server": _SERVER | {"block_device_mapping": [{"device_name": "vda", "volume_id": "$port_id"}]}},
        {"server": _SERVER | {"networks": "none"}, "os:scheduler_hints": {"group": "$group_id_of_servers"}},
    ],
    ("PUT", _S): [{"server": {"name": "n", "description": "d", "accessIPv4": "10.1.1.1", "accessIPv6": "",
                              "OS-DCF:diskConfig": "MANUAL", "hostname": "h"}}, {"server": {"name": "n"}}],
    ("POST", f"{_S}/action"): ACTIONS,
    ("POST", f"{_S}/metadata"): [{"metadata": {"a": "b"}}],
    ("PUT", f"{_S}/metadata"): [{"metadata": {"a": "b"}}],
    ("PUT", f"{_S}/metadata/{{key}}"): [{"meta": {"k": "b"}}],
    ("PUT", f"{_S}/tags"): [{"tags": ["a", "b"]}],
    ("POST", f"{_S}/os-interface"): [
        {"interfaceAttachment": {"net_id": "$network_id", "fixed_ips": [{"ip_address": "10.0.0.99"}], "tag": "t"}},
        {"interfaceAttachment": {}}, {"interfaceAttachment": {"port_id": "$port_id"}},
    ],
    ("POST", f"{_S}/remote-consoles"): [{"remote_console": {"protocol": "vnc", "type": "novnc"}}],
    ("POST", "/flavors"): [
        {"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 1, "id": "auto", "swap": 1, "rxtx_factor": 1.0,
                    "OS-FLV-EXT-DATA:ephemeral": 1, "os-flavor-access:is_public": True, "description": "d"}},
        {"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 0}},
    ],
    ("PUT", _F): [{"flavor": {"description": "d"}}],
    ("POST", f"{_F}/action"): [{"addTenantAccess": {"tenant": "$beta"}}, {"removeTenantAccess": {"tenant": "$beta"}}],
    ("POST", f"{_F}/os-extra_specs"): [{"extra_specs": {"a:b": "c"}}],
    ("PUT", f"{_F}/os-extra_specs/{{key}}"): [{"hw:k": "v"}],
    ("POST", "/os-keypairs"): [
        {"keypair": {"name": "k", "public_key": KEY, "type": "ssh", "user_id": "$user_id"}}, {"keypair": {"name": "k"}},
    ],
    ("PUT", "/os-quota-sets/{project_id}"): [{"quota_set": {"cores": 5, "instances": -1, "ram": 9, "force": True}}],
    ("PUT", "/os-quota-class-sets/{class_id}"): [{"quota_class_set": {"cores": 5, "instances": -1}}],
    ("PUT", "/os-services/{service}"): [
        {"host": HOST, "binary": "nova-compute"},
        {"host": HOST, "binary": "nova-compute", "disabled_reason": "r", "forced_down": True},
        {"status": "disabled", "disabled_reason": "r"}, {"forced_down": True},
    ],
    ("PUT", "/os-hosts/{hostname}"): [{"status": "enable", "maintenance_mode": "disable"}],
    ("POST", "/os-aggregates"): [{"aggregate": {"name": "a", "availability_zone": "z"}}],
    ("PUT", _A): [{"aggregate": {"name": "a", "availability_zone": "z"}}],
    ("POST", f"{_A}/action"): [
        {"add_host": {"host": HOST}}, {"remove_host": {"host": HOST}}, {"set_metadata": {"metadata": {"a": "b"}}},
    ],
    ("POST", f"{_A}/images"): [{"cache": [{"id": "$public_image_id"}]}],
    ("POST", "/os-server-groups"): [
        {"server_group": {"name": "g", "policies": ["affinity"]}},
        {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}},
    ],
    ("POST", "/os-assisted-volume-snapshots"): [
        {"snapshot": {"volume_id": "v", "create_info": {"snapshot_id": "s", "type": "qcow2", "new_file": "f"}}},
    ],
    ("POST", "/os-server-external-events"): [
        {"events": [{"name": "network-changed", "server_uuid": "$server_id", "tag": "$nic_id", "status": "completed"}]},
    ],
    ("POST", "/images/{image_id}/metadata"): [{"metadata": {"a": "b"}}],
    ("PUT", "/images/{image_id}/metadata"): [{"metadata": {"a": "b"}}],
    ("PUT", "/images/{image_id}/metadata/{key}"): [{"meta": {"k": "b"}}],
    ("POST", "/os-security-groups"): [{"security_group": {"name": "g", "description": "d"}}],
    ("PUT", "/os-security-groups/{group_id}"): [{"security_group": {"name": "g", "description": "d"}}],
    ("POST", "/os-security-group-rules"): [
        {"security_group_rule": _RULE}, {"security_group_rule": _RULE | {"group_id": "$security_group_id"}},
    ],
    ("POST", "/os-floating-ips"): [{"pool": "public"}, None],
}  # fmt: skip
COMPUTE: Bodies = {
    ("compute", method, prefix + path): found
    for (method, path), found in _COMPUTE.items()
    for prefix in ("/v2", "/v2.1")
}

BODIES: Bodies = {**IDENTITY, **IMAGE, **PLACEMENT, **NETWORK, **COMPUTE}

# What stands for a parameter whose name alone doesn't say it: (service, part of the path, parameter).
_PARAMETERS = (
    ("identity", "/groups/{actor_id}", "actor_id", "$group_id"), ("identity", "", "actor_id", "$user_id"),
    ("identity", "/application_credentials/", "credential_id", "$application_credential_id"),
    ("identity", "/OS-TRUST/", "role_id", "$member_role"),
    ("identity", "/config", "group", "ldap"), ("identity", "/config", "option", "url"),
    ("identity", "", "tag", "t"), ("identity", "", "tenant_id", "$project_id"), ("identity", "", "token_id", "$token"),
    ("identity", "", "role_ref_id", "$role_ref"), ("image", "/schemas/metadefs/", "name", "object"),
    ("image", "/schemas/", "name", "image"),
    ("image", "", "object_name", "own-object"), ("image", "", "property_name", "own-property"),
    ("image", "", "tag_name", "own-tag"), ("image", "", "resource_type", "OS::Own::Type"),
    ("image", "", "tag", "t"),
    ("image", "", "task_id", "$server_id"), ("placement", "", "uuid", "$provider"),
    ("placement", "", "resource_class", "VCPU"), ("placement", "/traits", "name", "CUSTOM_T"),
    ("placement", "", "name", "CUSTOM_C"), ("placement", "", "consumer_uuid", "$server_id"),
    ("network", "", "tag", "t"), ("network", "", "alias", "router"), ("network", "", "agent_id", "$provider"),
    ("compute", "", "tag", "t"), ("compute", "", "alias", "os-consoles"), ("compute", "/os-extra_specs", "key", "hw:k"),
    ("compute", "", "key", "k"), ("compute", "", "flavor_id", "own"), ("compute", "/os-keypairs", "name", MARK),
    ("compute", "", "name", "x"), ("compute", "/os-interface", "port_id", "$nic_id"), ("compute", "", "network", MARK),
    ("compute", "", "class_id", "default"), ("compute", "", "service", "$nova_service_id"),
    ("compute", "", "hostname", HOST), ("compute", "", "host", HOST),
    ("compute", "/os-server-groups", "group_id", "$group_id_of_servers"),
    ("compute", "", "group_id", "$security_group_id"), ("compute", "", "token", "$console_token"),
    ("compute", "", "address", "10.0.0.9"), ("image", "/file", "image_id", "$image_id"),
    ("image", "/v2/stores/", "store_id", "file"),
    ("compute", "", "before", "2026-01-01 00:00:00"), ("compute", "", "snapshot_id", "s"),
    ("compute", "", "domain", "d"), ("compute", "", "entry", "e"),
)  # fmt: skip


def parameter(service: str, path: str, name: str) -> str:
    """What stands in `path` for the parameter `name`: a word, or `$id`."""
    for of, part, parameter, value in _PARAMETERS:
        if of == service_of(service) and part in path and parameter == name:
            return value
    return f"${name}"


def filled(value: Any, ids: dict[str, str]) -> Any:
    """`value` with each `$name` replaced."""
    if isinstance(value, str):
        return ids[value[1:]] if value.startswith("$") else value
    if isinstance(value, dict):
        return {filled(key, ids): filled(item, ids) for key, item in value.items()}
    return [filled(item, ids) for item in value] if isinstance(value, list) else value


def path_of(service: str, route: Route, ids: dict[str, str]) -> str:
    """A path that leads to something that is there."""
    return re.sub(
        r"\{(\w+)(?::path)?\}", lambda found: filled(parameter(service, route.path, found[1]), ids), route.path
    )


def bodies_of(service: str, route: Route) -> list[Any]:
    """Bodies that are good for a route, the last of them plain; empty when it takes none."""
    return BODIES.get((service_of(service), route.method, route.path), [])
