"""`token`: a token that one has already, for another scope. One that doesn't hold is answered with 404, not 401."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.identity import payloads
from onestack.identity.dialect import forbidden
from onestack.identity.methods.base import Proof
from onestack.identity.tokens import Token


def prove(proof: Proof, data: dict[str, Any]) -> str:
    text = data["id"]
    if not text:
        raise NotFound("No token in the request")
    parent = proof.engine.tokens.validate(text)
    _check_delegated(proof, parent)
    proof.parent = parent
    return parent.user.id


def _check_delegated(proof: Proof, parent: Token) -> None:
    """Who was let do something in somebody's place gets no other token with that one. Raises Forbidden."""
    scope = proof.scope or {}
    if parent.payload.access_token_id is not None:
        raise forbidden("Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead")
    if parent.trust is not None:
        raise forbidden("Using trust-scoped token to create another token. Create a new trust-scoped token instead")
    if parent.system and ("project" in scope or "domain" in scope):
        raise forbidden("Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.")
    if payloads.is_delegated(parent.payload.methods):
        raise forbidden("Using a delegated token to create another token is not allowed.")
