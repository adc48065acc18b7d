"""From the body of `POST /v3/auth/tokens` to what the new token may say.

Every method ends in the same 401 whatever was wrong, and a user who doesn't exist costs the same time as a wrong
password. Only somebody who gave the right password is told that the account is disabled.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Fault, Unauthorized
from onestack.identity import assignments, passwords, payloads
from onestack.identity.dialect import expecting, forbidden, unauthorized
from onestack.identity.models import NO_DOMAIN, ApplicationCredential, Project, User
from onestack.identity.payloads import Payload
from onestack.identity.tokens import LIFETIME, Token, Tokens

METHODS = ("password", "token", "application_credential")
_SCOPES = ("project", "domain", "OS-TRUST:trust", "system", "unscoped")


class Proof(msgspec.Struct, kw_only=True):
    """What the methods established."""

    user_id: str = ""
    methods: list[str] = []
    parent: Token | None = None  # the token that was shown
    credential: Any = None  # the application credential that was shown


def authenticate(tokens: Tokens, auth: Any) -> Token:
    """A new token for the `auth` of a request. Raises Fault."""
    identity, scope = _checked(auth)
    cloud = tokens.cloud
    with cloud.db.read() as session:
        proof = _prove(tokens, session, identity)
        user = session.get(User, proof.user_id)
        if user is None:
            raise unauthorized()
        payload = _payload(cloud, session, proof, user, scope)
        try:
            return tokens.issue(session, payload)
        except Fault as fault:
            if fault.status == 404:
                raise unauthorized() from None
            raise


def _checked(auth: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The two halves of the body, of the right types. None: no scope was named."""
    if not isinstance(auth, dict):
        raise expecting("auth", "request body")
    identity = auth.get("identity")
    if not isinstance(identity, dict):
        raise expecting("identity", "auth")
    methods = identity.get("methods")
    if not isinstance(methods, list) or not methods or not all(isinstance(method, str) for method in methods):
        raise expecting("methods", "identity")
    scope = auth.get("scope")
    if scope == "unscoped":
        scope = {"unscoped": {}}
    if scope is not None and not isinstance(scope, dict):
        raise BadRequest(f"Invalid input for field 'scope': {scope!r} is not of type 'object'")
    if scope is not None and len(scope) != 1:
        raise expecting("project, domain, OS-TRUST:trust or unscoped", "scope")
    if scope is not None and next(iter(scope)) not in _SCOPES:
        raise expecting("project, domain, OS-TRUST:trust or unscoped", "scope")
    return identity, scope


# Methods


def _prove(tokens: Tokens, session: Session, identity: dict[str, Any]) -> Proof:
    proof = Proof()
    for method in dict.fromkeys(identity["methods"]):
        if method not in METHODS:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        data = identity.get(method)
        if not isinstance(data, dict):
            raise expecting(method, "identity")
        if method == "password":
            user_id = _by_password(session, data)
        elif method == "token":
            user_id = _by_token(tokens, proof, data)
        else:
            user_id = _by_application_credential(tokens.cloud, session, proof, data)
        if proof.user_id and user_id != proof.user_id:
            raise unauthorized()
        proof.user_id = user_id
        proof.methods.append(method)
    return proof


def _by_password(session: Session, data: dict[str, Any]) -> str:
    given = data.get("user")
    if not isinstance(given, dict):
        raise expecting("user", "password")
    password = given.get("password")
    if not isinstance(password, str):
        raise expecting("password", "user")
    user = find_user(session, given)
    if not passwords.verify(password, user.password_hash if user else None) or user is None:
        raise unauthorized()
    if not user.enabled:
        raise Unauthorized(f"The account is disabled for user: {user.id}.")
    return user.id


def find_user(session: Session, given: dict[str, Any]) -> User | None:
    """The user that `{"id"}` or `{"name", "domain"}` names, of an enabled domain."""
    if isinstance(given.get("id"), str):
        user = session.get(User, given["id"])
    elif isinstance(given.get("name"), str):
        domain = _find_domain(session, given, "user")
        user = session.scalars(
            sa.select(User).where(User.name == given["name"], User.domain_id == (domain.id if domain else ""))
        ).first()
    else:
        raise expecting("id or name", "user")
    if user is None:
        return None
    home = session.get(Project, user.domain_id)
    return user if home is not None and home.enabled else None


def _by_token(tokens: Tokens, proof: Proof, data: dict[str, Any]) -> str:
    text = data.get("id")
    if not isinstance(text, str):
        raise expecting("id", "token")
    try:
        proof.parent = tokens.validate(text)
    except Fault:
        raise unauthorized() from None
    return proof.parent.user.id


