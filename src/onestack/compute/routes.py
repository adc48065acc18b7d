"""The routes of 8774 below /v2.1. service.py makes the same ones for /v2, without microversions.

Hosts, quotas, proxies and consoles are in routes_admin.py.
"""

from __future__ import annotations

from typing import Any

from onestack.compute import queries
from onestack.compute.api import (
    actions,
    diagnostics,
    flavor_access,
    flavor_extra_specs,
    flavors,
    instance_actions,
    interfaces,
    keypairs,
    server_create,
    server_extras,
    server_metadata,
    server_tags,
    servers,
    versions,
)
from onestack.compute.dialect import CHOICES, DOCUMENT
from onestack.compute.queries import LIMIT, LIMIT_ONCE, NOTHING, OF_USER, Parameter, Query
from onestack.core.dialect import Version
from onestack.core.routes import Route

_V = "os_compute_api:"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

VERSIONS = [
    *(Route(method, "/", versions.index, public=True) for method in _METHODS),
    *(Route(method, "/v2", versions.show_v2, public=True) for method in _METHODS),
    *(Route(method, "/v2.1", versions.show_v21, public=True) for method in _METHODS),
    *(Route(method, CHOICES, versions.choices, public=True, status=300) for method in _METHODS),
    Route("GET", f"/v2{DOCUMENT}", versions.show_v2),
    Route("GET", f"/v2.1{DOCUMENT}", versions.show_v21),
]

_SORT_KEYS = (
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "rxtx_factor", "swap", "updated_at", "vcpu_weight", "vcpus",
)  # fmt: skip
_LAST_FACTOR: Version = (2, 101)  # rxtx_factor
_FLAVORS = Query(
    (
        LIMIT, Parameter("marker"), Parameter("is_public"), Parameter("minRam"), Parameter("minDisk"),
        Parameter("sort_key", queries.one_of(*_SORT_KEYS), until=_LAST_FACTOR),
        Parameter("sort_key", queries.one_of(*(key for key in _SORT_KEYS if key != "rxtx_factor")), since=(2, 102)),
        Parameter("sort_dir", queries.one_of("asc", "desc")), Parameter("name", since=(2, 102)),
    ),
)  # fmt: skip
_FLAVOR = "/flavors/{flavor_id}"
_SPECS, _SPEC = f"{_FLAVOR}/os-extra_specs", f"{_FLAVOR}/os-extra_specs/{{key}}"


def _asked(method: str, path: str, handler: Any, rule: str, query: Query) -> Route:
    """A route whose query is looked at before its rule."""
    return Route(method, path, query.before(handler, authorize=True), _V + rule, target="late")


def _given(
    method: str, path: str, handler: Any, rule: str, body: Any = dict, target: str = "late", **more: Any
) -> Route:  # fmt: skip
    """A route whose handler looks at the body, then checks the rule."""
    return Route(method, path, handler, _V + rule, body, target=target, **more)


FLAVORS = [
    _asked("GET", "/flavors", flavors.index, "flavors", _FLAVORS),
    _given("POST", "/flavors", flavors.create, "os-flavor-manage:create"),
    _asked("GET", "/flavors/detail", flavors.detail, "flavors", _FLAVORS),
    _asked("GET", _FLAVOR, flavors.show, "flavors", NOTHING),
    _given("PUT", _FLAVOR, flavors.update, "os-flavor-manage:update", since=(2, 55)),
    Route("DELETE", _FLAVOR, flavors.delete, f"{_V}os-flavor-manage:delete", status=202),
    _given("POST", f"{_FLAVOR}/action", flavor_access.action, "os-flavor-access", Any, "object"),
    _asked("GET", f"{_FLAVOR}/os-flavor-access", flavor_access.index, "os-flavor-access", NOTHING),
    _asked("GET", _SPECS, flavor_extra_specs.index, "os-flavor-extra-specs:index", NOTHING),
    _given("POST", _SPECS, flavor_extra_specs.create, "os-flavor-extra-specs:create"),
    _asked("GET", _SPEC, flavor_extra_specs.show, "os-flavor-extra-specs:show", NOTHING),
    _given("PUT", _SPEC, flavor_extra_specs.update, "os-flavor-extra-specs:update"),
    Route("DELETE", _SPEC, flavor_extra_specs.delete, f"{_V}os-flavor-extra-specs:delete"),
]

_OTHERS_KEYS = OF_USER.parameters[0]._replace(since=(2, 10))
_KEYPAIR, _KEYPAIRS = Query((_OTHERS_KEYS,)), Query(
    (_OTHERS_KEYS, LIMIT._replace(since=(2, 35)), Parameter("marker", since=(2, 35)))
)  # fmt: skip


def _of_user(method: str, path: str, handler: Any, rule: str, query: Query) -> Route:
    """The handler checks the rule, against the user that is meant."""
    return Route(method, path, query.before(handler, authorize=False), f"{_V}os-keypairs:{rule}", target="object")


