"""What a token says, packed: a msgpack array inside Fernet, laid out like Keystone's.

    [version, user, methods, (scope,) expires, audit ids, (what it came from,) issued]

`version` says which ids there are (`_LAYOUTS`): the first of them is the scope, the others follow the audit ids. Ids
that are UUIDs without dashes are packed as (true, 16 bytes), others as (false, text). `methods` is a bit mask. Times
are seconds since the epoch. `issued` is ours: Fernet's own time has whole seconds only, and a token got right after a
password change must not be revoked together with those from before it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import uuid
from collections.abc import Collection
from typing import Any

import msgspec

SIGNED = "ec2credential"  # a request that was signed with an EC2 key
METHODS = ("external", "password", "token", "oauth1", "mapped", "application_credential", "totp", SIGNED)
# Those by which somebody proves who they are. The others are handed out, for a part of what their owner may do.
_PRIMARY = frozenset(("external", "password", "token", "mapped", "totp"))

# Version → the ids that tokens of this kind have; the numbers are Keystone's.
_LAYOUTS: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("domain_id",),
    2: ("project_id",),
    3: ("project_id", "trust_id"),
    7: ("project_id", "access_token_id"),
    8: ("system",),
    9: ("project_id", "application_credential_id"),
    100: ("trust_id",),  # a trust without a project; Keystone has no such tokens
}
_VERSIONS = {frozenset(names): version for version, names in _LAYOUTS.items()}
_IDS = frozenset().union(*_VERSIONS)
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
    trust_id: str | None = None
    access_token_id: str | None = None
    application_credential_id: str | None = None


def is_delegated(methods: Collection[str]) -> bool:
    """Whether something that was handed out was among the `methods` of a token. One that nobody thought of is taken for
    such a thing, and so is a token without any."""
    return not methods or not _PRIMARY.issuperset(methods)


def new_audit_id(id_hex: str) -> str:
    """22 characters, as Keystone makes them of a UUID."""
    return base64.urlsafe_b64encode(bytes.fromhex(id_hex)).rstrip(b"=").decode()


def pack(payload: Payload) -> bytes:
    version = _VERSIONS[frozenset(name for name in _IDS if getattr(payload, name))]
    ids = [_pack_field(payload, name) for name in _LAYOUTS[version]]
    head = [pack_id(payload.user_id), pack_methods(payload.methods), *ids[:1]]
    tail = [seconds(payload.expires_at), _pack_audit(payload.audit_ids), *ids[1:], seconds(payload.issued_at)]
    return _encode([version, *head, *tail])


def unpack(data: bytes) -> Payload:
    """Raises ValueError when `data` isn't a payload of ours."""
    try:
        version, user, methods, *rest = _decode(data)
        names = _LAYOUTS[version]
        scope = [rest.pop(0)] if names else []
        expires, audit, *origin, issued = rest
        ids = {name: _unpack_field(name, value) for name, value in zip(names, scope + origin, strict=True)}
        return Payload(
            user_id=unpack_id(user),
            methods=unpack_methods(methods),
            audit_ids=tuple(base64.urlsafe_b64encode(item).rstrip(b"=").decode() for item in audit),
            expires_at=moment(expires),
            issued_at=moment(issued),
            **ids,
        )
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise ValueError("not a token payload") from error


def seconds(when: datetime.datetime) -> float:
    return when.replace(tzinfo=datetime.UTC).timestamp()


def moment(value: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(value, datetime.UTC).replace(tzinfo=None)


def _pack_field(payload: Payload, name: str) -> Any:
    return "all" if name == "system" else pack_id(getattr(payload, name))


def _unpack_field(name: str, value: Any) -> Any:
    return True if name == "system" else unpack_id(value)


def pack_id(value: str) -> tuple[bool, Any]:
    try:
        packed = uuid.UUID(value)
    except ValueError:
        return (False, value)
    return (True, packed.bytes) if packed.hex == value else (False, value)


def unpack_id(value: Any) -> str:
    packed, data = value
    return uuid.UUID(bytes=data).hex if packed else str(data)


def pack_methods(methods: tuple[str, ...]) -> int:
    return sum(1 << bit for bit, name in enumerate(METHODS) if name in methods)


def unpack_methods(mask: int) -> tuple[str, ...]:
    return tuple(name for bit, name in enumerate(METHODS) if mask & (1 << bit))


def _pack_audit(audit_ids: tuple[str, ...]) -> list[bytes]:
    return [base64.urlsafe_b64decode(item + "==") for item in audit_ids]
