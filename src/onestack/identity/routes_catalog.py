"""Routes around the catalog: limits, options of domains, endpoint filters, policies of endpoints, and what is gone."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity.api import (
    certificates,
    domain_config,
    endpoint_groups,
    limits,
    policies,
    project_endpoints,
    registered_limits,
)

_REGISTERED = "/v3/registered_limits"
_LIMITS = [
    Route("GET", _REGISTERED, registered_limits.index, "identity:list_registered_limits"),
    Route("POST", _REGISTERED, registered_limits.create, "identity:create_registered_limits", dict, 201),
    Route(
        "GET", _REGISTERED + "/{registered_limit_id}", registered_limits.show, "identity:get_registered_limit"
    ),
    Route(
        "PATCH", _REGISTERED + "/{registered_limit_id}", registered_limits.update, "identity:update_registered_limit",
        dict,
    ),
    Route(
        "DELETE", _REGISTERED + "/{registered_limit_id}", registered_limits.delete,
        "identity:delete_registered_limit", status=204,
    ),
    Route("GET", "/v3/limits", limits.index, "identity:list_limits"),
    Route("POST", "/v3/limits", limits.create, "identity:create_limits", dict, 201),
    Route("GET", "/v3/limits/model", limits.model, "identity:get_limit_model"),
    Route("GET", "/v3/limits/{limit_id}", limits.show, "identity:get_limit", target="object"),
    Route("PATCH", "/v3/limits/{limit_id}", limits.update, "identity:update_limit", dict),
    Route("DELETE", "/v3/limits/{limit_id}", limits.delete, "identity:delete_limit", status=204),
]  # fmt: skip

_CONFIG = "/v3/domains/{domain_id}/config"
_DEFAULT = "identity:get_domain_config_default"
_DOMAIN_CONFIG = [
    Route("PUT", _CONFIG, domain_config.create, "identity:create_domain_config", dict),
    *(
        route
        for path in (_CONFIG, _CONFIG + "/{group}", _CONFIG + "/{group}/{option}")
        for route in (
            Route("GET", path, domain_config.show, "identity:get_domain_config", target="object"),
            Route("PATCH", path, domain_config.update, "identity:update_domain_config", dict),
            Route("DELETE", path, domain_config.delete, "identity:delete_domain_config", status=204),
        )
    ),
    Route("GET", "/v3/domains/config/default", domain_config.show_default, _DEFAULT),
    Route("GET", "/v3/domains/config/{group}/default", domain_config.show_default, _DEFAULT),
    Route("GET", "/v3/domains/config/{group}/{option}/default", domain_config.show_default, _DEFAULT),
]

_FILTER = "/v3/OS-EP-FILTER"
_GROUPS = _FILTER + "/endpoint_groups"
_GROUP = _GROUPS + "/{endpoint_group_id}"
_GROUP_PROJECT = _GROUP + "/projects/{project_id}"
_PROJECT_ENDPOINT = _FILTER + "/projects/{project_id}/endpoints/{endpoint_id}"
_ENDPOINT_FILTER = [
    Route("GET", _GROUPS, endpoint_groups.index, "identity:list_endpoint_groups"),
    Route("POST", _GROUPS, endpoint_groups.create, "identity:create_endpoint_group", dict, 201),
    Route("GET", _GROUP, endpoint_groups.show, "identity:get_endpoint_group"),
    Route("PATCH", _GROUP, endpoint_groups.update, "identity:update_endpoint_group", dict),
    Route("DELETE", _GROUP, endpoint_groups.delete, "identity:delete_endpoint_group", status=204),
    Route(
        "GET", _GROUP + "/endpoints", endpoint_groups.endpoints,
        "identity:list_endpoints_associated_with_endpoint_group",
    ),
    Route(
        "GET", _GROUP + "/projects", endpoint_groups.projects,
        "identity:list_projects_associated_with_endpoint_group",
    ),
    Route("GET", _GROUP_PROJECT, endpoint_groups.show_project, "identity:get_endpoint_group_in_project"),
    Route("PUT", _GROUP_PROJECT, endpoint_groups.add_project, "identity:add_endpoint_group_to_project", status=204),
    Route(
        "DELETE", _GROUP_PROJECT, endpoint_groups.remove_project, "identity:remove_endpoint_group_from_project",
        status=204,
    ),
    Route(
        "GET", _FILTER + "/projects/{project_id}/endpoint_groups", endpoint_groups.of_project,
        "identity:list_endpoint_groups_for_project",
    ),
    Route(
        "GET", _FILTER + "/projects/{project_id}/endpoints", project_endpoints.endpoints,
        "identity:list_endpoints_for_project",
    ),
    Route(
        "GET", _FILTER + "/endpoints/{endpoint_id}/projects", project_endpoints.projects,
        "identity:list_projects_for_endpoint",
    ),
    Route("GET", _PROJECT_ENDPOINT, project_endpoints.check, "identity:check_endpoint_in_project", status=204),
    Route("PUT", _PROJECT_ENDPOINT, project_endpoints.add, "identity:add_endpoint_to_project", status=204),
    Route(
        "DELETE", _PROJECT_ENDPOINT, project_endpoints.remove, "identity:remove_endpoint_from_project", status=204
    ),
]  # fmt: skip

_POLICY = "/v3/policies/{policy_id}"
_ASSOCIATION = _POLICY + "/OS-ENDPOINT-POLICY"
_PLACES = (
    ("/endpoints/{endpoint_id}", "endpoint"),
    ("/services/{service_id}", "service"),
    ("/services/{service_id}/regions/{region_id}", "region_and_service"),
)
_POLICIES = [
    Route("GET", "/v3/policies", policies.index, "identity:list_policies"),
    Route("POST", "/v3/policies", policies.create, "identity:create_policy", dict, 201),
    Route("GET", _POLICY, policies.show, "identity:get_policy"),
    Route("PATCH", _POLICY, policies.update, "identity:update_policy", dict),
    Route("DELETE", _POLICY, policies.delete, "identity:delete_policy", status=204),
    Route("GET", _ASSOCIATION + "/endpoints", policies.endpoints, "identity:list_endpoints_for_policy"),
    *(
        Route(method, _ASSOCIATION + path, handler, f"identity:{verb}_policy_association_for_{place}", status=204)
        for path, place in _PLACES
        for method, handler, verb in (
            ("GET", policies.check, "check"),
            ("PUT", policies.associate, "create"),
            ("DELETE", policies.dissociate, "delete"),
        )
    ),
    Route(
        "GET", "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", policies.of_endpoint,
        "identity:get_policy_for_endpoint",
    ),
]  # fmt: skip

_GONE = [
    Route("GET", "/v3/OS-SIMPLE-CERT/ca", certificates.gone, status=410, public=True),
    Route("GET", "/v3/OS-SIMPLE-CERT/certificates", certificates.gone, status=410, public=True),
]

ROUTES = [*_LIMITS, *_DOMAIN_CONFIG, *_ENDPOINT_FILTER, *_POLICIES, *_GONE]
