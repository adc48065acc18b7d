"""Password hashes that another Keystone made, so that its users can be brought here with their passwords.

Keystone writes the forms of the passlib library: `$2b$` (bcrypt), `$bcrypt-sha256$`, `$scrypt$` and `$pbkdf2-sha512$`;
base64 without padding, `.` where base64 has `+`. New hashes are never of these kinds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import bcrypt

_BCRYPT_BYTES = 72  # bcrypt looks at no more
_SCRYPT_MEMORY = 1 << 30  # bytes; a hash that would take more is refused
_PBKDF2_ROUNDS = 10_000_000


def _decode(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _parameters(text: str) -> dict[str, str]:
    """`ln=16,r=8` → {"ln": "16", "r": "8"}"""
    return dict(part.split("=", 1) for part in text.split(","))


def _bcrypt(password: bytes, hashed: str) -> bool:
    return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())


def _bcrypt_sha256(password: bytes, hashed: str) -> bool:
    """Bcrypt of an HMAC of the password, keyed by the salt: it has no limit of 72 bytes."""
    _, _, given, salt, digest = hashed.split("$")
    parameters = _parameters(given)
    if parameters.get("v") != "2":
        raise ValueError("only the second version of bcrypt-sha256 is known")
    inner = base64.b64encode(hmac.digest(salt.encode(), password, "sha256"))
    return bcrypt.checkpw(inner, f"${parameters['t']}${int(parameters['r']):02d}${salt}{digest}".encode())


def _scrypt(password: bytes, hashed: str) -> bool:
    _, _, given, salt, digest = hashed.split("$")
    parameters = {name: int(value) for name, value in _parameters(given).items()}
    n, r, p = 1 << min(parameters["ln"], 40), parameters["r"], parameters["p"]
    memory = 128 * r * (n + p + 2)
    if memory > _SCRYPT_MEMORY:
        raise ValueError("this scrypt hash would take too much memory")
    found = hashlib.scrypt(password, salt=_decode(salt), n=n, r=r, p=p, maxmem=memory + (1 << 20), dklen=32)
    return hmac.compare_digest(found, _decode(digest))


def _pbkdf2(password: bytes, hashed: str) -> bool:
    _, _, rounds, salt, digest = hashed.split("$")
    if not 0 < int(rounds) <= _PBKDF2_ROUNDS:
        raise ValueError("this pbkdf2 hash has an unlikely number of rounds")
    found = hashlib.pbkdf2_hmac("sha512", password, _decode(salt), int(rounds))
    return hmac.compare_digest(found, _decode(digest))


_KINDS: dict[str, Callable[[bytes, str], bool]] = {
    "2": _bcrypt, "2a": _bcrypt, "2b": _bcrypt, "2y": _bcrypt, "bcrypt-sha256": _bcrypt_sha256, "scrypt": _scrypt,
    "7": _scrypt, "pbkdf2-sha512": _pbkdf2,
}  # fmt: skip


def checker(hashed: str) -> Callable[[bytes, str], bool] | None:
    """What compares a password with `hashed`, if it is one of these. May raise ValueError or KeyError."""
    parts = hashed.split("$", 2)
    return _KINDS.get(parts[1]) if len(parts) == 3 and not parts[0] else None
