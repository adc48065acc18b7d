"""What a new token is for: the scope that was named, or the default one, and what limits it from where it came."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.identity import assignments, payloads
from onestack.identity.dialect import expecting, forbidden, unauthorized
from onestack.identity.lookups import find_domain, find_project
from onestack.identity.methods.base import Proof
from onestack.identity.models import Project, User
from onestack.identity.payloads import Payload
from onestack.identity.tokens import LIFETIME


def payload(proof: Proof, user: User, scope: dict[str, Any] | None) -> Payload:
    """Everything that the new token will say. `scope` None: none was named."""
    session, cloud = proof.session, proof.cloud
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
        project = find_project(session, given)
        if project is None:
            raise unauthorized()
        return {"project_id": project.id}
    if kind == "domain":
        domain = find_domain(session, {"domain": given}, "scope")
        if domain is None:
            raise unauthorized()
        return {"domain_id": domain.id}
    if kind == "system":
        if given.get("all") is not True:
            raise expecting("all", "system")
        return {"system": True}
    # Trusts can't be made here, so there is none to be found.
    raise unauthorized()
