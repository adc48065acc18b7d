"""The routes by which clients before 2.36 reach images and networks through compute, mounted like routes.ROUTES."""

from __future__ import annotations

from typing import Any

from onestack.compute import queries
from onestack.compute.api import actions, floating_ips_proxy, images_proxy, networks_proxy, security_groups_proxy
from onestack.compute.queries import LIMIT, NOTHING, Parameter, Query
from onestack.core.dialect import Version
from onestack.core.routes import Route

actions.ACTIONS.update(floating_ips_proxy.ACTIONS)

_V = "os_compute_api:"
_LAST: Version = (2, 35)
_LAST_METADATA: Version = (2, 38)
# Compute has no rules of its own for images; who changes one must at least be a member of the project.
_CHANGE_IMAGE = "project_member_api"


def _route(
    method: str, path: str, handler: Any, rule: str | None, body: Any = None, *, until: Version = _LAST,
    query: Query | None = None, **more: Any,
) -> Route:  # fmt: skip
    if query is not None:
        handler = query.before(handler, authorize=rule is not None)
        more["target"] = "late" if rule else "caller"
    return Route(method, path, handler, rule, body, until=until, **more)


_NEVER: Version = (99, 0)
_IMAGES = Query((Parameter("limit", queries.positive), Parameter("page_size", queries.positive),
                 Parameter("offset", queries.positive)), _NEVER)  # fmt: skip
_IMAGE = "/images/{image_id}"
_META, _KEY = f"{_IMAGE}/metadata", f"{_IMAGE}/metadata/{{key}}"

IMAGES = [
    _route("GET", "/images", images_proxy.index, None, query=_IMAGES),
    _route("GET", "/images/detail", images_proxy.detail, None, query=_IMAGES),
    _route("GET", _IMAGE, images_proxy.show, None),
    _route("DELETE", _IMAGE, images_proxy.delete, _CHANGE_IMAGE, status=204),
    _route("GET", _META, images_proxy.index_metadata, None, until=_LAST_METADATA),
    _route("POST", _META, images_proxy.create_metadata, _CHANGE_IMAGE, dict, until=_LAST_METADATA),
    _route("PUT", _META, images_proxy.replace_metadata, _CHANGE_IMAGE, dict, until=_LAST_METADATA),
    _route("GET", _KEY, images_proxy.show_metadata, None, until=_LAST_METADATA),
    _route("PUT", _KEY, images_proxy.update_metadata, _CHANGE_IMAGE, dict, until=_LAST_METADATA),
    _route("DELETE", _KEY, images_proxy.delete_metadata, _CHANGE_IMAGE, status=204, until=_LAST_METADATA),
]

_OFFSET = Parameter("offset", queries.whole)
_GROUPS_QUERY = Query((LIMIT, _OFFSET, Parameter("all_tenants")), _NEVER)
_GROUPS, _RULES = "/os-security-groups", "/os-security-group-rules"
_SG = f"{_V}os-security-groups"

SECURITY_GROUPS = [
    _route("GET", _GROUPS, security_groups_proxy.index, f"{_SG}:get", query=_GROUPS_QUERY),
    _route("POST", _GROUPS, security_groups_proxy.create, f"{_SG}:create", dict, target="late"),
    _route("GET", f"{_GROUPS}/{{group_id}}", security_groups_proxy.show, f"{_SG}:show"),
    _route("PUT", f"{_GROUPS}/{{group_id}}", security_groups_proxy.update, f"{_SG}:update", dict, target="late"),
    _route("DELETE", f"{_GROUPS}/{{group_id}}", security_groups_proxy.delete, f"{_SG}:delete", status=202),
    _route("POST", _RULES, security_groups_proxy.create_rule, f"{_SG}:rule:create", dict, target="late"),
    _route("DELETE", f"{_RULES}/{{rule_id}}", security_groups_proxy.delete_rule, f"{_SG}:rule:delete", status=202),
    Route(
        "GET", "/servers/{server_id}/os-security-groups",
        NOTHING.before(security_groups_proxy.of_server, authorize=False), f"{_SG}:list", target="object",
    ),
]  # fmt: skip

_FLOATING = f"{_V}os-floating-ips"

NETWORKS = [
    _route("GET", "/os-floating-ip-pools", floating_ips_proxy.pools, f"{_V}os-floating-ip-pools"),
    _route("GET", "/os-floating-ips", floating_ips_proxy.index, f"{_FLOATING}:list"),
    _route("POST", "/os-floating-ips", floating_ips_proxy.create, f"{_FLOATING}:create", Any),
    _route("GET", "/os-floating-ips/{floating_id}", floating_ips_proxy.show, f"{_FLOATING}:show"),
    _route("DELETE", "/os-floating-ips/{floating_id}", floating_ips_proxy.delete, f"{_FLOATING}:delete", status=202),
    _route("GET", "/os-networks", networks_proxy.index, f"{_V}os-networks:list"),
    _route("GET", "/os-networks/{network_id}", networks_proxy.show, f"{_V}os-networks:show"),
    _route("GET", "/os-tenant-networks", networks_proxy.index_tenant, f"{_V}os-tenant-networks:list"),
    _route("GET", "/os-tenant-networks/{network_id}", networks_proxy.show_tenant, f"{_V}os-tenant-networks:show"),
]

ROUTES = [*IMAGES, *SECURITY_GROUPS, *NETWORKS]
