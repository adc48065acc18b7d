"""Keystone's rules for OAuth 1, joined in policies.py."""

from __future__ import annotations

_ADMIN = "rule:admin_required"
_READ = f"{_ADMIN} or (role:reader and system_scope:all)"

POLICIES = {
    "identity:get_consumer": _READ,
    "identity:list_consumers": _READ,
    "identity:create_consumer": _ADMIN,
    "identity:update_consumer": _ADMIN,
    "identity:delete_consumer": _ADMIN,
}
# A request is for a project, so only a token for one may answer it.
PROJECT_POLICIES = {
    "identity:authorize_request_token": _ADMIN,
    "identity:list_access_tokens": _ADMIN,
    "identity:get_access_token": _ADMIN,
    "identity:delete_access_token": _ADMIN,
    "identity:list_access_token_roles": _ADMIN,
    "identity:get_access_token_role": _ADMIN,
}
