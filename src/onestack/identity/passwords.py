"""Password hashes: argon2id for new ones; those that another Keystone made verify too (foreign_hashes.py).

The parameters are OWASP's minimum for argon2id (19 MiB, two passes, one lane). Only as many hashes run at once as
there are processors: more would not be faster, and each holds its memory.
"""

from __future__ import annotations

import os
import threading

import argon2

from onestack.identity import foreign_hashes

MAX_LENGTH = 4096  # bytes, the most that [identity] max_password_length may be

_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_turns = threading.BoundedSemaphore(os.cpu_count() or 1)
# What an unknown user's password is compared with, so that the answer takes as long as a known user's.
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$" + "c29tZXNhbHRzb21lc2FsdA" + "$" + "cnK3ntTPQqsYZ1/5LXnCqJ1vDgL5sYiEAIUzMRFzW7A"
)


def hash_password(password: str | bytes) -> str:
    with _turns:
        return _hasher.hash(password)


def verify(password: str, hashed: str | None, maximum: int = MAX_LENGTH) -> bool:
    """Whether `password` is the one of `hashed`; None (nobody, or no password set) costs the same and is False."""
    given = limited(password, maximum)
    with _turns:
        foreign = foreign_hashes.checker(hashed) if hashed is not None else None
        if foreign is not None and hashed is not None:
            try:
                return foreign(given, hashed)
            except (ValueError, KeyError):
                return False
        try:
            return _hasher.verify(hashed or _NOBODY, given) and hashed is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def limited(password: str, maximum: int = MAX_LENGTH) -> bytes:
    """As much of a password as counts: a longer one is cut, both when it is set and when it is asked for."""
    return password.encode()[:maximum]
