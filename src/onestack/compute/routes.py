"""The routes of 8774 below /v2.1. service.py makes the same ones for /v2, without microversions.

Hosts, quotas, proxies and consoles are in routes_admin.py.
"""

from __future__ import annotations

from typing import Any

from onestack.compute import links
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
from onestack.core.http import Request
from onestack.core.routes import Route

_V = "os_compute_api:"

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

VERSIONS = [
    *(Route(method, "/", versions.index, public=True) for method in _METHODS),
    *(Route(method, "/v2", versions.show_v2, public=True) for method in _METHODS),
    *(Route(method, "/v2.1", versions.show_v21, public=True) for method in _METHODS),
    *(Route(method, CHOICES, versions.choices, public=True, status=300) for method in _METHODS),
    Route("GET", f"/v2{DOCUMENT}", versions.show_v2),
    Route("GET", f"/v2.1{DOCUMENT}", versions.show_v21),
]

FLAVORS = [
    Route("GET", "/flavors", flavors.index, f"{_V}flavors"),
    Route("POST", "/flavors", flavors.create, f"{_V}os-flavor-manage:create", dict),
    Route("GET", "/flavors/detail", flavors.detail, f"{_V}flavors"),
    Route("GET", "/flavors/{flavor_id}", flavors.show, f"{_V}flavors"),
    Route("PUT", "/flavors/{flavor_id}", flavors.update, f"{_V}os-flavor-manage:update", dict, since=(2, 55)),
    Route("DELETE", "/flavors/{flavor_id}", flavors.delete, f"{_V}os-flavor-manage:delete", status=202),
    Route("POST", "/flavors/{flavor_id}/action", flavor_access.action, f"{_V}os-flavor-access", dict, target="object"),
    Route("GET", "/flavors/{flavor_id}/os-flavor-access", flavor_access.index, f"{_V}os-flavor-access"),
    Route(
        "GET", "/flavors/{flavor_id}/os-extra_specs", flavor_extra_specs.index, f"{_V}os-flavor-extra-specs:index"
    ),
    Route(
        "POST", "/flavors/{flavor_id}/os-extra_specs", flavor_extra_specs.create, f"{_V}os-flavor-extra-specs:create",
        dict,
    ),
    Route(
        "GET", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extra_specs.show, f"{_V}os-flavor-extra-specs:show"
    ),
    Route(
        "PUT", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extra_specs.update,
        f"{_V}os-flavor-extra-specs:update", dict,
    ),
    Route(
        "DELETE", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extra_specs.delete,
        f"{_V}os-flavor-extra-specs:delete",
    ),
]  # fmt: skip

KEYPAIRS = [
    Route("GET", "/os-keypairs", keypairs.index, f"{_V}os-keypairs:index", target="object"),
    Route("POST", "/os-keypairs", keypairs.create, f"{_V}os-keypairs:create", dict, target="object"),
    Route("GET", "/os-keypairs/{name}", keypairs.show, f"{_V}os-keypairs:show", target="object"),
    Route("DELETE", "/os-keypairs/{name}", keypairs.delete, f"{_V}os-keypairs:delete", target="object"),
]

_S = "/servers/{server_id}"


# What is shown of one server without any query parameter.
_BARE = frozenset(
    ("", "/ips", "/ips/{network}", "/metadata", "/metadata/{key}", "/tags/{tag}", "/os-interface",
     "/os-interface/{port_id}", "/os-instance-actions/{request_id}")
)  # fmt: skip


def _bare(handler: Any) -> Any:
    """From 2.102 on a parameter that means nothing is an error there as well."""

    def handle(req: Request, **params: Any) -> Any:
        links.refuse_unknown_query(req, frozenset(), since=(2, 102))
        return handler(req, **params)

    return handle


def _of_server(method: str, path: str, handler: Any, rule: str, **more: Any) -> Route:
    """A route below one server: the rule is checked against that server's project."""
    if method == "GET" and path in _BARE:
        handler = _bare(handler)
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
        _bare(server_extras.topology),
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
    _of_server("GET", "/os-instance-actions", instance_actions.index, "os-instance-actions:list"),
    _of_server("GET", "/os-instance-actions/{request_id}", instance_actions.show, "os-instance-actions:show"),
    _of_server("GET", "/os-volume_attachments", servers.nothing_attached, "os-volumes-attachments:index"),
    _of_server("GET", "/migrations", servers.no_migrations, "servers:migrations:index", since=(2, 23)),
    Route("GET", "/os-migrations", servers.migrations, f"{_V}os-migrations:index"),
]

ROUTES = [*FLAVORS, *KEYPAIRS, *SERVERS]
