"""Fernet keys in a directory, numbered as Keystone numbers them: 0 is staged, the highest number is primary.

The primary encrypts, all of them decrypt. A rotation makes the staged key primary and stages a new one, so that a
process which has not yet read the new primary already knows it as the staged key: nobody is logged out.
Directories have mode 0700, files 0600.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

MAX_ACTIVE_KEYS = 3


class KeyRepository:
    """The keys of one directory; made when first needed, read again when the directory changes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._primary: Fernet | None = None
        self._all: MultiFernet | None = None

    def encrypt(self, data: bytes, at: datetime.datetime) -> bytes:
        """`at`: naive, in UTC; the result carries it in clear, in whole seconds."""
        self._load()
        assert self._primary is not None
        return self._primary.encrypt_at_time(data, int(at.replace(tzinfo=datetime.UTC).timestamp()))

    def decrypt(self, token: bytes) -> bytes:
        """Raises cryptography.fernet.InvalidToken."""
        self._load()
        assert self._all is not None
        return self._all.decrypt(token)

    def ensure(self) -> None:
        """Make the first two keys where there is none."""
        with self._locked():
            self._complete()

    def rotate(self, maximum: int = MAX_ACTIVE_KEYS) -> None:
        """Staged becomes primary, a new key is staged, the oldest beyond `maximum` go."""
        with self._locked():
            numbers = self._complete()
            os.rename(self.directory / "0", self.directory / str(max(numbers) + 1))
            self._write(0)
            kept = [number for number in self.numbers() if number]
            for number in kept[: max(0, len(kept) - max(1, maximum - 1))]:
                (self.directory / str(number)).unlink()

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
            keys = [Fernet((self.directory / str(n)).read_bytes().strip()) for n in reversed(self.numbers())]
            self._primary, self._all = keys[0], MultiFernet(keys)
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
            os.write(handle, Fernet.generate_key())
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(new, self.directory / str(number))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the directory."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


__all__ = ["InvalidToken", "KeyRepository"]
