"""Access rules, and tokens for requests that were signed with EC2 keys."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity.api import access_rules, signed_tokens

_OBJECT = "object"
_RULES = "/v3/users/{user_id}/access_rules"

ROUTES = [
    Route("GET", _RULES, access_rules.index, "identity:list_access_rules", target=_OBJECT),
    Route("GET", _RULES + "/{access_rule_id}", access_rules.show, "identity:get_access_rule", target=_OBJECT),
    Route(
        "DELETE", _RULES + "/{access_rule_id}", access_rules.delete, "identity:delete_access_rule", status=204,
        target=_OBJECT,
    ),
    Route("POST", "/v3/ec2tokens", signed_tokens.ec2, "identity:ec2tokens_validate", dict),
    Route("POST", "/v3/s3tokens", signed_tokens.s3, "identity:s3tokens_validate", dict),
]  # fmt: skip
