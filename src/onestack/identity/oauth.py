"""OAuth 1: what a consumer asks for, what a user lets it have, and what it is given for that."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
import string
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.identity import oauth_signatures
from onestack.identity.dialect import unauthorized
from onestack.identity.models_oauth import AccessToken, Consumer, RequestToken

if TYPE_CHECKING:
    from onestack.identity.engine import Engine

REQUEST_TOKEN_LIFETIME = datetime.timedelta(hours=8)
ACCESS_TOKEN_LIFETIME = datetime.timedelta(days=1)
_VERIFIER = string.ascii_letters + string.digits
_VERIFIER_LENGTH = 8


def get_consumer(session: Session, consumer_id: str) -> Consumer:
    row = session.get(Consumer, consumer_id)
    if row is None:
        raise NotFound("Consumer not found")
    return row


def get_request_token(session: Session, now: datetime.datetime, token_id: str) -> RequestToken:
    row = session.get(RequestToken, token_id)
    if row is None:
        raise NotFound("Request token not found")
    if row.expires_at < now:
        raise unauthorized()
    return row


def get_access_token(session: Session, token_id: str) -> AccessToken:
    row = session.get(AccessToken, token_id)
    if row is None:
        raise NotFound("Access token not found")
    return row


def new_secret() -> str:
    return secrets.token_hex(16)


def new_verifier() -> str:
    """What the user carries to the consumer, perhaps by hand."""
    return "".join(secrets.choice(_VERIFIER) for _ in range(_VERIFIER_LENGTH))


def could_be_verifier(text: str) -> bool:
    return len(text) == _VERIFIER_LENGTH and all(char in _VERIFIER for char in text)


def hashed(verifier: str) -> str:
    return hashlib.sha256(verifier.encode()).hexdigest()


def is_verifier(row: RequestToken, verifier: str) -> bool:
    return row.verifier_hash is not None and hmac.compare_digest(row.verifier_hash, hashed(verifier))


def take(session: Session, row: RequestToken) -> None:
    """A request token is good for one access token, also when two ask at once."""
    taken = session.execute(sa.delete(RequestToken).where(RequestToken.id == row.id))
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise NotFound("Request token not found")


def signer(req: Request, engine: Engine, session: Session) -> AccessToken:
    """The access token that a request was signed with. Raises Unauthorized when it doesn't hold."""
    given = oauth_signatures.parameters(req, "oauth_token", "oauth_consumer_key")
    row = get_access_token(session, given["oauth_token"])
    if row.consumer_id != given["oauth_consumer_key"] or row.expires_at < req.cloud.clock.now():
        raise unauthorized()
    consumer = get_consumer(session, row.consumer_id)
    oauth_signatures.check(
        req, given, engine.unseal(consumer.encrypted_secret), engine.unseal(row.encrypted_secret)
    )  # fmt: skip
    return row
