"""The contract of a store.

A store holds objects by key. `put` is whole or nothing: until it returns, `size` and `get` know no such object, or one
that `delete` removes without a trace. What is put twice under one key is there once. `delete` of what isn't there is
done. A key that we made is the id of the image, perhaps with more; `key_of` makes keys of URLs that users gave.

Nothing here touches the database, and every call may block: none is made within a transaction.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from onestack.config import ImageStore

CHUNK = 1 << 20  # bytes that are read and sent at once


class StoreError(Exception):
    """The store can't do it now. The message is for the operator, and may be shown to the user."""


class Missing(StoreError):
    """There is no such object."""


class Full(StoreError):
    """There is no room for the object."""


class Denied(StoreError):
    """We aren't allowed to."""


class ReadOnly(StoreError):
    """This kind of store can't be written."""


class Store(abc.ABC):
    """`name` is what clients call it. Made once, used from many threads."""

    type: str
    schemes: tuple[str, ...]  # of the URLs that it makes and knows
    read_only = False
    external = False  # whether users may name its objects by URL: never where that names a file of ours

    def __init__(self, name: str, settings: ImageStore) -> None:
        self.name = name
        self.settings = settings

    @abc.abstractmethod
    def check(self) -> None:
        """Raise StoreError, with what to do about it, when the store can't be used as it is configured."""

    @abc.abstractmethod
    def put(self, key: str, source: Path) -> None:
        """The object is what the file holds. The file may be moved away, and is only read where it can't."""

    @abc.abstractmethod
    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last` (inclusive). Raises Missing at once, not at the first chunk."""

    @abc.abstractmethod
    def size(self, key: str) -> int:
        """Bytes of the object. Raises Missing."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """There is no such object afterwards."""

    @abc.abstractmethod
    def url(self, key: str) -> str:
        """How clients see the object. No secret is in it."""

    @abc.abstractmethod
    def key_of(self, url: str) -> str | None:
        """The key of the object behind a URL, None when it isn't in this store."""

    def key_for(self, image_id: str) -> str:
        return image_id

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except Missing:
            return False
        return True

    def local(self, key: str) -> Path | None:
        """The file that holds the object, where that is on this machine."""
        return None

    def properties(self) -> dict[str, Any]:
        """What an administrator is shown. No secret is in it."""
        return {}


def blocks(handle: BinaryIO, size: int) -> Iterator[bytes]:
    """Up to `size` bytes of a file; fewer is a StoreError, so that nobody takes a part for the whole."""
    left = size
    with handle:
        while left > 0:
            chunk = handle.read(min(CHUNK, left))
            if not chunk:
                raise StoreError("the object is shorter than it was")
            left -= len(chunk)
            yield chunk


def span(first: int, last: int | None, size: int) -> int:
    """How many bytes a range has."""
    return max((size if last is None else last + 1) - first, 0)
