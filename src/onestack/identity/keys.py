"""Keys in a directory, numbered as Keystone numbers them: 0 is staged, the highest number is primary.

The primary makes, all of them read. A rotation makes the staged key primary and stages a new one, so that a process
which has not yet read the new primary already knows it as the staged key: nobody is logged out. A running server looks
at the directory's time each time and reads the keys again when it changed. Directories have mode 0700, files 0600; what
root makes belongs to the directory's owner, so that the server can read it.
"""

from __future__ import annotations

import abc
import datetime
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

MAX_ACTIVE_KEYS = 3
_ES256 = ec.ECDSA(hashes.SHA256())
_HALF = 32  # bytes of r and of s


class NumberedKeys(abc.ABC):
    """The keys of one directory; made when first needed, read again when the directory changes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None

    @abc.abstractmethod
    def _generate(self) -> bytes:
        """A new key as its file holds it."""

    @abc.abstractmethod
    def _use(self, texts: list[bytes]) -> None:
        """From now on these are the keys, the primary first. Other threads may be using the old ones."""

    def ensure(self) -> None:
        """Make the first two keys where there is none."""
        with self._locked():
            self._complete()

    def rotate(self, maximum: int = MAX_ACTIVE_KEYS) -> None:
        """Staged becomes primary, a new key is staged, the oldest beyond `maximum` go."""
        with self._locked():
            numbers = self._complete()
            before = os.stat(self.directory).st_mtime_ns
            os.rename(self.directory / "0", self.directory / str(max(numbers) + 1))
            self._write(0)
            kept = [number for number in self.numbers() if number]
            for number in kept[: max(0, len(kept) - max(1, maximum - 1))]:
                (self.directory / str(number)).unlink()
            # The kernel's clock is coarse: two changes within one tick would look like none.
            after = os.stat(self.directory)
            if after.st_mtime_ns <= before:
                os.utime(self.directory, ns=(after.st_atime_ns, before + 1))

    def numbers(self) -> list[int]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def _load(self) -> None:
        try:
            status = os.stat(self.directory)
            stamp = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            stamp = None
        if stamp is not None and stamp == self._stamp:
            return
        with self._lock, self._locked():
            self._complete()
            status = os.stat(self.directory)
            self._use([(self.directory / str(number)).read_bytes().strip() for number in reversed(self.numbers())])
            self._stamp = (status.st_mtime_ns, status.st_ino)

    def _complete(self) -> list[int]:
        """A staged and a primary key, also after a rotation that was killed half way."""
        numbers = self.numbers()
        for number in (0, 1):
            if number not in numbers and (number == 0 or not any(numbers)):
                self._write(number)
        return self.numbers()

    def _write(self, number: int) -> None:
        new = self.directory / f".new-{number}"
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, self._generate())
            os.fsync(handle)
            _hand_over(handle, self.directory)
        finally:
            os.close(handle)
        os.rename(new, self.directory / str(number))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the directory."""
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _hand_over(made, self.directory.parent)
            finally:
                os.close(made)
        handle = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _hand_over(handle, self.directory)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class KeyRepository(NumberedKeys):
    """Fernet keys."""

    _primary: Fernet
    _all: MultiFernet

    def encrypt(self, data: bytes, at: datetime.datetime) -> bytes:
        """`at`: naive, in UTC; the result carries it in clear, in whole seconds."""
        self._load()
        return self._primary.encrypt_at_time(data, int(at.replace(tzinfo=datetime.UTC).timestamp()))

    def decrypt(self, token: bytes) -> bytes:
        """Raises cryptography.fernet.InvalidToken."""
        self._load()
        return self._all.decrypt(token)

    def is_current(self, token: bytes) -> bool:
        """Whether the primary key made `token`."""
        self._load()
        try:
            self._primary.decrypt(token)
        except InvalidToken:
            return False
        return True

    def _generate(self) -> bytes:
        return Fernet.generate_key()

    def _use(self, texts: list[bytes]) -> None:
        keys = [Fernet(text) for text in texts]
        self._primary, self._all = keys[0], MultiFernet(keys)


class SigningKeys(NumberedKeys):
    """Pairs of keys for ES256 (RFC 7518, 3.4): ECDSA on P-256 with SHA-256, a signature being r and s."""

    _primary: ec.EllipticCurvePrivateKey
    _public: list[ec.EllipticCurvePublicKey]

    def sign(self, data: bytes) -> bytes:
        self._load()
        r, s = utils.decode_dss_signature(self._primary.sign(data, _ES256))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")

    def verify(self, data: bytes, signature: bytes) -> bool:
        """False as well when there is no key yet: looking at what a stranger sent must not make any."""
        if len(signature) != 2 * _HALF or not self.numbers():
            return False
        self._load()
        halves = (int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big"))
        encoded = utils.encode_dss_signature(*halves)
        return any(_verifies(key, data, encoded) for key in self._public)

    def _generate(self) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _use(self, texts: list[bytes]) -> None:
        keys = []
        for text in texts:
            key = serialization.load_pem_private_key(text, None)
            if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
                raise ValueError(f"{self.directory} holds a key that isn't one on P-256")
            keys.append(key)
        self._primary, self._public = keys[0], [key.public_key() for key in keys]


def _verifies(key: ec.EllipticCurvePublicKey, data: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, data, _ES256)
    except InvalidSignature:
        return False
    return True


def _hand_over(handle: int, model: Path) -> None:
    """What root made belongs to the owner of `model`. Nothing else is touched, whatever a link there points to."""
    found = os.fstat(handle)
    if os.geteuid() or found.st_uid or (found.st_nlink != 1 and not stat.S_ISDIR(found.st_mode)):
        return
    owner = os.stat(model)
    os.fchown(handle, owner.st_uid, owner.st_gid)


__all__ = ["InvalidToken", "KeyRepository", "NumberedKeys", "SigningKeys"]
