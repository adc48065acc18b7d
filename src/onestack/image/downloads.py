"""Getting data that isn't sent to us: from the web, from another store, from the Glance of another region."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from onestack.core import secret
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Fault, TooLarge
from onestack.image import reading, store, web
from onestack.image.drivers.base import StoreError
from onestack.image.schema import RESERVED_NAMESPACE
from onestack.image.store import Digest, Staging

_TRIES = 5
_COPIED = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")  # Glance's glance_download_properties
_DOCUMENT = 16 << 20  # bytes of another Glance's or Keystone's answer
Receive = Callable[[Staging], None]


def into(cloud: Cloud, image_id: str, file: Path, receive: Receive) -> Digest:
    """`file` is what `receive` writes, whole, on the disk and hashed; or there is no such file."""
    staging = Staging(cloud, image_id)
    try:
        receive(staging)
        digest = staging.finish()
        store.move(staging.path, file)
        return digest
    finally:
        staging.discard()


def another(file: Path) -> Path:
    """The same bytes under a second name: a link where the file system can, a copy elsewhere."""
    other = other_name(file)
    other.unlink(missing_ok=True)
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)
    return other


def other_name(file: Path) -> Path:
    return file.with_suffix(".copy")


def from_store(cloud: Cloud, source: reading.Source) -> Receive:
    def receive(staging: Staging) -> None:
        try:
            for chunk in source.open(cloud):
                staging.write(chunk)
        except StoreError as error:
            raise BadRequest(f"The image can't be read: {error}") from error

    return receive


def from_web(cloud: Cloud, url: str, headers: dict[str, str] | None = None) -> Receive:
    """A connection that breaks off is taken up where it broke, when the server says that the data is the same."""
    settings = cloud.settings.image

    def receive(staging: Staging) -> None:
        deadline = web.Deadline(settings.download_timeout)
        mark: str | None = None
        for number in range(1, _TRIES + 1):
            wanted = dict(headers or {})
            if staging.size and mark:
                wanted |= {"Range": f"bytes={staging.size}-", "If-Range": mark}
            try:
                answer = web.get(settings.import_filter, url, headers=wanted)
                if staging.size and answer.status != 206:
                    raise web.WebError("The connection broke off, and the data has changed since.")
                mark = _mark(answer)
                for chunk in answer.data:
                    deadline.check()
                    if staging.size + len(chunk) > settings.image_size_cap:
                        raise TooLarge("The incoming image is too large: Maximum image size exceeded.")
                    staging.write(chunk)
                return
            except web.Broken as error:
                if number == _TRIES or (staging.size and mark is None):
                    raise BadRequest(str(error)) from error
            except web.WebError as error:
                raise BadRequest(str(error)) from error

    return receive


def _mark(answer: web.Answer) -> str | None:
    """What If-Range takes: a strong entity tag."""
    tag = answer.headers.get("ETag")
    return tag if tag and tag.startswith('"') else None


class RemoteGlance:
    """glance-download: an image of the Glance of another region, found in the catalog, read with the user's token.

    The endpoint is the operator's, so it may be at an address that isn't public; redirects from it may not.
    """

    def __init__(self, cloud: Cloud, method: dict[str, Any], sealed: str) -> None:
        self._cloud = cloud
        self._image_id = str(method["glance_image_id"])
        self._region = str(method["glance_region"])
        self._interface = str(method.get("glance_service_interface") or "public")
        self._token = unseal(cloud, sealed)

    def metadata(self) -> tuple[tuple[str, str], dict[str, str]]:
        """Disk and container format, and the properties that come along. Raises BadRequest."""
        body = self._json(f"{self._endpoint()}/v2/images/{self._image_id}")
        if body.get("status") != "active":
            raise BadRequest(f"Source image status should be active instead of {body.get('status')}")
        formats = (str(body.get("disk_format")), str(body.get("container_format")))
        if not isinstance(body.get("size"), int):
            raise BadRequest(f"Size attribute of remote image {self._image_id} could not be determined.")
        return formats, {
            name: value
            for name, value in body.items()
            if name.startswith(_COPIED) and isinstance(value, str) and not name.startswith(RESERVED_NAMESPACE)
        }

    def receive(self, staging: Staging) -> None:
        for chunk in self._get(f"{self._endpoint()}/v2/images/{self._image_id}/file"):
            if staging.size + len(chunk) > self._cloud.settings.image.image_size_cap:
                raise TooLarge("The incoming image is too large: Maximum image size exceeded.")
            staging.write(chunk)

    def _endpoint(self) -> str:
        catalog = self._json(f"{self._cloud.settings.url('identity')}/v3/auth/catalog")
        for service in catalog.get("catalog", ()):
            for endpoint in service.get("endpoints", ()) if service.get("type") == "image" else ():
                if endpoint.get("region_id") == self._region and endpoint.get("interface") == self._interface:
                    return str(endpoint["url"]).rstrip("/").removesuffix("/v2")
        raise BadRequest(f"No glance endpoint found for region {self._region}")

    def _json(self, url: str) -> dict[str, Any]:
        text = b""
        for chunk in self._get(url):
            text += chunk
            if len(text) > _DOCUMENT:
                raise BadRequest("The answer of the remote service is too large.")
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise BadRequest("The answer of the remote service can't be read.")
        return body

    def _get(self, url: str) -> Iterator[bytes]:
        lists = msgspec.structs.replace(
            self._cloud.settings.image.import_filter, allowed_schemes=["http", "https"], allowed_hosts=[],
            disallowed_hosts=[], allowed_ports=[], disallowed_ports=[], allowed_networks=["0.0.0.0/0", "::/0"],
        )  # fmt: skip
        try:
            yield from web.get(lists, url, headers={"X-Auth-Token": self._token}, redirects=0).data
        except web.WebError as error:
            raise BadRequest(str(error)) from error


def _key(cloud: Cloud) -> Fernet:
    return Fernet(secret.ensure(cloud.settings, "image-import.key").encode() + b"=")


def seal(cloud: Cloud, token: str) -> str:
    """A token that waits in the database for its work."""
    return _key(cloud).encrypt(token.encode()).decode()


def unseal(cloud: Cloud, sealed: str) -> str:
    with contextlib.suppress(InvalidToken):
        return _key(cloud).decrypt(sealed.encode()).decode()
    raise Fault("The token of the import can't be read any more.", status=400)