KEYPAIRS = [
    _of_user("GET", "/os-keypairs", keypairs.index, "index", _KEYPAIRS),
    _given("POST", "/os-keypairs", keypairs.create, "os-keypairs:create", target="object"),
    _of_user("GET", "/os-keypairs/{name}", keypairs.show, "show", _KEYPAIR),
    _of_user("DELETE", "/os-keypairs/{name}", keypairs.delete, "delete", _KEYPAIR),
]

_S = "/servers/{server_id}"

_PAGED: Version = (2, 58)  # a server's actions
_ACTIONS = Query(
    (
        LIMIT_ONCE._replace(since=_PAGED), Parameter("marker", once=True, since=_PAGED),
        Parameter("changes-since", queries.moment, True, _PAGED),
        Parameter("changes-before", queries.moment, True, (2, 66)),
    ),
    _PAGED,
)  # fmt: skip

# What is shown of one server without any query parameter: from 2.102 on one is an error there as well.
_BARE = frozenset(
    ("", "/ips", "/ips/{network}", "/metadata", "/metadata/{key}", "/tags/{tag}", "/os-interface",
     "/os-interface/{port_id}", "/os-instance-actions/{request_id}")
)  # fmt: skip


def _of_server(method: str, path: str, handler: Any, rule: str, **more: Any) -> Route:
    """A route below one server: the rule is checked against that server's project."""
    if method == "GET" and path in _BARE:
        handler = NOTHING.before(handler, authorize=False)
    return Route(method, _S + path, handler, _V + rule, target="object", **more)


SERVERS = [
    Route("GET", "/servers", servers.index, f"{_V}servers:index"),
    Route("POST", "/servers", server_create.create, f"{_V}servers:create", dict, 202, target="object"),
    Route("GET", "/servers/detail", servers.detail, f"{_V}servers:detail"),
    _of_server("GET", "", servers.show, "servers:show"),
    _of_server("PUT", "", servers.update, "servers:update", body=dict),
    _of_server("DELETE", "", servers.delete, "servers:delete", status=204),
    _of_server("POST", "/action", actions.action, "servers:show", stream=True, status=202),
    _of_server("GET", "/diagnostics", diagnostics.show, "os-server-diagnostics", stream=True),
    Route(
        "GET",
        f"{_S}/topology",
        NOTHING.before(server_extras.topology, authorize=False),
        "compute:server:topology:index",
        target="object",
        since=(2, 78),
    ),
    _of_server("GET", "/ips", servers.ips, "ips:index"),
    _of_server("GET", "/ips/{network}", servers.ips_of_network, "ips:show"),
    _of_server("GET", "/metadata", server_metadata.index, "server-metadata:index"),
    _of_server("POST", "/metadata", server_metadata.create, "server-metadata:create", body=dict),
    _of_server("PUT", "/metadata", server_metadata.update_all, "server-metadata:update_all", body=dict),
    _of_server("GET", "/metadata/{key}", server_metadata.show, "server-metadata:show"),
    _of_server("PUT", "/metadata/{key}", server_metadata.update, "server-metadata:update", body=dict),
    _of_server("DELETE", "/metadata/{key}", server_metadata.delete, "server-metadata:delete", status=204),
    _of_server("GET", "/tags", server_tags.index, "os-server-tags:index", since=(2, 26)),
    _of_server("PUT", "/tags", server_tags.update_all, "os-server-tags:update_all", body=dict, since=(2, 26)),
    _of_server("DELETE", "/tags", server_tags.delete_all, "os-server-tags:delete_all", status=204, since=(2, 26)),
    _of_server("GET", "/tags/{tag}", server_tags.show, "os-server-tags:show", status=204, since=(2, 26)),
    _of_server("PUT", "/tags/{tag}", server_tags.update, "os-server-tags:update", body=Any, status=201, since=(2, 26)),
    _of_server("DELETE", "/tags/{tag}", server_tags.delete, "os-server-tags:delete", status=204, since=(2, 26)),
    _of_server("GET", "/os-interface", interfaces.index, "os-attach-interfaces:list"),
    _of_server("POST", "/os-interface", interfaces.create, "os-attach-interfaces:create", body=dict),
    _of_server("GET", "/os-interface/{port_id}", interfaces.show, "os-attach-interfaces:show"),
    _of_server("DELETE", "/os-interface/{port_id}", interfaces.delete, "os-attach-interfaces:delete", status=202),
    _of_server(
        "GET",
        "/os-instance-actions",
        _ACTIONS.before(instance_actions.index, authorize=False),
        "os-instance-actions:list",
    ),
    _of_server("GET", "/os-instance-actions/{request_id}", instance_actions.show, "os-instance-actions:show"),
    _of_server("GET", "/os-volume_attachments", servers.nothing_attached, "os-volumes-attachments:index"),
    _of_server("GET", "/migrations", servers.no_migrations, "servers:migrations:index", since=(2, 23)),
]

ROUTES = [*FLAVORS, *KEYPAIRS, *SERVERS]
