"""`totp`: a code of six digits that changes every 30 seconds (RFC 6238), from a secret that both sides know.

The secret is a credential of type `totp` whose blob is Base32. A user may have several; any of them will do.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from functools import partial
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.identity import accounts
from onestack.identity.dialect import expecting, unauthorized
from onestack.identity.keys import InvalidToken
from onestack.identity.lookups import find_user
from onestack.identity.methods.base import Proof
from onestack.identity.models import Credential
from onestack.identity.models_trusts import UsedCode
from onestack.identity.payloads import seconds

DIGITS = 6
PERIOD = 30  # seconds


def prove(proof: Proof, data: Any) -> str:
    """`data` may be anything but null: no schema is about it, and Keystone looks for the user alone."""
    given = data.get("user") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        raise expecting("user", "None")
    user = find_user(proof.session, given)
    passcode = given.get("passcode")
    rules, now = proof.cloud.settings.security_compliance, proof.cloud.clock.now()
    if user is None or not accounts.is_enabled(rules, user, now) or not isinstance(passcode, str):
        raise unauthorized()
    query = sa.select(Credential).where(Credential.user_id == user.id, Credential.type == "totp")
    for credential in proof.session.scalars(query.order_by(Credential.id)):
        interval = _matching(proof, credential, passcode)
        if interval is None:
            continue
        if proof.cloud.settings.identity.totp_single_use:
            proof.on_success.append(partial(_use_up, credential_id=credential.id, interval=interval))
        return user.id
    raise unauthorized()


def code(secret: str, interval: int) -> str:
    """The code of an interval of 30 seconds since 1970. Raises ValueError when `secret` isn't Base32."""
    try:
        key = base64.b32decode(secret + "=" * (-len(secret) % 8))
        return TOTP(key, DIGITS, SHA1(), PERIOD, enforce_key_length=False).generate(interval * PERIOD).decode()  # noqa: S303
    except (binascii.Error, TypeError) as error:
        raise ValueError("not a TOTP secret") from error


def _matching(proof: Proof, credential: Credential, passcode: str) -> int | None:
    """The interval whose code `passcode` is, among the current one and some before it."""
    current = int(seconds(proof.cloud.clock.now())) // PERIOD
    found = None
    try:
        secret = proof.engine.credential_keys.decrypt(credential.encrypted_blob.encode()).decode()
        for interval in range(current - proof.cloud.settings.identity.totp_previous_windows, current + 1):
            if hmac.compare_digest(code(secret, interval).encode(), passcode.encode()):
                found = interval
    except (InvalidToken, ValueError):
        return None
    return found


def _use_up(session: Session, *, credential_id: str, interval: int) -> None:
    """From now on neither this code nor an older one is taken. Raises Unauthorized when it was used already."""
    newer = (
        sa.update(UsedCode)
        .where(UsedCode.credential_id == credential_id, UsedCode.interval < interval)
        .values(interval=interval)
    )
    if session.execute(newer).rowcount == 1:  # type: ignore[attr-defined]
        return
    if session.get(Credential, credential_id) is None or session.get(UsedCode, credential_id) is not None:
        raise unauthorized()
    session.add(UsedCode(credential_id=credential_id, interval=interval))
    try:
        session.flush()
    except IntegrityError:
        raise unauthorized() from None
