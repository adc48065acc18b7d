"""`token`: a token that one has already, for another scope."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import Fault
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.methods.base import Proof


def prove(proof: Proof, data: dict[str, Any]) -> str:
    text = data.get("id")
    if not isinstance(text, str):
        raise expecting("id", "token")
    try:
        proof.parent = proof.engine.tokens.validate(text)
    except Fault:
        raise unauthorized() from None
    return proof.parent.user.id
