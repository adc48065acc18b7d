"""Routes of trusts and of revocations."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity.api import revocations, trusts

_OBJECT = "object"
_TRUSTS = "/v3/OS-TRUST/trusts"
_TRUST = _TRUSTS + "/{trust_id}"
_OF_USER = "/v3/users/{user_id}/tokens"

ROUTES = [
    Route("GET", _TRUSTS, trusts.index, "identity:list_trusts", target=_OBJECT),
    Route("POST", _TRUSTS, trusts.create, "identity:create_trust", dict, 201, target=_OBJECT),
    Route("GET", _TRUST, trusts.show, "identity:get_trust", target=_OBJECT),
    Route("DELETE", _TRUST, trusts.delete, "identity:delete_trust", status=204, target=_OBJECT),
    Route("GET", _TRUST + "/roles", trusts.list_roles, "identity:list_roles_for_trust", target=_OBJECT),
    Route("GET", _TRUST + "/roles/{role_id}", trusts.show_role, "identity:get_role_for_trust", target=_OBJECT),
    Route("GET", "/v3/OS-REVOKE/events", revocations.index, "identity:list_revoke_events"),
    Route("DELETE", _OF_USER, revocations.of_user, "identity:revoke_tokens_for_user", status=204, target=_OBJECT),
    Route("GET", "/v3/auth/tokens/OS-PKI/revoked", revocations.revoked_pki, public=True),
]
