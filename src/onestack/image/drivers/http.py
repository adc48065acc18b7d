"""Images that stay on somebody's web server: a location names the URL, and it is read each time, never written.

Where it may be read from is bounded like web-download (web.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onestack.config import ImageStore, ImportFilter
from onestack.image import web
from onestack.image.drivers.base import Denied, Missing, ReadOnly, Store, StoreError


class HttpStore(Store):
    type = "http"
    schemes = ("http", "https")
    read_only = True
    external = True

    def __init__(self, name: str, settings: ImageStore, lists: ImportFilter) -> None:
        super().__init__(name, settings)
        self._lists = lists

    def check(self) -> None:
        """There is nothing that could be wrong."""

    def put(self, key: str, source: Path) -> None:
        raise ReadOnly("Error in store configuration. Adding images to store is disabled.")

    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        whole = not first and last is None
        answer = self._ask(key, {} if whole else {"Range": f"bytes={first}-{'' if last is None else last}"})
        if whole or answer.status == 206:
            return answer.data
        return _cut(answer.data, first, last)

    def size(self, key: str) -> int:
        answer = self._ask(key, {}, "HEAD")
        return int(answer.headers.get("Content-Length") or 0)

    def _ask(self, url: str, headers: dict[str, str], method: str = "GET") -> web.Answer:
        try:
            return web.get(self._lists, url, headers=headers, method=method)
        except web.Refused as error:
            raise Denied(str(error)) from error
        except web.Broken as error:
            raise StoreError(str(error)) from error
        except web.WebError as error:
            raise Missing(str(error)) from error

    def delete(self, key: str) -> None:
        """What isn't ours stays where it is."""

    def url(self, key: str) -> str:
        return key

    def key_of(self, url: str) -> str | None:
        return url if url.startswith(("http://", "https://")) else None


def _cut(data: Iterator[bytes], first: int, last: int | None) -> Iterator[bytes]:
    """The range, of a server that knows none."""
    position = 0
    for chunk in data:
        end = len(chunk) if last is None else last + 1 - position
        part = chunk[max(first - position, 0) : max(end, 0)]
        position += len(chunk)
        if part:
            yield part
        if last is not None and position > last:
            return
