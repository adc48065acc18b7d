"""`/v3/auth/tokens`: issue, validate, check, revoke."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from onestack.core.clock import micros_z
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.core.words import truth
from onestack.identity import authentication, tokens
from onestack.identity.engine import engine
from onestack.identity.models import Role
from onestack.identity.receipts import HEADER, Receipt
from onestack.identity.tokens import Token


def create(req: Request) -> Response:
    granted = authentication.authenticate(req, req.body.get("auth"))
    if isinstance(granted, Receipt):
        return Response(granted.render(), 401, {HEADER: granted.id})
    return Response(render_token(req, granted), 201, {"X-Subject-Token": granted.id})


def show(req: Request) -> Response:
    token = _subject(req)
    return Response(render_token(req, token), 200, {"X-Subject-Token": token.id})


def check(req: Request) -> Response:
    token = _subject(req)
    return Response(None, 200, {"X-Subject-Token": token.id}, content_type="application/json")


def delete(req: Request) -> None:
    """This token, and those that were got with it, unless `cascade` says no."""
    audit_id = _subject(req).payload.audit_ids[0]
    with req.cloud.db.write() as session:
        tokens.revoke(session, req.cloud, audit_id=audit_id)
        if _flag(req, "cascade", default=True):
            tokens.revoke(session, req.cloud, audit_chain_id=audit_id)


def _subject(req: Request) -> Token:
    """The token in X-Subject-Token, which the caller may ask about."""
    text = req.header("X-Subject-Token")
    if text is None:
        req.authorize({})
        raise NotFound("No token in the request")
    try:
        if not text:
            raise NotFound("No token in the request")
        token = engine(req).tokens.validate(text, allow_expired=_flag(req, "allow_expired", default=False))
    except NotFound:
        # Keystone looks at the subject first: whoever has a valid token of their own is told that it is none.
        req.authorize({"target.token.user_id": req.ctx.user_id})
        raise
    if token.access_rules and not _knows_access_rules(req):
        # Whoever doesn't look at the rules must not take the token for one without.
        raise tokens.invalid()
    # With a trust two users have to do with it: the one who got it, and the one that it speaks for.
    owner = token.user.id if token.user.id == req.ctx.user_id else token.payload.user_id
    req.authorize({"target.token.user_id": owner, "target.token.user.domain.id": token.user.domain_id})
    return token


def _flag(req: Request, name: str, *, default: bool) -> bool:
    """What is neither a word for yes nor one for no is the default."""
    value = truth(req.get(name) or "")
    return default if value is None else value


def _knows_access_rules(req: Request) -> bool:
    try:
        return float(req.header("OpenStack-Identity-Access-Rules") or 0) >= 1.0
    except ValueError:
        return False


def render_token(req: Request, token: Token) -> dict[str, Any]:
    payload = token.payload
    shown: dict[str, Any] = {
        "methods": list(payload.methods),
        "user": token.user.render() | {"password_expires_at": _time(token.password_expires_at)},
        "audit_ids": list(payload.audit_ids),
        "expires_at": micros_z(payload.expires_at),
        "issued_at": micros_z(payload.issued_at.replace(microsecond=0)),
    }
    if token.trust is not None:
        shown["OS-TRUST:trust"] = token.trust.render()
    if token.project is not None:
        shown["project"] = token.project.render()
        if token.trust is None:
            shown["is_domain"] = token.is_domain
    elif token.domain is not None:
        shown["domain"] = {"id": token.domain.id, "name": token.domain.name}
    elif token.system:
        shown["system"] = {"all": True}
    if token.scoped:
        shown["roles"] = _roles(req, token)
        if req.get("nocatalog") is None:
            user_id = token.user.id if token.trust is None else token.trust.trustor_user_id
            shown["catalog"] = engine(req).tokens.catalog(user_id, payload.project_id)
    if token.consumer_id is not None:
        shown["OS-OAUTH1"] = {"access_token_id": payload.access_token_id, "consumer_id": token.consumer_id}
    if token.application_credential is not None:
        shown["application_credential"] = token.application_credential
    return {"token": shown}


def _roles(req: Request, token: Token) -> list[dict[str, Any]]:
    """As in Keystone a token of a trust says more about its roles."""
    if token.trust is None:
        return [{"id": role.id, "name": role.name} for role in token.roles]
    with req.cloud.db.read() as session:
        rows = session.scalars(
            sa.select(Role).where(Role.id.in_([role.id for role in token.roles])).order_by(Role.name)
        )
        return [
            {"id": row.id, "name": row.name, "domain_id": row.domain_id or None, "description": row.description,
             "options": row.options}
            for row in rows
        ]  # fmt: skip


def _time(value: datetime.datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="microseconds")
