"""`password`: a name and a password. Only who gave the right password is told that it has expired."""

from __future__ import annotations

from typing import Any

from onestack.identity.backends import BACKEND
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.lookups import find_user
from onestack.identity.methods.base import Proof


def prove(proof: Proof, data: dict[str, Any]) -> str:
    given = data.get("user")
    if not isinstance(given, dict):
        raise expecting("user", "None")  # Keystone's words
    user = find_user(proof.session, given)
    password = given.get("password")
    if password is None:
        raise unauthorized()
    succeeded = BACKEND.authenticate(proof.session, proof.cloud, user, password)
    if user is None:
        raise unauthorized()
    if succeeded is not None:
        proof.on_success.append(succeeded)
    return user.id
