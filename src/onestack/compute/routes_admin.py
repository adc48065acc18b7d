"""The routes of 8774 that are the operator's, and what is below servers but no operation of theirs. Mounted like
routes.ROUTES: below /v2.1, and those of 2.1 below /v2."""

from __future__ import annotations

from typing import Any

from onestack.compute import queries, routes_proxy
from onestack.compute.api import (
    aggregates,
    assisted_snapshots,
    audit_log,
    availability_zones,
    extensions,
    hosts,
    hypervisors,
    limits,
    migrations,
    quota_class_sets,
    quota_sets,
    server_extras,
    server_groups,
    services,
    usage,
)  # fmt: skip
from onestack.compute.queries import LIMIT, LIMIT_ONCE, NOTHING, OF_USER, Parameter, Query
from onestack.core.dialect import Version
from onestack.core.routes import Route

_V = "os_compute_api:"


def _route(
    method: str, path: str, handler: Any, rule: str, body: Any = None, query: Query | None = None, **more: Any
) -> Route:
    if query is not None:
        handler, more["target"] = query.before(handler, authorize=True), "late"
    return Route(method, path, handler, _V + rule, body, **more)


def _late(method: str, path: str, handler: Any, rule: str, **more: Any) -> Route:
    """The handler checks the rule, after it has looked at the body."""
    return Route(method, path, handler, _V + rule, dict, target="late", **more)


def _of_object(
    method: str, path: str, handler: Any, rule: str, body: Any = None, query: Query | None = None, **more: Any
) -> Route:
    """The handler checks the rule, against what it found."""
    if query is not None:
        handler = query.before(handler, authorize=False)
    return Route(method, path, handler, _V + rule, body, target="object", **more)


_QUOTA, _CLASS = "/os-quota-sets/{project_id}", "/os-quota-class-sets/{class_id}"

QUOTAS = [
    _of_object("GET", _QUOTA, quota_sets.show, "os-quota-sets:show", query=OF_USER),
    _of_object("PUT", _QUOTA, quota_sets.update, "os-quota-sets:update", dict, OF_USER),
    _of_object("DELETE", _QUOTA, quota_sets.delete, "os-quota-sets:delete", query=OF_USER, status=202),
    _of_object("GET", f"{_QUOTA}/detail", quota_sets.detail, "os-quota-sets:detail", query=OF_USER),
    _route("GET", f"{_QUOTA}/defaults", quota_sets.defaults, "os-quota-sets:defaults"),
    _route("GET", _CLASS, quota_class_sets.show, "os-quota-class-sets:show", query=NOTHING),
    _late("PUT", _CLASS, quota_class_sets.update, "os-quota-class-sets:update"),
    _route("GET", "/limits", limits.index, "limits", query=Query((Parameter("tenant_id"),))),
]

_BEFORE_UUIDS: Version = (2, 52)
_UUIDS: Version = (2, 53)
_WITH_SERVERS = Parameter("with_servers", queries.boolean, once=True, since=_UUIDS)
_HYPERVISORS = Query(
    (
        Parameter("limit", queries.whole, since=(2, 33), until=_BEFORE_UUIDS),
        LIMIT_ONCE._replace(since=_UUIDS),
        Parameter("marker", once=True, since=_UUIDS),
        Parameter("hypervisor_hostname_pattern", queries.hostname_pattern, once=True, since=_UUIDS),
        _WITH_SERVERS,
        Parameter("marker", since=(2, 33), until=_BEFORE_UUIDS),
    ),
    _UUIDS,
)
_SERVICES = Query((Parameter("host"), Parameter("binary")))
_HYPERVISOR = "/os-hypervisors/{hypervisor_id}"
_HOST = "/os-hosts/{hostname}"

HOSTS = [
    _route("GET", "/os-services", services.index, "os-services:list", query=_SERVICES),
    _late("PUT", "/os-services/{service}", services.act, "os-services:update", until=_BEFORE_UUIDS),
    _late("PUT", "/os-services/{service}", services.update, "os-services:update", since=(2, 53)),
    _route("DELETE", "/os-services/{service}", services.delete, "os-services:delete", status=204),
    _route("GET", "/os-hypervisors", hypervisors.index, "os-hypervisors:list", query=_HYPERVISORS),
    _route("GET", "/os-hypervisors/detail", hypervisors.detail, "os-hypervisors:list-detail", query=_HYPERVISORS),
    _route("GET", "/os-hypervisors/statistics", hypervisors.statistics, "os-hypervisors:statistics", until=(2, 87)),
    _route("GET", _HYPERVISOR, hypervisors.show, "os-hypervisors:show", query=Query((_WITH_SERVERS,), _UUIDS)),
    _route("GET", f"{_HYPERVISOR}/uptime", hypervisors.uptime, "os-hypervisors:uptime", until=(2, 87)),
    _route("GET", f"{_HYPERVISOR}/search", hypervisors.search, "os-hypervisors:search", until=_BEFORE_UUIDS),
    _route("GET", f"{_HYPERVISOR}/servers", hypervisors.servers, "os-hypervisors:servers", until=_BEFORE_UUIDS),
    _route("GET", "/os-hosts", hosts.index, "os-hosts:list", until=(2, 42)),
    _route("GET", _HOST, hosts.show, "os-hosts:show", until=(2, 42)),
    _late("PUT", _HOST, hosts.update, "os-hosts:update", until=(2, 42)),
    _route("GET", f"{_HOST}/startup", hosts.power, "os-hosts:start", until=(2, 42)),
    _route("GET", f"{_HOST}/shutdown", hosts.power, "os-hosts:shutdown", until=(2, 42)),
    _route("GET", f"{_HOST}/reboot", hosts.power, "os-hosts:reboot", until=(2, 42)),
]

