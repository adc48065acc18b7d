"""`password`: a name and a password. Only who gave the right password is told that the account is disabled."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import Unauthorized
from onestack.identity import passwords
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.lookups import find_user
from onestack.identity.methods.base import Proof


def prove(proof: Proof, data: dict[str, Any]) -> str:
    given = data.get("user")
    if not isinstance(given, dict):
        raise expecting("user", "password")
    password = given.get("password")
    if not isinstance(password, str):
        raise expecting("password", "user")
    user = find_user(proof.session, given)
    if not passwords.verify(password, user.password_hash if user else None) or user is None:
        raise unauthorized()
    if not user.enabled:
        raise Unauthorized(f"The account is disabled for user: {user.id}.")
    return user.id
