"""What each service's lists may be asked, and whose the things are that a route is about."""

from __future__ import annotations

from onestack.core.routes import Route
from tests.beside.things import BINARY, PATCH

PREFIX = {"identity": "/v3", "image": "/v2/"}
_NAME = ("name", "name__contains", "name__icontains", "name__startswith", "name__endswith", "name__x")
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "identity": {
        "/v3/domains": (*_NAME, "enabled"),
        "/v3/projects": (*_NAME, "enabled", "domain_id", "parent_id", "is_domain", "tags", "tags-any", "not-tags",
                         "not-tags-any"),
        "/v3/projects/{project_id}": ("parents_as_list", "subtree_as_list", "parents_as_ids", "subtree_as_ids"),
        "/v3/users": (*_NAME, "enabled", "domain_id", "password_expires_at", "idp_id", "protocol_id", "unique_id"),
        "/v3/groups": (*_NAME, "domain_id"),
        "/v3/groups/{group_id}/users": (*_NAME, "password_expires_at"),
        "/v3/users/{user_id}/groups": _NAME,
        "/v3/users/{user_id}/projects": _NAME,
        "/v3/roles": (*_NAME, "domain_id"),
        "/v3/services": (*_NAME, "type"),
        "/v3/endpoints": ("service_id", "interface", "region", "region_id"),
        "/v3/regions": ("parent_region_id",),
        "/v3/credentials": ("user_id", "type"),
        "/v3/policies": ("type",),
        "/v3/registered_limits": ("service_id", "region_id", "resource_name"),
        "/v3/limits": ("service_id", "region_id", "resource_name", "project_id", "domain_id"),
        "/v3/role_assignments": ("group.id", "role.id", "scope.domain.id", "scope.project.id", "scope.system",
                                 "scope.OS-INHERIT:inherited_to", "user.id", "effective", "include_names",
                                 "include_subtree"),
        "/v3/OS-TRUST/trusts": ("trustor_user_id", "trustee_user_id"),
        "/v3/OS-REVOKE/events": ("since",),
        "/v3/OS-EP-FILTER/endpoint_groups": ("name",),
        "/v3/users/{user_id}/application_credentials": ("name",),
        "/v3/users/{user_id}/access_rules": ("service", "path", "method"),
        "/v3/auth/tokens": ("nocatalog", "allow_expired"),
        "/v3/auth/catalog": ("x",),
    },
    "image": {
        "/v2/images": ("name", "status", "visibility", "member_status", "owner", "disk_format", "container_format",
                       "min_ram", "min_disk", "size_min", "size_max", "protected", "os_hidden", "tag", "id", "checksum",
                       "created_at", "updated_at", "os_hash_value", "os_hash_algo", "k", "is_public", "deleted"),
        "/v2/images/{image_id}/members": ("status",),
        "/v2/tasks": ("type", "status", "owner", "id"),
        "/v2/metadefs/namespaces": ("visibility", "resource_types", "owner", "namespace"),
        "/v2/metadefs/namespaces/{namespace}": ("resource_type",),
        "/v2/metadefs/namespaces/{namespace}/properties/{property_name}": ("resource_type",),
    },
}  # fmt: skip
_OWN = ("application_credentials", "access_rules", "/credentials/OS-EC2", "OS-TRUST", "OS-OAUTH1/authorize",
        "OS-OAUTH1/access_tokens")  # fmt: skip


def owner(route: Route) -> tuple[str, dict[str, str]]:
    """Who makes the good request, and which ids are meant by others' names there."""
    if any(part in route.path for part in _OWN):
        return "member", {"$user_id": "$ann", "$project_id": "$alpha", "$ned": "$rob"}
    if route.path.startswith("/v2/images"):
        waits = route.path.endswith(("/stage", "/import")) or (route.method, route.path[-5:]) == ("PUT", "/file")
        return "member", {"$image_id": "$queued_image_id"} if waits else {}
    return "admin", {"$user_id": "$user_with_password"} if route.path.endswith("/password") else {}


def headers(route: Route) -> tuple[tuple[str, str], ...]:
    """What the good request needs beside a token."""
    if route.path == "/v3/auth/tokens" and route.method != "POST":
        return (("X-Subject-Token", "$token"),)
    if route.path == "/v2/images/{image_id}" and route.method == "PATCH":
        return (("Content-Type", PATCH),)
    return (("Content-Type", BINARY),) if route.stream and route.method == "PUT" else ()


def body(route: Route) -> bytes | None:
    """What the good request sends where that is no JSON."""
    return b"text " * 200 if route.stream and route.method == "PUT" else None