def _by_application_credential(cloud: Cloud, session: Session, proof: Proof, data: dict[str, Any]) -> str:
    secret = data.get("secret")
    if not isinstance(secret, str):
        raise expecting("secret", "application_credential")
    if isinstance(data.get("id"), str):
        credential = session.get(ApplicationCredential, data["id"])
    elif isinstance(data.get("name"), str):
        if not isinstance(data.get("user"), dict):
            raise expecting("user", "application_credential")
        owner = find_user(session, data["user"])
        credential = session.scalars(
            sa.select(ApplicationCredential).where(
                ApplicationCredential.name == data["name"], ApplicationCredential.user_id == (owner.id if owner else "")
            )
        ).first()
    else:
        raise expecting("id or name", "application_credential")
    if not passwords.verify(secret, credential.secret_hash if credential else None) or credential is None:
        raise unauthorized()
    if credential.expires_at is not None and credential.expires_at <= cloud.clock.now():
        raise unauthorized()
    proof.credential = credential
    return credential.user_id


# Scope


def _payload(cloud: Cloud, session: Session, proof: Proof, user: User, scope: dict[str, Any] | None) -> Payload:
    now = cloud.clock.now()
    expires = now + LIFETIME
    audit_ids = [payloads.new_audit_id(cloud.ids.hex())]
    methods = list(proof.methods)
    if proof.parent is not None:
        # A token for a token lives no longer, remembers where it came from, and may be revoked with its chain.
        expires = proof.parent.payload.expires_at
        audit_ids.append(proof.parent.payload.audit_ids[-1])
        methods += proof.parent.payload.methods
    target: dict[str, Any] = {}
    if proof.credential is not None:
        if scope is not None and not _is_own_project(session, scope, proof.credential.project_id):
            raise unauthorized()
        target = {"project_id": proof.credential.project_id, "application_credential_id": proof.credential.id}
        if proof.credential.expires_at is not None:
            expires = min(expires, proof.credential.expires_at)
    elif proof.parent is not None and proof.parent.payload.application_credential_id is not None:
        # What an application credential may do never grows: its token can be had again, but not for another place.
        own = proof.parent.payload
        if scope is not None and not _is_own_project(session, scope, own.project_id):
            raise forbidden("rescope a token of an application credential")
        target = {"project_id": own.project_id, "application_credential_id": own.application_credential_id}
    elif scope is None:
        target = _default_scope(session, user)
    else:
        target = _named_scope(session, scope)
    return Payload(
        user_id=user.id, methods=tuple(dict.fromkeys(methods)), audit_ids=tuple(audit_ids), expires_at=expires,
        issued_at=now, **target,
    )  # fmt: skip


def _is_own_project(session: Session, scope: dict[str, Any], project_id: str | None) -> bool:
    return _named_scope(session, scope).get("project_id") == project_id


def _default_scope(session: Session, user: User) -> dict[str, Any]:
    """The user's default project, if it can be had; else none, without an error."""
    project = session.get(Project, user.default_project_id) if user.default_project_id else None
    if project is None or not project.enabled or project.is_domain:
        return {}
    domain = session.get(Project, project.domain_id)
    if domain is None or not domain.enabled or not assignments.roles_on_project(session, user.id, project):
        return {}
    return {"project_id": project.id}


def _named_scope(session: Session, scope: dict[str, Any]) -> dict[str, Any]:
    kind, given = next(iter(scope.items()))
    if kind == "unscoped":
        return {}
    if not isinstance(given, dict):
        raise BadRequest(f"Invalid input for field 'scope/{kind}': {given!r} is not of type 'object'")
    if kind == "project":
        project = _find_project(session, given)
        if project is None:
            raise unauthorized()
        return {"project_id": project.id}
    if kind == "domain":
        domain = _find_domain(session, {"domain": given}, "scope")
        if domain is None:
            raise unauthorized()
        return {"domain_id": domain.id}
    if kind == "system":
        if given.get("all") is not True:
            raise expecting("all", "system")
        return {"system": True}
    # Trusts can't be made here, so there is none to be found.
    raise unauthorized()


def _find_project(session: Session, given: dict[str, Any]) -> Project | None:
    if isinstance(given.get("id"), str):
        return session.get(Project, given["id"])
    if not isinstance(given.get("name"), str):
        raise expecting("id or name", "project")
    domain = _find_domain(session, given, "project")
    if domain is None:
        return None
    query = sa.select(Project).where(Project.name == given["name"], Project.domain_id == domain.id)
    return session.scalars(query).first()


def _find_domain(session: Session, given: dict[str, Any], target: str) -> Project | None:
    domain = given.get("domain")
    if not isinstance(domain, dict):
        raise expecting("domain", target)
    query = sa.select(Project).where(Project.is_domain.is_(True))
    if isinstance(domain.get("id"), str):
        query = query.where(Project.id == domain["id"])
    elif isinstance(domain.get("name"), str):
        query = query.where(Project.name == domain["name"], Project.domain_id == NO_DOMAIN)
    else:
        raise expecting("id or name", "domain")
    return session.scalars(query).first()
