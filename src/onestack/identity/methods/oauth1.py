"""`oauth1`: a request that a consumer signed with an access token. The new token has that one's project and roles."""

from __future__ import annotations

from typing import Any

from onestack.identity import oauth
from onestack.identity.methods.base import Proof


def prove(proof: Proof, data: dict[str, Any]) -> str:
    proof.access_token = oauth.signer(proof.req, proof.engine, proof.session)
    return proof.access_token.user_id
