"""Every route of the Identity API that is served here."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity import routes_catalog, routes_credentials, routes_oauth, routes_trusts
from onestack.identity.api import (
    application_credentials,
    auth,
    credentials,
    domains,
    ec2_credentials,
    endpoints,
    grants,
    groups,
    project_tags,
    projects,
    regions,
    role_assignments,
    roles,
    services,
    tokens,
    users,
    versions,
)

_OBJECT = "object"


def _grant_routes(family: grants.Grants) -> list[Route]:
    suffix = "/inherited_to_projects" if family.inherited else ""
    one = f"{family.path}/{{role_id}}{suffix}"
    return [
        Route("GET", family.path + suffix, family.index, family.rule("list"), target=_OBJECT),
        Route("GET", one, family.check, family.rule("check"), status=204, target=_OBJECT),
        Route("PUT", one, family.create, family.rule("create"), status=204, target=_OBJECT),
        Route("DELETE", one, family.delete, family.rule("revoke"), status=204, target=_OBJECT),
    ]


_VERSIONS = [
    Route("GET", "/", versions.index, public=True),
    Route("GET", "/v3", versions.show, public=True),
]

_AUTH = [
    Route("POST", "/v3/auth/tokens", tokens.create, body=dict, status=201, public=True),
    Route("GET", "/v3/auth/tokens", tokens.show, "identity:validate_token", target=_OBJECT),
    Route("HEAD", "/v3/auth/tokens", tokens.check, "identity:check_token", target=_OBJECT),
    Route("DELETE", "/v3/auth/tokens", tokens.delete, "identity:revoke_token", status=204, target=_OBJECT),
    Route("GET", "/v3/auth/catalog", auth.catalog, "identity:get_auth_catalog"),
    Route("GET", "/v3/auth/projects", auth.projects, "identity:get_auth_projects"),
    Route("GET", "/v3/auth/domains", auth.domains, "identity:get_auth_domains"),
    Route("GET", "/v3/auth/system", auth.system, "identity:get_auth_system"),
]

_DOMAINS = [
    Route("GET", "/v3/domains", domains.index, "identity:list_domains", target=_OBJECT),
    Route("POST", "/v3/domains", domains.create, "identity:create_domain", dict, 201),
    Route("GET", "/v3/domains/{domain_id}", domains.show, "identity:get_domain", target=_OBJECT),
    Route("PATCH", "/v3/domains/{domain_id}", domains.update, "identity:update_domain", dict, target=_OBJECT),
    Route("DELETE", "/v3/domains/{domain_id}", domains.delete, "identity:delete_domain", status=204, target=_OBJECT),
]

_TAGS = "/v3/projects/{project_id}/tags"
_PROJECTS = [
    Route("GET", "/v3/projects", projects.index, "identity:list_projects", target=_OBJECT),
    Route("POST", "/v3/projects", projects.create, "identity:create_project", dict, 201, target=_OBJECT),
    Route("GET", "/v3/projects/{project_id}", projects.show, "identity:get_project", target=_OBJECT),
    Route("PATCH", "/v3/projects/{project_id}", projects.update, "identity:update_project", dict, target=_OBJECT),
    Route(
        "DELETE", "/v3/projects/{project_id}", projects.delete, "identity:delete_project", status=204, target=_OBJECT
    ),
    Route("GET", _TAGS, project_tags.index, "identity:list_project_tags", target=_OBJECT),
    Route("PUT", _TAGS, project_tags.replace, "identity:update_project_tags", dict, target=_OBJECT),
    Route("DELETE", _TAGS, project_tags.delete_all, "identity:delete_project_tags", status=204, target=_OBJECT),
    Route("GET", _TAGS + "/{tag}", project_tags.check, "identity:get_project_tag", status=204, target=_OBJECT),
    Route("PUT", _TAGS + "/{tag}", project_tags.add, "identity:create_project_tag", status=201, target=_OBJECT),
    Route("DELETE", _TAGS + "/{tag}", project_tags.delete, "identity:delete_project_tag", status=204, target=_OBJECT),
]  # fmt: skip

_APPLICATION = "/v3/users/{user_id}/application_credentials"
_USERS = [
    Route("GET", "/v3/users", users.index, "identity:list_users", target=_OBJECT),
    Route("POST", "/v3/users", users.create, "identity:create_user", dict, 201, target=_OBJECT),
    Route("GET", "/v3/users/{user_id}", users.show, "identity:get_user", target=_OBJECT),
    Route("PATCH", "/v3/users/{user_id}", users.update, "identity:update_user", dict, target=_OBJECT),
    Route("DELETE", "/v3/users/{user_id}", users.delete, "identity:delete_user", status=204, target=_OBJECT),
    Route("POST", "/v3/users/{user_id}/password", users.change_password, body=dict, status=204, public=True),
    Route("GET", "/v3/users/{user_id}/projects", users.projects, "identity:list_user_projects", target=_OBJECT),
    Route("GET", "/v3/users/{user_id}/groups", users.groups, "identity:list_groups_for_user", target=_OBJECT),
    Route("GET", _APPLICATION, application_credentials.index, "identity:list_application_credentials", target=_OBJECT),
    Route(
        "POST", _APPLICATION, application_credentials.create, "identity:create_application_credential", dict, 201,
        target=_OBJECT,
    ),
    Route(
        "GET", _APPLICATION + "/{credential_id}", application_credentials.show, "identity:get_application_credential",
        target=_OBJECT,
    ),
    Route(
        "DELETE", _APPLICATION + "/{credential_id}", application_credentials.delete,
        "identity:delete_application_credential", status=204, target=_OBJECT,
    ),
]  # fmt: skip

_MEMBERS = "/v3/groups/{group_id}/users"
_GROUPS = [
    Route("GET", "/v3/groups", groups.index, "identity:list_groups", target=_OBJECT),
    Route("POST", "/v3/groups", groups.create, "identity:create_group", dict, 201, target=_OBJECT),
    Route("GET", "/v3/groups/{group_id}", groups.show, "identity:get_group", target=_OBJECT),
    Route("PATCH", "/v3/groups/{group_id}", groups.update, "identity:update_group", dict, target=_OBJECT),
    Route("DELETE", "/v3/groups/{group_id}", groups.delete, "identity:delete_group", status=204, target=_OBJECT),
    Route("GET", _MEMBERS, users.in_group, "identity:list_users_in_group", target=_OBJECT),
    Route(
        "GET", _MEMBERS + "/{user_id}", groups.check_member, "identity:check_user_in_group", status=204, target=_OBJECT
    ),
    Route("PUT", _MEMBERS + "/{user_id}", groups.add_member, "identity:add_user_to_group", status=204, target=_OBJECT),
    Route(
        "DELETE", _MEMBERS + "/{user_id}", groups.remove_member, "identity:remove_user_from_group", status=204,
        target=_OBJECT,
    ),
]  # fmt: skip

_IMPLIES = "/v3/roles/{role_id}/implies"
_ROLES = [
    Route("GET", "/v3/roles", roles.index, "identity:list_roles", target=_OBJECT),
    Route("POST", "/v3/roles", roles.create, "identity:create_role", dict, 201, target=_OBJECT),
    Route("GET", "/v3/roles/{role_id}", roles.show, "identity:get_role", target=_OBJECT),
    Route("PATCH", "/v3/roles/{role_id}", roles.update, "identity:update_role", dict, target=_OBJECT),
    Route("DELETE", "/v3/roles/{role_id}", roles.delete, "identity:delete_role", status=204, target=_OBJECT),
    Route("GET", _IMPLIES, roles.list_implied, "identity:list_implied_roles", target=_OBJECT),
    Route("GET", _IMPLIES + "/{implied_role_id}", roles.show_implied, "identity:get_implied_role", target=_OBJECT),
    Route(
        "HEAD", _IMPLIES + "/{implied_role_id}", roles.check_implied, "identity:check_implied_role", status=204,
        target=_OBJECT,
    ),
    Route(
        "PUT", _IMPLIES + "/{implied_role_id}", roles.create_implied, "identity:create_implied_role", status=201,
        target=_OBJECT,
    ),
    Route(
        "DELETE", _IMPLIES + "/{implied_role_id}", roles.delete_implied, "identity:delete_implied_role", status=204,
        target=_OBJECT,
    ),
    Route("GET", "/v3/role_inferences", roles.list_inferences, "identity:list_role_inference_rules"),
    Route(
        "GET", "/v3/role_assignments", role_assignments.index, "identity:list_role_assignments", target=_OBJECT
    ),
]  # fmt: skip

_CATALOG = [
    Route("GET", "/v3/services", services.index, "identity:list_services"),
    Route("POST", "/v3/services", services.create, "identity:create_service", dict, 201),
    Route("GET", "/v3/services/{service_id}", services.show, "identity:get_service"),
    Route("PATCH", "/v3/services/{service_id}", services.update, "identity:update_service", dict),
    Route("DELETE", "/v3/services/{service_id}", services.delete, "identity:delete_service", status=204),
    Route("GET", "/v3/endpoints", endpoints.index, "identity:list_endpoints"),
    Route("POST", "/v3/endpoints", endpoints.create, "identity:create_endpoint", dict, 201),
    Route("GET", "/v3/endpoints/{endpoint_id}", endpoints.show, "identity:get_endpoint"),
    Route("PATCH", "/v3/endpoints/{endpoint_id}", endpoints.update, "identity:update_endpoint", dict),
    Route("DELETE", "/v3/endpoints/{endpoint_id}", endpoints.delete, "identity:delete_endpoint", status=204),
    Route("GET", "/v3/regions", regions.index, "identity:list_regions"),
    Route("POST", "/v3/regions", regions.create, "identity:create_region", dict, 201),
    Route("GET", "/v3/regions/{region_id}", regions.show, "identity:get_region"),
    Route("PUT", "/v3/regions/{region_id}", regions.create_with_id, "identity:create_region", dict, 201),
    Route("PATCH", "/v3/regions/{region_id}", regions.update, "identity:update_region", dict),
    Route("DELETE", "/v3/regions/{region_id}", regions.delete, "identity:delete_region", status=204),
]

_CREDENTIALS = [
    Route("GET", "/v3/credentials", credentials.index, "identity:list_credentials", target=_OBJECT),
    Route("POST", "/v3/credentials", credentials.create, "identity:create_credential", dict, 201, target=_OBJECT),
    Route("GET", "/v3/credentials/{credential_id}", credentials.show, "identity:get_credential", target=_OBJECT),
    Route(
        "PATCH", "/v3/credentials/{credential_id}", credentials.update, "identity:update_credential", dict,
        target=_OBJECT,
    ),
    Route(
        "DELETE", "/v3/credentials/{credential_id}", credentials.delete, "identity:delete_credential", status=204,
        target=_OBJECT,
    ),
]  # fmt: skip

_EC2 = "/v3/users/{user_id}/credentials/OS-EC2"
_EC2_CREDENTIALS = [
    Route("GET", _EC2, ec2_credentials.index, "identity:ec2_list_credentials", target=_OBJECT),
    Route("POST", _EC2, ec2_credentials.create, "identity:ec2_create_credential", dict, 201, target=_OBJECT),
    Route("GET", _EC2 + "/{access}", ec2_credentials.show, "identity:ec2_get_credential", target=_OBJECT),
    Route(
        "DELETE", _EC2 + "/{access}", ec2_credentials.delete, "identity:ec2_delete_credential", status=204,
        target=_OBJECT,
    ),
]  # fmt: skip

ROUTES = [
    *_VERSIONS, *_AUTH, *_DOMAINS, *_PROJECTS, *_USERS, *_GROUPS, *_ROLES, *_CATALOG, *_CREDENTIALS, *_EC2_CREDENTIALS,
    *routes_credentials.ROUTES, *routes_oauth.ROUTES,
    *routes_catalog.ROUTES,
    *(route for family in grants.FAMILIES for route in _grant_routes(family)),
    *routes_trusts.ROUTES,
]  # fmt: skip
