"""Images as files: `<folder>/<first two digits of the id>/<id>`.

An object that is on the same file system is renamed to its place, any other is copied beside it first. File and folder
are flushed before `put` returns. Images of older states lie in the folder itself; their keys say so.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onestack.config import ImageStore
from onestack.image.drivers.base import CHUNK, Denied, Full, Missing, Store, StoreError, blocks, span

_KEY = re.compile(r"^(?:[0-9a-f]{2}/)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-[0-9a-f]{8})?$")
_PART = ".part-"


class FileStore(Store):
    type = "file"
    schemes = ("file", "filesystem")

    def __init__(self, name: str, settings: ImageStore, folder: Path) -> None:
        super().__init__(name, settings)
        self.folder = folder

    def key_for(self, image_id: str) -> str:
        return f"{image_id[:2]}/{image_id}"

    def path(self, key: str) -> Path:
        """Keys that we didn't make name no file. Raises ValueError."""
        if not _KEY.match(key):
            raise ValueError(f"{key!r} is not the key of an image's file")
        return self.folder / key

    def check(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Denied(f"the folder {self.folder} can't be made: {error.strerror}") from error
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise Denied(f"the folder {self.folder} can't be written")

    def put(self, key: str, source: Path) -> None:
        target = self.path(key)
        with _errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy(source, target)
            sync(target.parent)
            sync(self.folder)

    def _copy(self, source: Path, target: Path) -> None:
        part = target.with_name(f"{target.name}{_PART}{secrets.token_hex(4)}")
        try:
            with source.open("rb") as incoming, part.open("xb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, CHUNK)
                outgoing.flush()
                os.fsync(outgoing.fileno())
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)

    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        with _errors():
            handle = self.path(key).open("rb")
        handle.seek(first)
        return blocks(handle, span(first, last, os.fstat(handle.fileno()).st_size))

    def size(self, key: str) -> int:
        with _errors():
            return self.path(key).stat().st_size

    def delete(self, key: str) -> None:
        with _errors():
            self.path(key).unlink(missing_ok=True)

    def url(self, key: str) -> str:
        return f"file://{self.path(key)}"

    def key_of(self, url: str) -> str | None:
        key = url.removeprefix(f"file://{self.folder}/")
        return key if key != url and _KEY.match(key) else None

    def local(self, key: str) -> Path | None:
        return self.path(key)

    def properties(self) -> dict[str, Any]:
        return {"data_dir": str(self.folder), "chunk_size": CHUNK, "thin_provisioning": False}

    def files(self) -> Iterator[tuple[str, Path]]:
        """Key and path of every file here that is ours by its name, parts that a crash left among them."""
        for file in [*self.folder.glob("*"), *self.folder.glob("[0-9a-f][0-9a-f]/*")]:
            key = str(file.relative_to(self.folder))
            if _KEY.match(key.partition(_PART)[0]) and file.is_file():
                yield key, file


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Missing("the file is gone") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Full("There is not enough disk space on the image storage media.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Denied("Permission to write image storage media denied.") from error
        raise StoreError(error.strerror or "input/output error") from error
