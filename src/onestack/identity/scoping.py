"""What a new token is for: the scope that was named, or the default one, and what limits it from where it came."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from onestack.identity import assignments, payloads, trusts
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.lookups import find_domain, find_project
from onestack.identity.methods.base import Proof
from onestack.identity.models import Project, User
from onestack.identity.payloads import Payload

_KINDS = ("system", "unscoped", "project", "domain", "OS-TRUST:trust")


def checked(scope: Any) -> dict[str, Any]:
    """The one kind of scope that was named, with what it says. Raises BadRequest."""
    given: dict[str, Any] = {"unscoped": {}} if scope == "unscoped" else scope if isinstance(scope, dict) else {}
    named = [kind for kind in _KINDS if kind in given]
    if len(named) != 1:
        raise expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope")
    found = {named[0]: given[named[0]]}
    project, trust = found.get("project"), found.get("OS-TRUST:trust")
    if project is not None and project.get("name") and "domain" not in project:
        raise expecting("domain", "project")
    if trust is not None and not trust.get("id"):
        raise expecting("trust_id", "trust")
    return found


def payload(proof: Proof, user: User, methods: list[str]) -> Payload:
    """Everything that the new token will say. `methods`: all that were proved, also with an earlier receipt."""
    cloud, parent = proof.cloud, proof.parent
    now = cloud.clock.now()
    expires = now + datetime.timedelta(seconds=cloud.settings.identity.token_expiration)
    audit_ids = [payloads.new_audit_id(cloud.ids.hex())]
    if parent is not None:
        # A token for a token lives no longer, remembers where it came from, and may be revoked with its chain.
        expires = parent.payload.expires_at
        audit_ids.append(parent.payload.audit_ids[-1])
    target, until = _target(proof, user)
    return Payload(
        user_id=user.id, methods=tuple(methods), audit_ids=tuple(audit_ids),
        expires_at=(expires if until is None else min(expires, until)).replace(microsecond=0), issued_at=now, **target,
    )  # fmt: skip


def _target(proof: Proof, user: User) -> tuple[dict[str, Any], datetime.datetime | None]:
    """The ids that the payload gets, and until when they may be used (None: as long as any token)."""
    credential, granted = proof.credential, proof.access_token
    if granted is not None:
        # Whatever scope was asked for: the user let the consumer have this one.
        return {"project_id": granted.project_id, "access_token_id": granted.id}, granted.expires_at
    if credential is not None:
        ids: dict[str, Any] = {"project_id": credential.project_id, "application_credential_id": credential.id}
        return ids, credential.expires_at
    if proof.scope is None:
        return _default_scope(proof.session, user), None
    if "OS-TRUST:trust" in proof.scope:
        return _trust_scope(proof, proof.scope["OS-TRUST:trust"])
    return _named_scope(proof.session, proof.scope), None


def _trust_scope(proof: Proof, given: dict[str, Any]) -> tuple[dict[str, Any], datetime.datetime | None]:
    """A use of the trust is taken when nothing else stands in the way."""
    trust = trusts.find(proof.session, proof.cloud.clock.now(), given["id"])
    if trust is None:
        raise unauthorized()
    if trust.remaining_uses is not None:
        proof.on_success.append(partial(trusts.consume, trust_id=trust.id))
    ids = {"trust_id": trust.id}
    return ids if trust.project_id is None else ids | {"project_id": trust.project_id}, trust.expires_at


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
    return {"system": True}  # there is only one: whatever is said about it, Keystone takes it for all of it
