"""What a token says, packed: a msgpack array inside Fernet, laid out like Keystone's.

    [version, user, methods, (scope,) expires, audit ids, (credential,) issued]

`version` says which kind of scope follows (0 none, 1 domain, 2 project, 8 system, 9 application credential). Ids that
are UUIDs without dashes are packed as (true, 16 bytes), others as (false, text). `methods` is a bit mask. Times are
seconds since the epoch. `issued` is ours: Fernet's own time has whole seconds only, and a token got right after a
password change must not be revoked together with those from before it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import uuid
from typing import Any

import msgspec

METHODS = ("external", "password", "token", "oauth1", "mapped", "application_credential", "totp")

_UNSCOPED, _DOMAIN, _PROJECT, _SYSTEM, _APPLICATION_CREDENTIAL = 0, 1, 2, 8, 9
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Payload(msgspec.Struct, kw_only=True, frozen=True):
    """At most one of project_id, domain_id and system is set."""

    user_id: str
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]  # its own, then that of the first token of its chain
    expires_at: datetime.datetime
    issued_at: datetime.datetime
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    application_credential_id: str | None = None


def new_audit_id(id_hex: str) -> str:
    """22 characters, as Keystone makes them of a UUID."""
    return base64.urlsafe_b64encode(bytes.fromhex(id_hex)).rstrip(b"=").decode()


def pack(payload: Payload) -> bytes:
    head: list[Any] = [_pack_id(payload.user_id), _pack_methods(payload.methods)]
    tail: list[Any] = [payload.expires_at.replace(tzinfo=datetime.UTC).timestamp(), _pack_audit(payload.audit_ids)]
    version = _UNSCOPED
    if payload.application_credential_id is not None and payload.project_id is not None:
        version = _APPLICATION_CREDENTIAL
        head.append(_pack_id(payload.project_id))
        tail.append(_pack_id(payload.application_credential_id))
    elif payload.project_id is not None:
        version = _PROJECT
        head.append(_pack_id(payload.project_id))
    elif payload.domain_id is not None:
        version = _DOMAIN
        head.append(_pack_id(payload.domain_id))
    elif payload.system:
        version = _SYSTEM
        head.append("all")
    issued = payload.issued_at.replace(tzinfo=datetime.UTC).timestamp()
    return _encode([version, *head, *tail, issued])


def unpack(data: bytes) -> Payload:
    """Raises ValueError when `data` isn't a payload of ours."""
    try:
        version, user, methods, *rest = _decode(data)
        scope = rest.pop(0) if version != _UNSCOPED else None
        credential = rest.pop(2) if version == _APPLICATION_CREDENTIAL else None
        expires, audit, issued = rest
        return Payload(
            user_id=_unpack_id(user),
            methods=tuple(name for bit, name in enumerate(METHODS) if methods & (1 << bit)),
            audit_ids=tuple(base64.urlsafe_b64encode(item).rstrip(b"=").decode() for item in audit),
            expires_at=_time(expires),
            issued_at=_time(issued),
            project_id=_unpack_id(scope) if version in (_PROJECT, _APPLICATION_CREDENTIAL) else None,
            domain_id=_unpack_id(scope) if version == _DOMAIN else None,
            system=version == _SYSTEM,
            application_credential_id=None if credential is None else _unpack_id(credential),
        )
    except (msgspec.DecodeError, TypeError, IndexError, ValueError, OverflowError, binascii.Error) as error:
        raise ValueError("not a token payload") from error


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(tzinfo=None)


def _pack_id(value: str) -> tuple[bool, Any]:
    try:
        packed = uuid.UUID(value)
    except ValueError:
        return (False, value)
    return (True, packed.bytes) if packed.hex == value else (False, value)


def _unpack_id(value: Any) -> str:
    packed, data = value
    return uuid.UUID(bytes=data).hex if packed else str(data)


def _pack_methods(methods: tuple[str, ...]) -> int:
    return sum(1 << bit for bit, name in enumerate(METHODS) if name in methods)


def _pack_audit(audit_ids: tuple[str, ...]) -> list[bytes]:
    return [base64.urlsafe_b64decode(item + "==") for item in audit_ids]
