"""`/v3/ec2tokens` and `/v3/s3tokens`: a service shows a request that was signed with an EC2 key, and gets a token of
the key's owner. Only services and admins may ask (OSSA-2025-002): a signed request that somebody else got hold of must
not be worth a token to them.
"""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Fault, NotFound
from onestack.core.http import Request, Response
from onestack.identity import ec2_signatures, oauth, payloads, trusts
from onestack.identity.api import credentials
from onestack.identity.api.common import get_project, get_user
from onestack.identity.api.tokens import render_token
from onestack.identity.dialect import unauthorized
from onestack.identity.ec2_signatures import Signed
from onestack.identity.engine import engine
from onestack.identity.models import ApplicationCredential, Credential
from onestack.identity.payloads import Payload
from onestack.identity.tokens import Token

_VALID_FOR = datetime.timedelta(minutes=15)  # after it was signed


class _Key(NamedTuple):
    """An EC2 key, and what it was made with."""

    user_id: str
    project_id: str | None
    secret: str
    trust_id: str | None
    application_credential_id: str | None
    access_token_id: str | None


def ec2(req: Request) -> Response:
    given, signed = _given(req)
    signature = given.get("signature")
    with req.cloud.db.read() as session:
        key = _key(req, session, given)
        if not isinstance(signature, str) or not ec2_signatures.request_matches(key.secret, signed, signature):
            raise unauthorized()
        token = _issue(req, session, key, signed)
    return Response(render_token(req, token), headers={"X-Subject-Token": token.id})


def s3(req: Request) -> Response:
    given, signed = _given(req)
    signature, text = given.get("signature"), given.get("token")
    with req.cloud.db.read() as session:
        key = _key(req, session, given)
        if not isinstance(signature, str) or not isinstance(text, str):
            raise unauthorized()
        if not ec2_signatures.text_matches(key.secret, text, signature):
            raise unauthorized()
        token = _issue(req, session, key, signed)
    return Response(render_token(req, token))


def _given(req: Request) -> tuple[dict[str, Any], Signed]:
    """What was sent under any of the names that clients use."""
    if not req.body:
        raise BadRequest("request must include a request body")
    given: Any = next(
        (req.body[name] for name in ("credentials", "credential", "ec2Credentials") if req.body.get(name)), {}
    )
    if not isinstance(given, dict) or not isinstance(given.get("access"), str):
        raise unauthorized()
    try:
        return given, msgspec.convert({name: item for name, item in given.items() if item is not None}, Signed)
    except msgspec.ValidationError:
        raise unauthorized() from None


def _key(req: Request, session: Session, given: dict[str, Any]) -> _Key:
    row = session.get(Credential, credentials.id_of_access(given["access"]))
    if row is None or row.type.lower() != "ec2":
        raise NotFound("EC2 access key not found.")
    blob = msgspec.json.decode(credentials.opened(req, row))
    if not isinstance(blob.get("secret"), str):
        raise unauthorized()
    return _Key(
        row.user_id, row.project_id, blob["secret"], blob.get("trust_id"), blob.get("app_cred_id"),
        blob.get("access_token_id"),
    )  # fmt: skip


def _issue(req: Request, session: Session, key: _Key, signed: Signed) -> Token:
    project = get_project(session, key.project_id or "")
    user = get_user(session, key.user_id)
    _check_time(req, signed)
    now = req.cloud.clock.now()
    lifetime = datetime.timedelta(seconds=req.cloud.settings.identity.token_expiration)
    payload = Payload(
        user_id=user.id, methods=(payloads.SIGNED,), audit_ids=(payloads.new_audit_id(req.cloud.ids.hex()),),
        expires_at=now + lifetime, issued_at=now, project_id=project.id,
    )  # fmt: skip
    payload = _limited(session, now, payload, key)
    try:
        return engine(req).tokens.issue(session, payload)
    except Fault as fault:
        # Disabled, or without a role there.
        if fault.status == 404:
            raise unauthorized() from None
        raise


def _limited(session: Session, now: datetime.datetime, payload: Payload, key: _Key) -> Payload:
    """A key reaches no further than the token that it was made with."""
    if key.trust_id is not None:
        trust = trusts.find(session, now, key.trust_id, used_up=True)
        if trust is None:
            raise NotFound(f"Could not find trust: {key.trust_id}.")
        # A key that was made in the trustor's name is theirs, but the token is the trustee's to get. Keys name trusts
        # in their blobs, which their owners write, so others' trusts are looked out for.
        if payload.user_id != (trust.trustor_user_id if trust.impersonation else trust.trustee_user_id):
            raise unauthorized()
        user_id = trust.trustee_user_id
        expires_at = min(payload.expires_at, trust.expires_at or payload.expires_at)
        return msgspec.structs.replace(payload, user_id=user_id, trust_id=trust.id, expires_at=expires_at)
    if key.access_token_id is not None:
        if oauth.get_access_token(session, key.access_token_id).project_id != key.project_id:
            raise unauthorized()
        return msgspec.structs.replace(payload, access_token_id=key.access_token_id)
    if key.application_credential_id is None:
        return payload
    credential = session.get(ApplicationCredential, key.application_credential_id)
    if credential is None:
        raise NotFound(f"Could not find Application Credential: {key.application_credential_id}.")
    if credential.project_id != key.project_id:
        raise unauthorized()
    expires_at = min(payload.expires_at, credential.expires_at or payload.expires_at)
    return msgspec.structs.replace(payload, application_credential_id=credential.id, expires_at=expires_at)


def _check_time(req: Request, signed: Signed) -> None:
    """A signature that says no time holds for ever; its owner wanted it so."""
    text = signed.timestamp()
    if text is None:
        return
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise unauthorized() from None
    if when.tzinfo is not None:
        when = when.astimezone(datetime.UTC).replace(tzinfo=None)
    if req.cloud.clock.now() > when + _VALID_FOR:
        raise unauthorized()
