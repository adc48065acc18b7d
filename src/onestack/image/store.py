"""Files of the image service beside the stores: `images/<id>.boot` converted, `images/staging/` what is on its way,
`images/cache/` copies.

What comes in is written below staging/, hashed while it passes, flushed to the disk, and handed to a store
(objects.py). Whoever writes a staging file holds a lock on it, so that what a dead process left behind can be told from
what is being written and swept away (sweep.py). All of this is the node's own (core/node.py).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from onestack.config import IMPORT_PLUGINS
from onestack.core.cloud import Cloud
from onestack.image import quotas
from onestack.image.drivers.file import sync as _sync

ALGORITHM = "sha512"
BLOCK = 2 << 20  # bytes; pieces of this size go to the disk past the page cache, up to the first smaller one
AHEAD = 3  # pieces of data that may be unfinished when the next is taken
_SMALL = 64 << 10  # bytes that are hashed and written sooner than threads are told
_FLUSHED = 64 << 20  # bytes after which the disk is told to write
_CHUNK = 4 << 20  # bytes that are hashed at once
# Behind the id of an image, below staging/: what an import has there.
OF_IMPORTS = ("staged", "staged.boot", "copy", *IMPORT_PLUGINS)
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Digest(msgspec.Struct, frozen=True):
    """What is known of data that was received."""

    size: int
    checksum: str  # md5
    os_hash_value: str  # sha512


def directory(cloud: Cloud) -> Path:
    return cloud.settings.path("images")


def path(cloud: Cloud, image_id: str) -> Path:
    """Where the data of an image is. Ids that aren't UUIDs name no file."""
    if not UUID.match(image_id.lower()) or str(uuid.UUID(image_id)) != image_id.lower():
        raise ValueError(f"{image_id!r} is not the id of an image")
    return directory(cloud) / image_id.lower()


def boot_path(cloud: Cloud, image_id: str) -> Path:
    return path(cloud, image_id).with_suffix(".boot")


def cache_path(cloud: Cloud, image_id: str) -> Path:
    """The copy of an image in the cache."""
    return directory(cloud) / "cache" / path(cloud, image_id).name


def staged_path(cloud: Cloud, image_id: str) -> Path:
    """Staged data that waits for its import."""
    return directory(cloud) / "staging" / f"{path(cloud, image_id).name}.staged"


def made_path(cloud: Cloud, image_id: str, plugin: str) -> Path:
    """What an import's plug-in made of the staged data, before it takes its place."""
    return directory(cloud) / "staging" / f"{path(cloud, image_id).name}.{plugin}"


def import_paths(cloud: Cloud, image_id: str) -> list[Path]:
    """Every file that an import may have."""
    return [directory(cloud) / "staging" / f"{path(cloud, image_id).name}.{kind}" for kind in OF_IMPORTS]


class Staging:
    """A file that is being received, of at most as many bytes as its owner may still store. All of it blocks: call it
    in a thread, one after the other.

    Two hashes, the writing and the flushing each go at their own pace, in a thread each. `write` returns as soon as no
    more than AHEAD pieces of data are unfinished: the last of them must stay as they are.
    """

    def __init__(self, cloud: Cloud, image_id: str) -> None:
        self._left = quotas.left_for(cloud, image_id)
        folder = directory(cloud) / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{path(cloud, image_id).name}.{secrets.token_hex(8)}"
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        work = (self._sha512.update, self._md5.update, self._store)
        self._stages = [(ThreadPoolExecutor(1, thread_name_prefix="image-data"), one) for one in work]
        self._unfinished: deque[list[Future[None]]] = deque()
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="image-flush")
        self._flushing: Future[None] | None = None
        self._unflushed = 0  # bytes
        self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115 (closed by finish or discard)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._direct = self._past_cache(True)

    def fits(self, size: int) -> None:
        """Raises TooLarge when this is more than may be stored."""
        if self._left is not None and size > self._left:
            raise quotas.too_much(size, self._left)

    def write(self, data: bytes | memoryview) -> None:
        """Raises TooLarge; also OSError when the disk is full, perhaps for earlier data."""
        self.fits(self.size + len(data))
        self.size += len(data)
        if len(data) <= _SMALL and not self._unfinished:
            for _, work in self._stages:
                work(data)
            return
        self._unfinished.append([stage.submit(work, data) for stage, work in self._stages])
        self._settle(AHEAD)

    def _settle(self, most: int) -> None:
        """Wait until no more than so many pieces are unfinished. Raises what they met."""
        while len(self._unfinished) > most:
            for one in self._unfinished.popleft():
                one.result()

    def _store(self, data: bytes | memoryview) -> None:
        if self._direct and len(data) < BLOCK:
            self._direct = self._past_cache(False)
        view = memoryview(data)
        while view:
            try:
                view = view[self._file.write(view) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                # The data isn't aligned as the disk wants it, or the file system can't do it and didn't say so before.
                self._direct = self._past_cache(False)
        if not self._direct:
            self._flush(len(data))

    def _past_cache(self, wanted: bool) -> bool:
        """Whether what is written now goes to the disk past the page cache (O_DIRECT): to copy it there costs half as
        much as a hash. Not every file system can."""
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL) & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | (os.O_DIRECT if wanted else 0))
        except OSError:
            return False
        return wanted

    def _flush(self, size: int) -> None:
        """So many bytes more are in the page cache. What goes to the disk now needn't be waited for at the end."""
        self._unflushed += size
        if self._unflushed >= _FLUSHED and (self._flushing is None or self._flushing.done()):
            self._flushed()  # an error is told once, and only to who asks
            self._unflushed = 0
            self._flushing = self._flusher.submit(os.fdatasync, self._file.fileno())

    def _flushed(self) -> None:
        if self._flushing is not None:
            self._flushing.result()

    def finish(self) -> Digest:
        """Everything is on the disk; the file stays locked until `discard`."""
        self._settle(0)
        self._flushed()
        os.fsync(self._file.fileno())
        return Digest(self.size, self._md5.hexdigest(), self._sha512.hexdigest())

    def discard(self) -> None:
        """Remove the file where it wasn't renamed; close it."""
        self.path.unlink(missing_ok=True)
        for stage in (*(stage for stage, _ in self._stages), self._flusher):
            stage.shutdown(cancel_futures=True)
        self._file.close()


def move(source: Path, target: Path) -> None:
    """Rename, and make the rename itself durable."""
    os.replace(source, target)
    _sync(target.parent)
    if source.parent != target.parent:
        _sync(source.parent)


def digest_of(file: Path, check: Callable[[], None]) -> Digest:
    """All that is known of data, from a file. `check` is called again and again, because it may take long."""
    md5, sha512, size = hashlib.md5(usedforsecurity=False), hashlib.sha512(), 0
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            check()
            size += len(chunk)
            md5.update(chunk)
            sha512.update(chunk)
    return Digest(size, md5.hexdigest(), sha512.hexdigest())


def hash_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, ALGORITHM).hexdigest()


def remove(cloud: Cloud, image_id: str) -> None:
    """No file of the image is left outside of the stores."""
    for file in (boot_path(cloud, image_id), cache_path(cloud, image_id), *import_paths(cloud, image_id)):
        file.unlink(missing_ok=True)


def receiving(cloud: Cloud, image_id: str) -> bool:
    """Whether data of the image is being received right now."""
    files = (directory(cloud) / "staging").glob(f"{path(cloud, image_id).name}.*")
    return any(in_use(file) for file in files)


def in_use(file: Path) -> bool:
    """Whether somebody on this machine writes it."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
