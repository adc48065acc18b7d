"""Keystone's rules for access rules and for tokens of signed requests, joined in policies.py."""

from __future__ import annotations

_OWNER = "user_id:%(target.user.id)s"
_SEE_RULE = f"(role:reader and system_scope:all) or {_OWNER}"

POLICIES = {
    "identity:get_access_rule": _SEE_RULE,
    "identity:list_access_rules": _SEE_RULE,
    "identity:delete_access_rule": f"(role:admin and system_scope:all) or {_OWNER}",
}
DOMAIN_POLICIES = {
    "identity:ec2tokens_validate": "rule:service_or_admin",
    "identity:s3tokens_validate": "rule:service_or_admin",
}
