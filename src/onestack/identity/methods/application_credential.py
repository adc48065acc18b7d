"""`application_credential`: a user's own password for a program."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.identity import passwords
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.lookups import find_user
from onestack.identity.methods.base import Proof
from onestack.identity.models import ApplicationCredential


def prove(proof: Proof, data: dict[str, Any]) -> str:
    secret = data.get("secret")
    if not isinstance(secret, str):
        raise expecting("secret", "application_credential")
    credential = _find(proof, data)
    if not passwords.verify(secret, credential.secret_hash if credential else None) or credential is None:
        raise unauthorized()
    if credential.expires_at is not None and credential.expires_at <= proof.cloud.clock.now():
        raise unauthorized()
    proof.credential = credential
    return credential.user_id


def _find(proof: Proof, data: dict[str, Any]) -> ApplicationCredential | None:
    if isinstance(data.get("id"), str):
        return proof.session.get(ApplicationCredential, data["id"])
    if not isinstance(data.get("name"), str):
        raise expecting("id or name", "application_credential")
    if not isinstance(data.get("user"), dict):
        raise expecting("user", "application_credential")
    owner = find_user(proof.session, data["user"])
    query = sa.select(ApplicationCredential).where(
        ApplicationCredential.name == data["name"], ApplicationCredential.user_id == (owner.id if owner else "")
    )
    return proof.session.scalars(query).first()
