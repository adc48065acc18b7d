"""Receipts: what somebody who has proved one factor gets, to come back with the others within five minutes.

A receipt is a Fernet token of its own keys (keys/receipt): [user, methods, expires, issued], packed as in payloads.py.
It travels in the header `Openstack-Auth-Receipt`. Source: Identity API v3, "Multi-factor authentication".
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros_z
from onestack.core.cloud import Cloud
from onestack.core.errors import Unauthorized
from onestack.identity import payloads
from onestack.identity.keys import InvalidToken, KeyRepository
from onestack.identity.models import Revocation
from onestack.identity.token_formats import padded
from onestack.identity.tokens import Place

HEADER = "Openstack-Auth-Receipt"
_MAX_LENGTH = 1024
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Receipt(msgspec.Struct, kw_only=True, frozen=True):
    id: str
    user: Place
    methods: list[str]
    required: list[list[str]]  # the rules that these methods are a part of
    expires_at: datetime.datetime
    issued_at: datetime.datetime

    def render(self) -> dict[str, Any]:
        return {
            "receipt": {
                "methods": self.methods,
                "user": self.user.render(),
                "expires_at": micros_z(self.expires_at),
                "issued_at": micros_z(self.issued_at.replace(microsecond=0)),
            },
            "required_auth_methods": self.required,
        }


class Receipts:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._keys = KeyRepository(cloud.settings.path("keys", "receipt"))

    def issue(self, user: Place, methods: list[str], rules: list[list[str]]) -> Receipt:
        issued = self._cloud.clock.now()
        lasts = datetime.timedelta(seconds=self._cloud.settings.identity.receipt_expiration)
        expires = (issued + lasts).replace(microsecond=0)
        packed = [
            payloads.pack_id(user.id), payloads.pack_methods(tuple(methods)), payloads.seconds(expires),
            payloads.seconds(issued),
        ]  # fmt: skip
        return Receipt(
            id=self._keys.encrypt(_encode(packed), issued).rstrip(b"=").decode(), user=user, methods=methods,
            required=[rule for rule in rules if set(rule) & set(methods)], expires_at=expires, issued_at=issued,
        )  # fmt: skip

    def methods(self, session: Session, text: str, user_id: str) -> tuple[str, ...]:
        """What the receipt `text` proves of `user_id`. Raises Unauthorized."""
        try:
            if len(text) > _MAX_LENGTH or not text.isascii():
                raise ValueError("not a receipt")
            packed_user, mask, expires, issued = _decode(self._keys.decrypt(padded(text)))
            holds = payloads.unpack_id(packed_user) == user_id and payloads.moment(expires) > self._cloud.clock.now()
            found, since = payloads.unpack_methods(mask), payloads.moment(issued)
        except (InvalidToken, ValueError, TypeError, msgspec.DecodeError, OverflowError):
            holds, found, since = False, (), datetime.datetime.min
        if not holds or _revoked(session, user_id, since):
            raise Unauthorized(f"Could not find auth receipt: {text}.")
        return found


def _revoked(session: Session, user_id: str, since: datetime.datetime) -> bool:
    """A password that was proved before it was changed proves nothing any more."""
    query = sa.select(Revocation.id).where(Revocation.user_id == user_id, Revocation.issued_before >= since).limit(1)
    return session.execute(query).first() is not None
