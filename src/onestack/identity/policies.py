"""Keystone's rules and defaults (2026.2): rule name → check string, and the scopes that a token may have for it.

Personas are admin, manager, member and reader, on the system, a domain or a project. An admin of any project is admin
of the cloud. A domain's token reaches only the rules of DOMAIN_RULES: what belongs to no domain needs the system
or a project.
"""

from __future__ import annotations

from onestack.core.context import Context
from onestack.core.policy import Policy, Target
from onestack.identity import policies_catalog, policies_credentials, policies_oauth, policies_trusts
from onestack.identity.dialect import forbidden

_SYSTEM_READER = "(role:reader and system_scope:all)"
_ADMIN = "rule:admin_required"
_READ = f"{_ADMIN} or {_SYSTEM_READER}"


def _in_domain(role: str, *targets: str) -> str:
    """`role` on the domain that owns every one of `targets`."""
    owned = " and ".join(f"domain_id:%({target})s" for target in targets)
    return f"(role:{role} and {owned})"


def _grants(role: str) -> str:
    """`role` on the domain of both actor and target of a grant, in the four pairs that there are."""
    pairs = [
        _in_domain(role, f"target.{actor}.domain_id", target)
        for actor in ("user", "group")
        for target in ("target.project.domain_id", "target.domain.id")
    ]
    return "(" + " or ".join(pairs) + ")"


_ROLE_OF_DOMAIN = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
_CHANGE_GRANT = (
    f"{_ADMIN} or ({_grants('admin')} and {_ROLE_OF_DOMAIN})"
    f" or ({_grants('manager')} and rule:domain_managed_target_role)"
)
_PROJECT_IN_DOMAIN = "domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s"
_SEE_PROJECT = f"{_READ} or (role:reader and {_PROJECT_IN_DOMAIN}) or project_id:%(target.project.id)s"
_CHANGE_PROJECT = f"{_ADMIN} or (role:manager and {_PROJECT_IN_DOMAIN})"
_CHANGE_USER = f"{_ADMIN} or (role:manager and token.domain.id:%(target.user.domain_id)s)"
_SEE_GROUP = f"{_READ} or {_in_domain('reader', 'target.group.domain_id')}"
_CHANGE_GROUP = f"{_ADMIN} or {_in_domain('manager', 'target.group.domain_id')}"
_CHANGE_MEMBER = f"{_ADMIN} or {_in_domain('manager', 'target.group.domain_id', 'target.user.domain_id')}"
_OWN_CREDENTIAL = "user_id:%(target.credential.user_id)s"
_LIST_IN_DOMAIN = f"{_READ} or {_in_domain('reader', 'target.domain_id')}"

# Rules that a token for a domain may be used for.
_DOMAIN_POLICIES = {
    "identity:get_domain": (
        f"{_READ} or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s"
    ),
    "identity:list_domains": f"{_READ} or {_in_domain('reader', 'target.domain.id')}",
    "identity:get_project": _SEE_PROJECT,
    "identity:list_projects": _LIST_IN_DOMAIN,
    "identity:list_user_projects": (
        f"{_READ} or {_in_domain('reader', 'target.user.domain_id')} or user_id:%(target.user.id)s"
    ),
    "identity:create_project": _CHANGE_PROJECT,
    "identity:update_project": _CHANGE_PROJECT,
    "identity:delete_project": _CHANGE_PROJECT,
    "identity:list_project_tags": _SEE_PROJECT,
    "identity:get_project_tag": _SEE_PROJECT,
    "identity:update_project_tags": _CHANGE_PROJECT,
    "identity:create_project_tag": _CHANGE_PROJECT,
    "identity:delete_project_tags": _CHANGE_PROJECT,
    "identity:delete_project_tag": _CHANGE_PROJECT,
    "identity:get_user": (
        f"{_READ} or (role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s"
    ),
    "identity:list_users": _LIST_IN_DOMAIN,
    "identity:create_user": _CHANGE_USER,
    "identity:update_user": _CHANGE_USER,
    "identity:delete_user": _CHANGE_USER,
    "identity:get_group": _SEE_GROUP,
    "identity:list_groups": _SEE_GROUP,
    "identity:list_groups_for_user": (
        f"{_READ} or {_in_domain('reader', 'target.user.domain_id')} or user_id:%(user_id)s"
    ),
    "identity:create_group": _CHANGE_GROUP,
    "identity:update_group": _CHANGE_GROUP,
    "identity:delete_group": _CHANGE_GROUP,
    "identity:list_users_in_group": _SEE_GROUP,
    "identity:check_user_in_group": (
        f"{_READ} or {_in_domain('reader', 'target.group.domain_id', 'target.user.domain_id')}"
    ),
    "identity:add_user_to_group": _CHANGE_MEMBER,
    "identity:remove_user_from_group": _CHANGE_MEMBER,
    "identity:get_role": f"{_READ} or (role:manager and rule:domain_managed_target_role)",
    "identity:list_roles": f"{_READ} or (role:manager and not domain_id:None)",
    "identity:check_grant": f"{_READ} or ({_grants('reader')} and {_ROLE_OF_DOMAIN})",
    "identity:list_grants": f"{_READ} or {_grants('reader')}",
    "identity:create_grant": _CHANGE_GRANT,
    "identity:revoke_grant": _CHANGE_GRANT,
    "identity:list_role_assignments": _LIST_IN_DOMAIN,
    "identity:list_role_assignments_for_tree": _LIST_IN_DOMAIN,
    "identity:get_region": "",
    "identity:list_regions": "",
    "identity:get_credential": f"{_READ} or {_OWN_CREDENTIAL}",
    "identity:list_credentials": f"{_READ} or {_OWN_CREDENTIAL}",
    "identity:create_credential": f"{_ADMIN} or {_OWN_CREDENTIAL}",
    "identity:update_credential": f"{_ADMIN} or {_OWN_CREDENTIAL}",
    "identity:delete_credential": f"{_ADMIN} or {_OWN_CREDENTIAL}",
    "identity:check_token": f"{_READ} or rule:token_subject",
    "identity:validate_token": f"{_READ} or rule:service_role or rule:token_subject",
    "identity:revoke_token": f"{_ADMIN} or rule:token_subject",
    "identity:get_auth_catalog": "",
    "identity:get_auth_projects": "",
    "identity:get_auth_domains": "",
    "identity:get_auth_system": "",
    **policies_credentials.DOMAIN_POLICIES,
    **policies_trusts.DOMAIN_POLICIES,
}

