"""Rules about trusts and revocations, with Keystone's defaults."""

from __future__ import annotations

_READ = "rule:admin_required or (role:reader and system_scope:all)"
_TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
_SEE = f"{_READ} or {_TRUSTOR} or {_TRUSTEE}"

POLICIES = {
    "identity:create_trust": _TRUSTOR,
    "identity:list_trusts": _READ,
    "identity:list_trusts_for_trustor": f"{_READ} or {_TRUSTOR}",
    "identity:list_trusts_for_trustee": f"{_READ} or {_TRUSTEE}",
    "identity:list_roles_for_trust": _SEE,
    "identity:get_role_for_trust": _SEE,
    "identity:delete_trust": f"rule:admin_required or {_TRUSTOR}",
    "identity:get_trust": _SEE,
    "identity:list_revoke_events": "rule:service_or_admin",
    "identity:revocation_list": "rule:service_or_admin",
}
# Everybody may end their own tokens, whatever they are for.
DOMAIN_POLICIES = {
    "identity:revoke_tokens_for_user": "rule:admin_or_owner",
}
# A trust is made for a project, with a token of one.
PROJECT_ONLY = frozenset({"identity:create_trust"})
