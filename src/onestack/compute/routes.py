"""The routes of 8774 below /v2.1. service.py makes the same ones for /v2, without microversions.

Hosts, quotas, proxies and consoles are in routes_admin.py.
"""

from __future__ import annotations

from onestack.compute.api import flavor_access, flavor_extra_specs, flavors, keypairs, versions
from onestack.core.routes import Route

_V = "os_compute_api:"

VERSIONS = [
    Route("GET", "/", versions.index, public=True),
    Route("GET", "/v2", versions.show_v2, public=True),
    Route("GET", "/v2.1", versions.show_v21, public=True),
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

ROUTES = [*FLAVORS, *KEYPAIRS]