_POLICIES = {
    "admin_required": "role:admin or is_admin:1",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "token_subject": "user_id:%(target.token.user_id)s",
    "domain_managed_target_role": (
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"
    ),
    "identity:create_domain": _ADMIN,
    "identity:update_domain": _ADMIN,
    "identity:delete_domain": _ADMIN,
    "identity:create_role": _ADMIN,
    "identity:update_role": _ADMIN,
    "identity:delete_role": _ADMIN,
    "identity:get_domain_role": _READ,
    "identity:list_domain_roles": _READ,
    "identity:create_domain_role": _ADMIN,
    "identity:update_domain_role": _ADMIN,
    "identity:delete_domain_role": _ADMIN,
    "identity:get_implied_role": _READ,
    "identity:list_implied_roles": _READ,
    "identity:list_role_inference_rules": _READ,
    "identity:check_implied_role": _READ,
    "identity:create_implied_role": _ADMIN,
    "identity:delete_implied_role": _ADMIN,
    "identity:create_region": _ADMIN,
    "identity:update_region": _ADMIN,
    "identity:delete_region": _ADMIN,
    "identity:get_service": _READ,
    "identity:list_services": _READ,
    "identity:create_service": _ADMIN,
    "identity:update_service": _ADMIN,
    "identity:delete_service": _ADMIN,
    "identity:get_endpoint": _READ,
    "identity:list_endpoints": _READ,
    "identity:create_endpoint": _ADMIN,
    "identity:update_endpoint": _ADMIN,
    "identity:delete_endpoint": _ADMIN,
    "identity:get_application_credential": f"{_READ} or rule:owner",
    "identity:list_application_credentials": f"{_READ} or rule:owner",
    "identity:create_application_credential": "user_id:%(user_id)s",
    "identity:delete_application_credential": "rule:admin_or_owner",
    **policies_credentials.POLICIES,
    **policies_oauth.POLICIES,
    **policies_oauth.PROJECT_POLICIES,
    "identity:ec2_get_credential": f"{_READ} or {_OWN_CREDENTIAL}",
    "identity:ec2_list_credentials": f"{_READ} or rule:owner",
    "identity:ec2_create_credential": f"{_ADMIN} or (role:member and {_OWN_CREDENTIAL})",
    "identity:ec2_delete_credential": f"{_ADMIN} or (role:member and {_OWN_CREDENTIAL})",
} | {
    f"identity:{verb}_system_grant{'s' if verb == 'list' else ''}_for_{actor}": check
    for verb, check in (("list", _READ), ("check", _READ), ("create", _ADMIN), ("revoke", _ADMIN))
    for actor in ("user", "group")
}

_DOMAIN_POLICIES |= policies_catalog.DOMAIN_POLICIES

POLICIES: dict[str, str] = _POLICIES | policies_catalog.POLICIES | _DOMAIN_POLICIES | policies_trusts.POLICIES
_PROJECT_ONLY = (
    frozenset({"identity:create_application_credential", *policies_oauth.PROJECT_POLICIES})
    | policies_trusts.PROJECT_ONLY
)


def allowed_scopes(rule: str) -> frozenset[str]:
    """What kinds of token `rule` can be used with (a token without a scope is left to the rule itself)."""
    if rule in _PROJECT_ONLY:
        return frozenset({"project", "unscoped"})
    if rule in _DOMAIN_POLICIES:
        return frozenset({"project", "system", "domain", "unscoped"})
    return frozenset({"project", "system", "unscoped"})


class IdentityPolicy(Policy):
    """Rules with their scopes, and Keystone's words for a refusal."""

    def allows(self, rule: str, context: Context, target: Target) -> bool:
        return context.scope in allowed_scopes(rule) and super().allows(rule, context, target)

    def authorize(self, rule: str, context: Context, target: Target) -> None:
        if not self.allows(rule, context, target):
            raise forbidden(rule)
