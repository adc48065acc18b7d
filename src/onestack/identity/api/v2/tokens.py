"""`/v2.0/tokens`: issue, validate, check, revoke, and the endpoints that a token reaches.

The body is translated to v3's, so that both versions know the same methods, users and refusals.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.clock import micros_z, seconds
from onestack.core.errors import BadRequest, Gone, NotFound, Unauthorized
from onestack.core.http import Request, Response
from onestack.identity import authentication, tokens, trusts
from onestack.identity.api.common import DEFAULT_DOMAIN, get_project
from onestack.identity.api.projects import render_project
from onestack.identity.api.v2.catalog import service_catalog
from onestack.identity.api.v2.common import admin, tenant_view
from onestack.identity.dialect import expecting, forbidden, unauthorized
from onestack.identity.engine import engine
from onestack.identity.lookups import find_project
from onestack.identity.receipts import Receipt
from onestack.identity.tokens import Token
from onestack.identity.trusts import Delegation

_LONGEST = 64  # characters of an id or name in the body, Keystone's max_param_size
_HOME = {"id": DEFAULT_DOMAIN}


def create(req: Request) -> dict[str, Any]:
    auth = req.body.get("auth")
    if not isinstance(auth, dict):
        raise expecting("auth", "request body")
    _check_trust(req, auth)
    return issue(req, _translated(auth))


def issue(req: Request, auth: dict[str, Any]) -> dict[str, Any]:
    """A new token for v3's `auth`, as v2.0 shows it."""
    try:
        token = authentication.authenticate(req, auth)
    except NotFound:
        raise unauthorized() from None  # the token that was shown; v3 says 404
    if isinstance(token, Receipt):
        raise unauthorized()  # v2.0 has no way to ask for another factor
    with req.cloud.db.read() as session:
        return render_token(req, session, token)


def _check_trust(req: Request, auth: dict[str, Any]) -> None:
    """The tenant must be that of the trust; looked at first, so that no use of the trust is taken in vain."""
    trust_id = auth.get("trust_id")
    if not isinstance(trust_id, str) or not trust_id:
        return
    with req.cloud.db.read() as session:
        trust = trusts.find(session, req.cloud.clock.now(), trust_id)
        if trust is None:
            raise forbidden()
        scope = _scope({"tenantId": auth.get("tenantId"), "tenantName": auth.get("tenantName")})
        named = find_project(session, scope["project"]) if "project" in scope else None
        if trust.project_id is not None and (named is None or named.id != trust.project_id):
            raise forbidden()


def _translated(auth: dict[str, Any]) -> dict[str, Any]:
    if "token" in auth:
        given = auth["token"]
        if not isinstance(given, dict) or not isinstance(given.get("id"), str):
            raise expecting("id", "token")
        identity: dict[str, Any] = {"methods": ["token"], "token": {"id": given["id"]}}
    elif "passwordCredentials" in auth:
        identity = {"methods": ["password"], "password": {"user": _user(auth["passwordCredentials"])}}
    else:
        raise expecting("auth", "request body")
    return {"identity": identity, "scope": _scope(auth)}


def _user(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("password"), str):
        raise expecting("password", "passwordCredentials")
    if given.get("userId"):
        return {"id": _word(given, "userId"), "password": given["password"]}
    if given.get("username"):
        return {"name": _word(given, "username"), "domain": _HOME, "password": given["password"]}
    raise expecting("username or userId", "passwordCredentials")


def _scope(auth: dict[str, Any]) -> dict[str, Any]:
    """Without a tenant the token has no scope, whatever the user's default one is."""
    if auth.get("trust_id"):
        return {"OS-TRUST:trust": {"id": _word(auth, "trust_id")}}
    if auth.get("tenantId"):
        return {"project": {"id": _word(auth, "tenantId")}}
    if auth.get("tenantName"):
        return {"project": {"name": _word(auth, "tenantName"), "domain": _HOME}}
    return {"unscoped": {}}


def _word(given: dict[str, Any], name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise BadRequest(f"Invalid input for field '{name}': {value!r} is not of type 'string'")
    if len(value) > _LONGEST:
        raise BadRequest(
            f"Request attribute {name} must be less than or equal to {_LONGEST}. The server could not comply with the "
            "request because the attribute size is invalid (too large). The client is assumed to be in error."
        )
    return value


def show(req: Request, token_id: str) -> dict[str, Any]:
    req.authorize({})
    token = engine(req).tokens.validate(token_id)
    with req.cloud.db.read() as session:
        shown = render_token(req, session, token)
    wanted = req.get("belongsTo")
    if wanted and (token.project is None or token.project.id != wanted):
        raise unauthorized()
    return shown


def check(req: Request, token_id: str) -> Response:
    show(req, token_id)
    return Response(None, 200, content_type="application/json")


def delete(req: Request, token_id: str) -> None:
    admin(req)
    token = engine(req).tokens.validate(token_id)
    with req.cloud.db.write() as session:
        tokens.revoke(session, req.cloud, audit_id=token.payload.audit_ids[0])


def endpoints(req: Request, token_id: str) -> dict[str, Any]:
    admin(req)
    token = engine(req).tokens.validate(token_id)
    if token.project is None:
        return {}
    found = [
        {"name": service["name"], "type": service["type"], **endpoint}
        for service in service_catalog(req, token)
        for endpoint in service["endpoints"]
    ]
    return {"endpoints": found, "endpoints_links": []}


def revoked(req: Request) -> None:
    """The signed list was for PKI tokens; Keystone without them has nothing to sign it with."""
    raise Gone("The service you have requested is no longer available on this server.")


def render_token(req: Request, session: Session, token: Token) -> dict[str, Any]:
    """Raises Unauthorized for a token that says something which v2.0 has no words for."""
    payload = token.payload
    outside = [place for place in (token.user, token.project) if place and place.domain_id != DEFAULT_DOMAIN]
    if outside or token.is_domain:
        raise Unauthorized("Non-default domain is not supported")
    if token.domain is not None or token.system:
        raise Unauthorized("Unable to validate domain-scoped tokens outside of the default domain")
    shown: dict[str, Any] = {
        "id": token.id,
        "expires": seconds(payload.expires_at.replace(microsecond=0)),
        "issued_at": micros_z(payload.issued_at.replace(microsecond=0)),
        "audit_ids": list(payload.audit_ids),
    }
    if token.project is not None:
        shown["tenant"] = tenant_view(render_project(req, get_project(session, token.project.id), []))
    user = {
        "id": token.user.id,
        "name": token.user.name,
        "username": token.user.name,
        "roles": [{"name": role.name} for role in token.roles],
        "roles_links": [],
    }
    trust = {} if token.trust is None else {"trust": _trust_view(token.trust)}
    return {
        "access": trust
        | {
            "token": shown,
            "user": user,
            "serviceCatalog": service_catalog(req, token) if token.project is not None else [],
            "metadata": {"is_admin": 0, "roles": [role.id for role in token.roles]},
        }
    }


def _trust_view(trust: Delegation) -> dict[str, Any]:
    return {
        "id": trust.id,
        "impersonation": trust.impersonation,
        "trustee_user_id": trust.trustee_user_id,
        "trustor_user_id": trust.trustor_user_id,
    }
