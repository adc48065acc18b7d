"""OAuth 1 (the extension OS-OAUTH1). What consumers ask for is signed by them, so there is no token to look at."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity.api import access_tokens, consumers, oauth_tokens

_CONSUMERS = "/v3/OS-OAUTH1/consumers"
_TOKENS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
_TOKEN = _TOKENS + "/{access_token_id}"

ROUTES = [
    Route("GET", _CONSUMERS, consumers.index, "identity:list_consumers"),
    Route("POST", _CONSUMERS, consumers.create, "identity:create_consumer", dict, 201),
    Route("GET", _CONSUMERS + "/{consumer_id}", consumers.show, "identity:get_consumer"),
    Route("PATCH", _CONSUMERS + "/{consumer_id}", consumers.update, "identity:update_consumer", dict),
    Route("DELETE", _CONSUMERS + "/{consumer_id}", consumers.delete, "identity:delete_consumer", status=204),
    Route("POST", "/v3/OS-OAUTH1/request_token", oauth_tokens.create_request_token, status=201, public=True),
    Route(
        "PUT", "/v3/OS-OAUTH1/authorize/{request_token_id}", oauth_tokens.authorize,
        "identity:authorize_request_token", dict,
    ),
    Route("POST", "/v3/OS-OAUTH1/access_token", oauth_tokens.create_access_token, status=201, public=True),
    Route("GET", _TOKENS, access_tokens.index, "identity:list_access_tokens"),
    Route("GET", _TOKEN, access_tokens.show, "identity:get_access_token"),
    Route("DELETE", _TOKEN, access_tokens.delete, "identity:delete_access_token", status=204),
    Route("GET", _TOKEN + "/roles", access_tokens.list_roles, "identity:list_access_token_roles"),
    Route("GET", _TOKEN + "/roles/{role_id}", access_tokens.show_role, "identity:get_access_token_role"),
]  # fmt: skip
