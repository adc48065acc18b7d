"""Signatures of OAuth 1 requests (RFC 5849), by oauthlib.

As in Keystone a nonce isn't remembered: a request holds for ten minutes after its time stamp.
"""

from __future__ import annotations

import datetime
from typing import Any

from oauthlib.oauth1.rfc5849 import signature

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity.dialect import expecting, unauthorized

_METHODS = {
    "HMAC-SHA1": signature.verify_hmac_sha1,
    "HMAC-SHA256": signature.verify_hmac_sha256,
    "HMAC-SHA512": signature.verify_hmac_sha512,
}
_MANDATORY = ("consumer_key", "nonce", "timestamp", "signature_method", "signature")
_VALID_FOR = 600  # seconds
_UTC = datetime.UTC


class _Signed:
    """What oauthlib wants to know of a request."""

    def __init__(self, req: Request, given: str) -> None:
        self.http_method = req.method
        self.uri = f"{req.base_url}{req.falcon.path}"
        self.signature = given
        # The body of a token's request is JSON, which OAuth doesn't sign.
        self.params = signature.collect_parameters(
            uri_query=req.falcon.query_string, headers={"Authorization": req.header("Authorization")}
        )


def parameters(req: Request, *wanted: str) -> dict[str, str]:
    """The OAuth parameters of the Authorization header, `wanted` among them. Raises BadRequest."""
    try:
        headers = {"Authorization": req.header("Authorization") or ""}
        found = dict(signature.collect_parameters(headers=headers, exclude_oauth_signature=False))
    except ValueError:
        found = {}
    for name in wanted:
        if not found.get(name):
            raise expecting(name, "request")
    return found


def check_form(given: dict[str, str]) -> None:
    """Raises BadRequest for what isn't a signed request at all, where tokens of OAuth are asked for."""
    if not all(given.get(f"oauth_{name}") for name in _MANDATORY):
        raise malformed("Missing mandatory OAuth parameters.")
    if len(given["oauth_timestamp"]) != 10:
        raise malformed("Invalid timestamp size")


def malformed(words: str) -> BadRequest:
    return BadRequest(f"Validation failed with errors: invalid_request, detail message is: {words}.")


def check(req: Request, given: dict[str, str], consumer_secret: str, token_secret: str = "") -> None:
    """Raise Unauthorized unless the request was signed with both secrets, a moment ago."""
    verify: Any = _METHODS.get(given.get("oauth_signature_method", ""))
    if verify is None or given.get("oauth_version", "1.0") != "1.0" or not given.get("oauth_nonce"):
        raise unauthorized()
    stamp = given.get("oauth_timestamp", "")
    now = req.cloud.clock.now().replace(tzinfo=_UTC).timestamp()
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12) or abs(now - int(stamp)) > _VALID_FOR:
        raise unauthorized()
    try:
        good = verify(_Signed(req, given.get("oauth_signature", "")), consumer_secret, token_secret)
    except ValueError:
        good = False
    if not good:
        raise unauthorized()
