"""The two kinds of tokens: Fernet, and JWS (RFC 7515) with the claims that Keystone's have, signed with ES256.

A Fernet token is short, and whoever has the keys can both make and read it. A JWS token can be read by everybody.
"""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

import msgspec

from onestack.identity import payloads
from onestack.identity.keys import InvalidToken, KeyRepository, SigningKeys
from onestack.identity.payloads import Payload, moment, seconds


class Format(Protocol):
    def seal(self, payload: Payload) -> str: ...

    def open(self, text: str) -> Payload:
        """Raises ValueError when `text` wasn't made with one of the keys."""
        ...


class FernetFormat:
    def __init__(self, keys: KeyRepository) -> None:
        self.keys = keys

    def seal(self, payload: Payload) -> str:
        return self.keys.encrypt(payloads.pack(payload), payload.issued_at).rstrip(b"=").decode()

    def open(self, text: str) -> Payload:
        try:
            return payloads.unpack(self.keys.decrypt(padded(text)))
        except InvalidToken as error:
            raise ValueError("not a token of ours") from error


class _Claims(msgspec.Struct, omit_defaults=True, kw_only=True):
    sub: str
    iat: float  # with its fraction, which RFC 7519 allows and the revocations need
    exp: float
    openstack_methods: tuple[str, ...]
    openstack_audit_ids: tuple[str, ...]
    openstack_system: str | None = None
    openstack_domain_id: str | None = None
    openstack_project_id: str | None = None
    openstack_trust_id: str | None = None
    openstack_access_token_id: str | None = None
    openstack_app_cred_id: str | None = None


_HEADER = {"alg": "ES256", "typ": "JWT"}
_encode = msgspec.json.Encoder().encode
_claims = msgspec.json.Decoder(_Claims).decode


class JwsFormat:
    def __init__(self, keys: SigningKeys) -> None:
        self.keys = keys

    def seal(self, payload: Payload) -> str:
        claims = _Claims(
            sub=payload.user_id, iat=seconds(payload.issued_at), exp=seconds(payload.expires_at),
            openstack_methods=payload.methods, openstack_audit_ids=payload.audit_ids,
            openstack_system="all" if payload.system else None, openstack_domain_id=payload.domain_id,
            openstack_project_id=payload.project_id, openstack_trust_id=payload.trust_id,
            openstack_access_token_id=payload.access_token_id,
            openstack_app_cred_id=payload.application_credential_id,
        )  # fmt: skip
        signed = b".".join((_in_base64(_encode(_HEADER)), _in_base64(_encode(claims))))
        return b".".join((signed, _in_base64(self.keys.sign(signed)))).decode()

    def open(self, text: str) -> Payload:
        signed, _, signature = text.rpartition(".")
        header, _, body = signed.partition(".")
        try:
            if msgspec.json.decode(_from_base64(header)).get("alg") != _HEADER["alg"]:
                raise ValueError("another algorithm")
            if not self.keys.verify(signed.encode(), _from_base64(signature)):
                raise ValueError("not a token of ours")
            claims = _claims(_from_base64(body))
            return Payload(
                user_id=claims.sub, methods=claims.openstack_methods, audit_ids=claims.openstack_audit_ids,
                expires_at=moment(claims.exp), issued_at=moment(claims.iat),
                project_id=claims.openstack_project_id, domain_id=claims.openstack_domain_id,
                system=claims.openstack_system is not None, trust_id=claims.openstack_trust_id,
                access_token_id=claims.openstack_access_token_id,
                application_credential_id=claims.openstack_app_cred_id,
            )  # fmt: skip
        except (msgspec.DecodeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError("not a token payload") from error


def padded(text: str) -> bytes:
    """Base64 with the padding that tokens travel without."""
    return (text + "=" * (-len(text) % 4)).encode()


def _in_base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _from_base64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(padded(text))
    except binascii.Error as error:
        raise ValueError("not base64") from error
