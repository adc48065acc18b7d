"""Images in a container of Object Storage: https://docs.openstack.org/api-ref/object-store/.

python-swiftclient signs in at Identity v3. An object beyond the segment size is a static large object: its manifest is
written last, so there is the whole object or none.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests.exceptions
from swiftclient.client import Connection
from swiftclient.exceptions import ClientException

from onestack.config import ImageStore
from onestack.image.drivers.base import CHUNK, Denied, Full, Missing, Store, StoreError, span

_SEGMENT = 1 << 30  # bytes of a segment
_TIMEOUT = 60


class SwiftStore(Store):
    type = "swift"
    schemes = ("swift", "swift+http", "swift+https")
    external = True

    def __init__(self, name: str, settings: ImageStore, *, segment: int = _SEGMENT) -> None:
        super().__init__(name, settings)
        self._segment = segment
        self._segments = f"{settings.container}_segments"
        parts = urllib.parse.urlsplit(settings.auth_url)
        self._prefix = f"swift+{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{settings.container}/"

    def _connection(self) -> Any:
        """One for each call: a Connection is not made for many threads."""
        one = self.settings
        version1 = urllib.parse.urlsplit(one.auth_url).path.rstrip("/").endswith("/v1.0")
        options = {
            "user_domain_id": one.user_domain, "project_domain_id": one.project_domain,
            "region_name": one.region or None,
        }  # fmt: skip
        return Connection(
            authurl=one.auth_url, user=f"{one.project}:{one.user}" if version1 else one.user, key=one.password,
            tenant_name=one.project, auth_version="1" if version1 else "3",
            os_options={} if version1 else options, retries=3, timeout=_TIMEOUT,
        )  # fmt: skip

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        connection = self._connection()
        try:
            with _errors():
                yield connection
        finally:
            connection.close()

    def check(self) -> None:
        with self._connected() as connection:
            connection.put_container(self.settings.container)
            connection.put_container(self._segments)

    def put(self, key: str, source: Path) -> None:
        size = source.stat().st_size
        with self._connected() as connection, source.open("rb") as handle:
            if size <= self._segment:
                connection.put_object(
                    self.settings.container, key, contents=handle, content_length=size, chunk_size=CHUNK,
                    content_type="application/octet-stream",
                )  # fmt: skip
                return
            manifest = []
            for number in range((size + self._segment - 1) // self._segment):
                length = min(self._segment, size - number * self._segment)
                path = f"{key}/{number:08}"
                etag = connection.put_object(
                    self._segments, path, contents=handle, content_length=length, chunk_size=CHUNK,
                    content_type="application/octet-stream",
                )  # fmt: skip
                manifest.append({"path": f"/{self._segments}/{path}", "etag": etag, "size_bytes": length})
            connection.put_object(
                self.settings.container, key, contents=json.dumps(manifest), query_string="multipart-manifest=put",
                content_type="application/octet-stream",
            )  # fmt: skip

    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        connection = self._connection()
        headers = {} if not first and last is None else {"Range": f"bytes={first}-{'' if last is None else last}"}
        try:
            with _errors():
                answer, body = connection.get_object(
                    self.settings.container, key, resp_chunk_size=CHUNK, headers=headers
                )
        except BaseException:
            connection.close()
            raise
        return _chunks(connection, body, span(0, None, int(answer["content-length"])))

    def size(self, key: str) -> int:
        with self._connected() as connection:
            return int(connection.head_object(self.settings.container, key)["content-length"])

    def delete(self, key: str) -> None:
        with self._connected() as connection:
            _quietly(connection.delete_object, self.settings.container, key)
            _, segments = connection.get_container(self._segments, prefix=f"{key}/", full_listing=True)
            for segment in segments:
                _quietly(connection.delete_object, self._segments, segment["name"])

    def url(self, key: str) -> str:
        return self._prefix + key

    def key_of(self, url: str) -> str | None:
        key = url.removeprefix(self._prefix)
        return key if key and key != url else None

    def properties(self) -> dict[str, Any]:
        return {
            "container": self.settings.container, "large_object_size": self._segment >> 20,
            "large_object_chunk_size": self._segment >> 20,
        }  # fmt: skip


def _chunks(connection: Any, body: Iterator[bytes], size: int) -> Iterator[bytes]:
    try:
        with _errors():
            for chunk in body:
                size -= len(chunk)
                yield chunk
        if size:
            raise StoreError("the object store broke off")
    finally:
        connection.close()


def _quietly(delete: Any, container: str, key: str) -> None:
    try:
        delete(container, key)
    except ClientException as error:
        if error.http_status != 404:
            raise


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ClientException as error:
        # What Identity says to the sign-in is only in the exception behind this one.
        status = error.http_status or getattr(error.__context__, "http_status", 0)
        if status == 404:
            raise Missing("there is no such object") from error
        if status in (401, 403):
            raise Denied("the object store refuses our user") from error
        if status in (413, 507):
            raise Full("the object store has no room") from error
        raise StoreError(f"the object store answers {status or 'nothing'}") from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise StoreError(f"the object store can't be used: {type(error).__name__}") from error
