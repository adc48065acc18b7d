"""The routes of 8774 that are the operator's, and what is below servers but no operation of theirs. Mounted like
routes.ROUTES: below /v2.1, and those of 2.1 below /v2."""

from __future__ import annotations

from typing import Any

from onestack.compute import routes_proxy
from onestack.compute.api import (
    aggregates,
    audit_log,
    availability_zones,
    extensions,
    hosts,
    hypervisors,
    limits,
    quota_class_sets,
    quota_sets,
    server_extras,
    server_groups,
    services,
    usage,
)  # fmt: skip
from onestack.core.dialect import Version
from onestack.core.routes import Route

_V = "os_compute_api:"


def _route(method: str, path: str, handler: Any, rule: str, body: Any = None, **more: Any) -> Route:
    return Route(method, path, handler, _V + rule, body, **more)


def _of_object(method: str, path: str, handler: Any, rule: str, body: Any = None, **more: Any) -> Route:
    """The handler checks the rule, against what it found."""
    return Route(method, path, handler, _V + rule, body, target="object", **more)


_QUOTA, _CLASS = "/os-quota-sets/{project_id}", "/os-quota-class-sets/{class_id}"

QUOTAS = [
    _of_object("GET", _QUOTA, quota_sets.show, "os-quota-sets:show"),
    _of_object("PUT", _QUOTA, quota_sets.update, "os-quota-sets:update", dict),
    _of_object("DELETE", _QUOTA, quota_sets.delete, "os-quota-sets:delete", status=202),
    _of_object("GET", f"{_QUOTA}/detail", quota_sets.detail, "os-quota-sets:detail"),
    _route("GET", f"{_QUOTA}/defaults", quota_sets.defaults, "os-quota-sets:defaults"),
    _route("GET", _CLASS, quota_class_sets.show, "os-quota-class-sets:show"),
    _route("PUT", _CLASS, quota_class_sets.update, "os-quota-class-sets:update", dict),
    _route("GET", "/limits", limits.index, "limits"),
]

_BEFORE_UUIDS: Version = (2, 52)
_HYPERVISOR = "/os-hypervisors/{hypervisor_id}"
_HOST = "/os-hosts/{hostname}"

HOSTS = [
    _route("GET", "/os-services", services.index, "os-services:list"),
    _route("PUT", "/os-services/{service}", services.act, "os-services:update", dict, until=_BEFORE_UUIDS),
    _route("PUT", "/os-services/{service}", services.update, "os-services:update", dict, since=(2, 53)),
    _route("DELETE", "/os-services/{service}", services.delete, "os-services:delete", status=204),
    _route("GET", "/os-hypervisors", hypervisors.index, "os-hypervisors:list"),
    _route("GET", "/os-hypervisors/detail", hypervisors.detail, "os-hypervisors:list-detail"),
    _route("GET", "/os-hypervisors/statistics", hypervisors.statistics, "os-hypervisors:statistics", until=(2, 87)),
    _route("GET", _HYPERVISOR, hypervisors.show, "os-hypervisors:show"),
    _route("GET", f"{_HYPERVISOR}/uptime", hypervisors.uptime, "os-hypervisors:uptime", until=(2, 87)),
    _route("GET", f"{_HYPERVISOR}/search", hypervisors.search, "os-hypervisors:search", until=_BEFORE_UUIDS),
    _route("GET", f"{_HYPERVISOR}/servers", hypervisors.servers, "os-hypervisors:servers", until=_BEFORE_UUIDS),
    _route("GET", "/os-hosts", hosts.index, "os-hosts:list", until=(2, 42)),
    _route("GET", _HOST, hosts.show, "os-hosts:show", until=(2, 42)),
    _route("PUT", _HOST, hosts.update, "os-hosts:update", dict, until=(2, 42)),
    _route("GET", f"{_HOST}/startup", hosts.power, "os-hosts:start", until=(2, 42)),
    _route("GET", f"{_HOST}/shutdown", hosts.power, "os-hosts:shutdown", until=(2, 42)),
    _route("GET", f"{_HOST}/reboot", hosts.power, "os-hosts:reboot", until=(2, 42)),
]

_AGGREGATE, _GROUP = "/os-aggregates/{aggregate_id}", "/os-server-groups/{group_id}"

GROUPS = [
    _route("GET", "/os-availability-zone", availability_zones.index, "os-availability-zone:list"),
    _route("GET", "/os-availability-zone/detail", availability_zones.detail, "os-availability-zone:detail"),
    _route("GET", "/os-aggregates", aggregates.index, "os-aggregates:index"),
    _route("POST", "/os-aggregates", aggregates.create, "os-aggregates:create", dict),
    _route("GET", _AGGREGATE, aggregates.show, "os-aggregates:show"),
    _route("PUT", _AGGREGATE, aggregates.update, "os-aggregates:update", dict),
    _route("DELETE", _AGGREGATE, aggregates.delete, "os-aggregates:delete"),
    _of_object("POST", f"{_AGGREGATE}/action", aggregates.action, "os-aggregates:show", dict),
    Route(
        "POST", f"{_AGGREGATE}/images", aggregates.cache_images, "compute:aggregates:images", dict, 202, since=(2, 81)
    ),
    _route("GET", "/os-server-groups", server_groups.index, "os-server-groups:index"),
    _route("POST", "/os-server-groups", server_groups.create, "os-server-groups:create", dict),
    _of_object("GET", _GROUP, server_groups.show, "os-server-groups:show"),
    _of_object("DELETE", _GROUP, server_groups.delete, "os-server-groups:delete", status=204),
]

_SERVER = "/servers/{server_id}"

OTHERS = [
    _route("GET", "/extensions", extensions.index, "extensions"),
    _route("GET", "/extensions/{alias}", extensions.show, "extensions"),
    _route("GET", "/os-instance_usage_audit_log", audit_log.index, "os-instance-usage-audit-log:list"),
    _route("GET", "/os-instance_usage_audit_log/{before}", audit_log.show, "os-instance-usage-audit-log:show"),
    _route("GET", "/os-simple-tenant-usage", usage.index, "os-simple-tenant-usage:list"),
    _of_object("GET", "/os-simple-tenant-usage/{project_id}", usage.show, "os-simple-tenant-usage:show"),
    _route(
        "POST", "/os-server-external-events", server_extras.external_events, "os-server-external-events:create", dict
    ),
    _of_object("GET", f"{_SERVER}/os-server-password", server_extras.show_password, "os-server-password:show"),
    _of_object(
        "DELETE", f"{_SERVER}/os-server-password", server_extras.clear_password, "os-server-password:clear", status=204
    ),
]  # fmt: skip

ROUTES = [*QUOTAS, *HOSTS, *GROUPS, *OTHERS, *routes_proxy.ROUTES]
