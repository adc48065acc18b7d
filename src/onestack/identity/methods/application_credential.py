"""`application_credential`: a user's own password for a program."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.identity import passwords
from onestack.identity.backends import BACKEND
from onestack.identity.dialect import expecting, not_found, unauthorized
from onestack.identity.lookups import find_domain
from onestack.identity.methods.base import Proof
from onestack.identity.models import ApplicationCredential

_TARGET = "application credential"


def prove(proof: Proof, data: dict[str, Any]) -> str:
    credential = _find(proof, data)
    secret = data.get("secret")
    if secret is None:
        raise unauthorized()
    if not isinstance(secret, str):
        raise expecting("string", "password")
    if not passwords.verify(secret, credential.secret_hash if credential else None) or credential is None:
        raise unauthorized()
    if credential.expires_at is not None and credential.expires_at <= proof.cloud.clock.now():
        raise unauthorized()
    proof.credential = credential
    return credential.user_id


def _find(proof: Proof, data: dict[str, Any]) -> ApplicationCredential | None:
    """By its id; else by its name and owner, of whom isn't said whether they exist."""
    key, name = data.get("id"), data.get("name")
    if key:
        found = proof.session.get(ApplicationCredential, key) if isinstance(key, str) else None
        if found is None and isinstance(key, str):
            raise not_found("Application Credential", key)
        return found
    if not name or not isinstance(name, str):
        raise expecting("name or ID", _TARGET)
    if not data.get("user") or not isinstance(data["user"], dict):
        raise expecting("user", _TARGET)
    owner = _owner(proof, data["user"])
    query = sa.select(ApplicationCredential).where(
        ApplicationCredential.name == name, ApplicationCredential.user_id == owner
    )
    return proof.session.scalars(query).first()


def _owner(proof: Proof, given: dict[str, Any]) -> str:
    if given.get("id"):
        return given["id"] if isinstance(given["id"], str) else ""
    domain, name = find_domain(proof.session, given, "user"), given.get("name")
    if domain is None or not isinstance(name, str):
        return ""
    owner = BACKEND.user_by_name(proof.session, name, domain.id)
    return owner.id if owner is not None else ""