_AGGREGATE, _GROUP = "/os-aggregates/{aggregate_id}", "/os-server-groups/{group_id}"

_SERVER_GROUPS = Query((Parameter("all_projects"), LIMIT, Parameter("offset", queries.whole)))

GROUPS = [
    _route("GET", "/os-availability-zone", availability_zones.index, "os-availability-zone:list", query=NOTHING),
    _route(
        "GET", "/os-availability-zone/detail", availability_zones.detail, "os-availability-zone:detail", query=NOTHING
    ),
    _route("GET", "/os-aggregates", aggregates.index, "os-aggregates:index", query=NOTHING),
    _late("POST", "/os-aggregates", aggregates.create, "os-aggregates:create"),
    _route("GET", _AGGREGATE, aggregates.show, "os-aggregates:show", query=NOTHING),
    _late("PUT", _AGGREGATE, aggregates.update, "os-aggregates:update"),
    _route("DELETE", _AGGREGATE, aggregates.delete, "os-aggregates:delete"),
    _of_object("POST", f"{_AGGREGATE}/action", aggregates.action, "os-aggregates:show", Any),
    Route(
        "POST", f"{_AGGREGATE}/images", aggregates.cache_images, "compute:aggregates:images", dict, 202, since=(2, 81),
        target="late",
    ),
    _route("GET", "/os-server-groups", server_groups.index, "os-server-groups:index", query=_SERVER_GROUPS),
    _late("POST", "/os-server-groups", server_groups.create, "os-server-groups:create"),
    _of_object("GET", _GROUP, server_groups.show, "os-server-groups:show", query=NOTHING),
    _of_object("DELETE", _GROUP, server_groups.delete, "os-server-groups:delete", status=204),
]  # fmt: skip

_SERVER = "/servers/{server_id}"

_PERIOD = (Parameter("start"), Parameter("end"))
_PAGE = (LIMIT._replace(since=(2, 40)), Parameter("marker", since=(2, 40)))
_USAGES, _USAGE = Query((*_PERIOD, Parameter("detailed"), *_PAGE)), Query((*_PERIOD, *_PAGE))
_PAGED: Version = (2, 59)  # migrations
_MIGRATIONS = Query(
    (
        Parameter("hidden"), Parameter("host"), Parameter("instance_uuid"), Parameter("source_compute"),
        Parameter("status"), Parameter("migration_type"), LIMIT_ONCE._replace(since=_PAGED),
        Parameter("marker", once=True, since=_PAGED), Parameter("changes-since", queries.moment, True, _PAGED),
        Parameter("changes-before", queries.moment, True, (2, 66)), Parameter("user_id", once=True, since=(2, 80)),
        Parameter("project_id", once=True, since=(2, 80)),
    ),
    _PAGED,
)  # fmt: skip

OTHERS = [
    _route("GET", "/extensions", extensions.index, "extensions", query=NOTHING),
    _route("GET", "/extensions/{alias}", extensions.show, "extensions", query=NOTHING),
    _route("GET", "/os-instance_usage_audit_log", audit_log.index, "os-instance-usage-audit-log:list", query=NOTHING),
    _route(
        "GET", "/os-instance_usage_audit_log/{before}", audit_log.show, "os-instance-usage-audit-log:show",
        query=NOTHING,
    ),
    _route("GET", "/os-simple-tenant-usage", usage.index, "os-simple-tenant-usage:list", query=_USAGES),
    _of_object("GET", "/os-simple-tenant-usage/{project_id}", usage.show, "os-simple-tenant-usage:show", query=_USAGE),
    _route("GET", "/os-migrations", migrations.index, "os-migrations:index", query=_MIGRATIONS),
    _late("POST", "/os-assisted-volume-snapshots", assisted_snapshots.create, "os-assisted-volume-snapshots:create"),
    _route(
        "DELETE", "/os-assisted-volume-snapshots/{snapshot_id}", assisted_snapshots.delete,
        "os-assisted-volume-snapshots:delete", query=Query((Parameter("delete_info"),)), status=204,
    ),
    _late("POST", "/os-server-external-events", server_extras.external_events, "os-server-external-events:create"),
    _of_object(
        "GET", f"{_SERVER}/os-server-password", server_extras.show_password, "os-server-password:show", query=NOTHING
    ),
    _of_object(
        "DELETE", f"{_SERVER}/os-server-password", server_extras.clear_password, "os-server-password:clear", status=204
    ),
]  # fmt: skip

ROUTES = [*QUOTAS, *HOSTS, *GROUPS, *OTHERS, *routes_proxy.ROUTES]
