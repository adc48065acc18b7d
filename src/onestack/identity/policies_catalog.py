"""Keystone's rules and defaults for limits, options of domains, endpoint filters and policies of endpoints (2026.2)."""

from __future__ import annotations

_ADMIN = "rule:admin_required"
_READ = f"{_ADMIN} or (role:reader and system_scope:all)"
_OWN_LIMIT = (
    "(domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s)"
    " or (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)"
)

# Rules that a token for a domain may be used for.
DOMAIN_POLICIES: dict[str, str] = {
    "identity:get_limit_model": "",
    "identity:get_limit": f"{_READ} or {_OWN_LIMIT}",
    "identity:list_limits": "",
    "identity:get_registered_limit": "",
    "identity:list_registered_limits": "",
    "identity:get_security_compliance_domain_config": "",
}

_READABLE = (
    "get_domain_config", "get_domain_config_default", "list_endpoint_groups", "get_endpoint_group",
    "list_projects_associated_with_endpoint_group", "list_endpoints_associated_with_endpoint_group",
    "get_endpoint_group_in_project", "list_endpoint_groups_for_project", "list_projects_for_endpoint",
    "check_endpoint_in_project", "list_endpoints_for_project", "get_policy", "list_policies",
    "check_policy_association_for_endpoint", "check_policy_association_for_service",
    "check_policy_association_for_region_and_service", "get_policy_for_endpoint", "list_endpoints_for_policy",
)  # fmt: skip
_CHANGES = (
    "create_limits", "update_limit", "delete_limit", "create_registered_limits", "update_registered_limit",
    "delete_registered_limit", "create_domain_config", "update_domain_config", "delete_domain_config",
    "create_endpoint_group", "update_endpoint_group", "delete_endpoint_group", "add_endpoint_group_to_project",
    "remove_endpoint_group_from_project", "add_endpoint_to_project", "remove_endpoint_from_project", "create_policy",
    "update_policy", "delete_policy", "create_policy_association_for_endpoint",
    "delete_policy_association_for_endpoint", "create_policy_association_for_service",
    "delete_policy_association_for_service", "create_policy_association_for_region_and_service",
    "delete_policy_association_for_region_and_service",
)  # fmt: skip

POLICIES: dict[str, str] = {f"identity:{name}": _READ for name in _READABLE} | {
    f"identity:{name}": _ADMIN for name in _CHANGES
}
