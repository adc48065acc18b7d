"""The three steps of OAuth 1: a consumer asks, a user authorizes, the consumer gets an access token (RFC 5849)."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any

from onestack.core.clock import micros_z
from onestack.core.http import Request, Response
from onestack.identity import assignments, checks, given_roles, oauth, oauth_signatures
from onestack.identity.api import delegation
from onestack.identity.api.common import get_project
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.engine import engine
from onestack.identity.models_oauth import AccessToken, RequestToken


def create_request_token(req: Request) -> Response:
    given = oauth_signatures.parameters(req, "oauth_consumer_key")
    project_id = req.header("Requested-Project-Id")
    if not project_id:
        raise expecting("Requested-Project-Id", "request")
    secret = oauth.new_secret()
    with req.cloud.db.write() as session:
        get_project(session, project_id)
        consumer = oauth.get_consumer(session, given["oauth_consumer_key"])
        oauth_signatures.check_form(given)
        if not given.get("oauth_callback"):
            raise oauth_signatures.malformed("Missing callback URI.")
        oauth_signatures.check(req, given, engine(req).unseal(consumer.encrypted_secret))
        row = RequestToken(
            id=req.cloud.ids.hex(), consumer_id=consumer.id, project_id=project_id, user_id=None, role_ids=[],
            encrypted_secret=engine(req).seal(secret), expires_at=req.cloud.clock.now() + oauth.REQUEST_TOKEN_LIFETIME,
        )  # fmt: skip
        session.add(row)
    return _answer(row.id, secret, row.expires_at)


def authorize(req: Request, request_token_id: str) -> dict[str, Any]:
    wanted = req.body.get("roles", [])
    checks.checked_as_of_old(wanted, given_roles.check)
    delegation.refuse_for_oauth(req)
    verifier = oauth.new_verifier()
    with req.cloud.db.write() as session:
        row = oauth.get_request_token(session, req.cloud.clock.now(), request_token_id)
        project = get_project(session, row.project_id)
        mine = {role.id for role in assignments.roles_on_project(session, req.ctx.user_id, project)}
        role_ids = given_roles.ids(session, wanted)
        if not set(role_ids) <= mine:
            raise unauthorized()
        row.user_id, row.role_ids, row.verifier_hash = req.ctx.user_id, role_ids, oauth.hashed(verifier)
    return {"token": {"oauth_verifier": verifier}}


def create_access_token(req: Request) -> Response:
    given = oauth_signatures.parameters(req, "oauth_consumer_key", "oauth_token", "oauth_verifier")
    now, secret = req.cloud.clock.now(), oauth.new_secret()
    with req.cloud.db.write() as session:
        asked = oauth.get_request_token(session, now, given["oauth_token"])
        oauth_signatures.check_form(given)
        if not oauth.could_be_verifier(given["oauth_verifier"]):
            raise oauth_signatures.malformed("Invalid verifier format.")
        if asked.consumer_id != given["oauth_consumer_key"]:
            raise unauthorized()
        consumer = oauth.get_consumer(session, asked.consumer_id)
        secrets = [engine(req).unseal(row.encrypted_secret) for row in (consumer, asked)]
        oauth_signatures.check(req, given, *secrets)
        if not oauth.is_verifier(asked, given["oauth_verifier"]) or asked.user_id is None:
            raise unauthorized()
        oauth.take(session, asked)
        row = AccessToken(
            id=req.cloud.ids.hex(), consumer_id=asked.consumer_id, project_id=asked.project_id, user_id=asked.user_id,
            role_ids=asked.role_ids, encrypted_secret=engine(req).seal(secret),
            expires_at=now + oauth.ACCESS_TOKEN_LIFETIME,
        )  # fmt: skip
        session.add(row)
    return _answer(row.id, secret, row.expires_at)


def _answer(token_id: str, secret: str, expires_at: datetime.datetime) -> Response:
    form = {"oauth_token": token_id, "oauth_token_secret": secret, "oauth_expires_at": micros_z(expires_at) or ""}
    body = urllib.parse.urlencode(form, safe=":").encode()
    return Response(body, 201, content_type="application/x-www-form-urlencoded")
