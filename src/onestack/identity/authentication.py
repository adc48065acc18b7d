"""From the body of `POST /v3/auth/tokens` to a new token.

Every method ends in the same 401 whatever was wrong, and a user who doesn't exist costs the same time as a wrong
password. Only an application credential that isn't there is 404: its id can't be guessed.
"""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound, Unauthorized
from onestack.core.http import Request
from onestack.identity import auth_schema, mfa, scoping
from onestack.identity.backends import BACKEND, counting_failures
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.engine import engine
from onestack.identity.methods import METHODS
from onestack.identity.methods.base import Proof
from onestack.identity.models import Project, User
from onestack.identity.receipts import HEADER, Receipt
from onestack.identity.tokens import Place, Token


def authenticate(req: Request, auth: Any) -> Token | Receipt:
    """A new token for the `auth` of a request, or a receipt when the user must prove more. Raises Fault."""
    identity, scope = _checked(auth)
    with counting_failures(req.cloud), req.cloud.db.read() as session:
        proof = Proof(req, engine(req), session, scope)
        _prove(proof, identity)
        user = BACKEND.user(session, proof.user_id)
        if user is None:
            raise unauthorized()
        methods = _proved(proof)
        rules = mfa.rules(user, METHODS)
        granted: Token | Receipt
        if mfa.satisfied(rules, methods):
            granted = _token(proof, user, methods)
        else:
            granted = _receipt(proof, user, methods, rules)
    if proof.on_success:
        with req.cloud.db.write() as session:
            for write in proof.on_success:
                write(session)
    return granted


def _proved(proof: Proof) -> list[str]:
    """The methods of this request, of the token that was shown, and of the receipt that came along."""
    methods = list(proof.methods)
    if proof.parent is not None:
        methods += proof.parent.payload.methods
    receipt = proof.req.header(HEADER)
    if receipt:
        methods += proof.engine.receipts.methods(proof.session, receipt, proof.user_id)
    return list(dict.fromkeys(methods))


def _token(proof: Proof, user: User, methods: list[str]) -> Token:
    try:
        return proof.engine.tokens.issue(proof.session, scoping.payload(proof, user, methods))
    except NotFound:
        raise unauthorized() from None


def _receipt(proof: Proof, user: User, methods: list[str], rules: list[list[str]]) -> Receipt:
    home = proof.session.get(Project, user.domain_id)
    place = Place(user.id, user.name, user.domain_id, home.name if home is not None else "")
    return proof.engine.receipts.issue(place, methods, rules)


def _checked(auth: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The two halves of the body, of the right shape. None: no scope was named."""
    if auth is None:
        raise expecting("auth", "request body")
    auth_schema.check(auth)
    identity = auth["identity"]
    for name in identity["methods"]:
        if identity.get(name) is None or not (isinstance(identity[name], dict) or name == "totp"):
            raise expecting(name, "identity")
    for name in identity["methods"]:
        if name not in METHODS:
            raise Unauthorized(
                "Attempted to authenticate with an unsupported method.",
                extra={"identity": {"methods": list(METHODS)}},
            )
    if "scope" not in auth:
        return identity, None
    if "application_credential" in identity["methods"]:
        details = "Application credentials cannot request a scope."
        raise Unauthorized(f"Error authenticating with application credential: {details}", extra={"identity": {}})
    return identity, scoping.checked(auth["scope"])


def _prove(proof: Proof, identity: dict[str, Any]) -> None:
    """Every method that was named must hold, for the same user."""
    for name in dict.fromkeys(identity["methods"]):
        user_id = METHODS[name](proof, identity[name])
        if proof.user_id and user_id != proof.user_id:
            raise unauthorized()
        proof.user_id = user_id
        proof.methods.append(name)
