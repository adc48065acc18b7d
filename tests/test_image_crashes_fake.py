"""The server is killed at every point of what is done with images' data.

A client that looks and asks again gets there each time, imports get there by themselves, the image has the bytes that
were sent, and after its delete there is nothing in the stores, in the tables and on the way.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import shutil
import sqlite3
import subprocess
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.cli import client, demo
from onestack.cli.client import Api, ApiError
from onestack.config import IMPORT_PLUGINS
from tests.crashing import Doom, until
from tests.fakecloud import doomed_cloud
from tests.image.stores import Web, in_bucket, s3_server

pytestmark = pytest.mark.slow
DATA = os.urandom((9 << 20) + 17)  # three blocks
SMALL = os.urandom(100_000)
SECONDS = 60
TABLE = """
[image]
[image.stores.file]
type = "file"
[image.stores.second]
type = "file"
path = "STATE/second"
[image.stores.web]
type = "http"
[image.stores.far]
type = "s3"
endpoint = "ENDPOINT"
bucket = "images"
access_key = "a"
secret_key = "s"
[image.import_filter]
allowed_ports = []
allowed_networks = ["127.0.0.0/8"]
"""
LEFT = {
    "image": "SELECT name FROM images",
    "location": "SELECT store || ' ' || object_key || ' ' || status FROM image_locations",
    "property": "SELECT name FROM image_properties WHERE image_id NOT IN (SELECT id FROM images)",
    "cached": "SELECT image_id FROM image_cache",
    "task": "SELECT id FROM image_jobs WHERE status IN ('pending', 'processing')",
    "operation": "SELECT action FROM operations WHERE finished_at IS NULL",
}


class ImageUser:
    """Does with images what a careful client does: when a connection breaks it looks, and asks again."""

    def __init__(self, doom: Doom) -> None:
        self.doom, self.settings = doom, doom.settings
        self.user: Api = demo.demo(self.settings)
        self.admin: Api = demo.admin(self.settings)
        for api in (self.user, self.admin):
            api.authenticate()
        self.before = self.left()

    def left(self) -> set[str]:
        """All rows and files of images."""
        with sqlite3.connect(f"file:{self.settings.path('db', 'onestack.sqlite')}?mode=ro", uri=True) as database:
            rows = [f"{what} {row[0]}" for what, query in LEFT.items() for row in database.execute(query)]
        folders = (self.settings.path("images"), self.settings.path("second"))
        files = [str(file) for folder in folders for file in folder.rglob("*") if file.is_file()]
        return {*rows, *files, *in_bucket(self.settings.image.stores["far"])}

    def show(self, image_id: str) -> dict[str, Any] | None:
        """None when there is no such image; asked again when the server dies meanwhile."""

        def shown() -> tuple[dict[str, Any] | None]:
            try:
                return (self.admin.get("image", f"/images/{image_id}"),)
            except ApiError as error:
                if error.status == 404:
                    return (None,)
                raise

        return until(shown, SECONDS, f"image {image_id} is shown")[0]

    def until_done(self, send: Callable[[], Any], done: Callable[[dict[str, Any] | None], bool], image_id: str) -> None:
        """`send` again and again until it was answered, or can be seen to have been done."""
        for _ in range(5):
            try:
                send()
                return
            except ApiError as error:
                if error.status:
                    raise
            if done(self.show(image_id)):
                return
        raise AssertionError(f"image {image_id} can't be brought on: {self.show(image_id)}")

    def create(self, disk_format: str = "raw") -> str:
        image_id = str(uuid.uuid4())
        body = {"id": image_id, "name": "doomed", "disk_format": disk_format, "container_format": "bare"}
        self.until_done(lambda: self.user.post("image", "/images", body), lambda image: image is not None, image_id)
        return image_id

    def send(
        self, image_id: str, data: bytes, where: str = "file", *, chunked: bool = False, store: str = "file"
    ) -> None:
        wanted = "active" if where == "file" else "uploading"

        def done(image: dict[str, Any] | None) -> bool:
            assert image is not None
            assert image["status"] in ("queued", wanted), image["status"]
            return bool(image["status"] == wanted)

        self.until_done(lambda: self._put(image_id, data, where, chunked, store), done, image_id)

    def _put(self, image_id: str, data: bytes, where: str, chunked: bool, store: str) -> None:
        connection = self._connection()
        headers = {"X-Auth-Token": self.user.token, "Content-Type": "application/octet-stream"}
        headers |= {"X-Image-Meta-Store": store} if where == "file" else {}
        body = (data[at : at + 65536] for at in range(0, len(data), 65536)) if chunked else data
        try:
            connection.request("PUT", f"/v2/images/{image_id}/{where}", body, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            words = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, "upload", str(error)) from error
        finally:
            connection.close()
        if answer.status != 204:
            raise ApiError(answer.status, "upload", words.decode(errors="replace"))

    def _connection(self) -> http.client.HTTPConnection:
        address = urllib.parse.urlsplit(client.base_url(self.settings, "image")).netloc
        return http.client.HTTPConnection(address, timeout=120)

    def import_(self, image_id: str, method: dict[str, Any], *, api: Api, **more: Any) -> None:
        body = {"method": method, **more}

        def taken(image: dict[str, Any] | None) -> bool:
            assert image is not None
            return "os_glance_importing_to_stores" in image

        self.until_done(lambda: api.post("image", f"/images/{image_id}/import", body), taken, image_id)

    def converges(self, image_id: str, data: bytes, stores: str) -> None:
        """Without anybody's help."""

        def there() -> bool:
            image = self.show(image_id)
            assert image is not None
            return image["status"] == "active" and image["stores"] == stores and "os_glance_import_task" not in image

        until(there, SECONDS, f"image {image_id} is active in {stores}")
        image = self.show(image_id)
        assert image is not None
        assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
        assert image.get("os_glance_failed_import", "") == ""
        assert self.download(image_id) == data

    def one_converted(self, image_id: str) -> None:
        """Servers are made from one object of the default store, which is there."""
        folder = self.settings.path("images", image_id[:2])

        def one() -> bool:
            rows = [row for row in self.left() if row.startswith(f"location file {image_id[:2]}/{image_id}-")]
            files = list(folder.glob(f"{image_id}-*"))
            return len(rows) == len(files) == 1 and rows[0].endswith(f"{files[0].name} converted")

        until(one, SECONDS, f"image {image_id} is converted")

    def download(self, image_id: str) -> bytes:
        """What broke off is taken up where it broke."""
        got, size = b"", 0
        for _ in range(10):
            headers = {"X-Auth-Token": self.user.token} | ({"Range": f"bytes={size}-"} if size else {})
            connection = self._connection()
            try:
                connection.request("GET", f"/v2/images/{image_id}/file", headers=headers)
                answer = connection.getresponse()
                assert answer.status == (206 if size else 200), answer.read()
                while chunk := answer.read1(1 << 20):
                    got += chunk
                if not answer.length:
                    return got
            except (OSError, http.client.HTTPException):
                self.show(image_id)
            finally:
                size = len(got)
                connection.close()
        raise AssertionError("the download breaks off each time")

    def delete(self, *image_ids: str) -> None:
        for image_id in image_ids:
            path = f"/images/{image_id}"
            self.until_done(
                lambda path=path: self.user.call("image", "DELETE", path), lambda image: image is None, image_id
            )
            assert self.show(image_id) is None
        until(lambda: self.left() == self.before, SECONDS, "nothing is left")


@pytest.fixture(scope="module")
def user() -> Iterator[ImageUser]:
    with s3_server() as far, doomed_cloud(TABLE.replace("ENDPOINT", far.endpoint)) as doom:
        yield ImageUser(doom)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as server:
        server.pages["/disk"] = SMALL
        yield server


@pytest.mark.parametrize("chunked", [False, True])
def test_upload_and_delete(user: ImageUser, chunked: bool) -> None:
    def life() -> None:
        image = user.create()
        user.send(image, DATA, chunked=chunked)
        user.converges(image, DATA, "file")
        user.delete(image)

    kept = [f"{when} FileStore.{what}" for when in ("before", "after") for what in ("put", "delete")]
    user.doom.at_every_point("server", life, wanted=["after Staging.write", "committed onestack.image", *kept])


def test_upload_into_s3_which_is_cached_when_it_is_read(user: ImageUser) -> None:
    def life() -> None:
        image = user.create()
        user.send(image, SMALL, store="far")
        user.converges(image, SMALL, "far")
        until(user.settings.path("images", "cache", image).exists, SECONDS, "the copy is in the cache")
        user.delete(image)

    user.doom.at_every_point("server", life, wanted=["S3Store.put", "S3Store.delete", "cache.run"])


def test_stage_and_import_into_two_stores(user: ImageUser) -> None:
    def life() -> None:
        image = user.create()
        user.send(image, SMALL, "stage")
        user.import_(image, {"name": "glance-direct"}, api=user.user, stores=["file", "second"])
        user.converges(image, SMALL, "file,second")
        user.delete(image)

    user.doom.at_every_point(
        "server", life, wanted=["before move", "after move", "after FileStore.put", "onestack.image.imports._finish"]
    )


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
@pytest.mark.parametrize("imported", [False, True])
def test_a_disk_that_is_converted_for_servers(user: ImageUser, tmp_path: Path, imported: bool) -> None:
    raw, disk = tmp_path / "disk", tmp_path / "disk.vmdk"
    raw.write_bytes(SMALL.ljust(1 << 20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, disk], check=True)
    data = disk.read_bytes()

    def life() -> None:
        image = user.create("vmdk")
        if imported:
            user.send(image, data, "stage")
            user.import_(image, {"name": "glance-direct"}, api=user.user, stores=["second", "far"])
        else:
            user.send(image, data, store="far")
        user.converges(image, data, "second,far" if imported else "far")
        user.one_converted(image)
        user.delete(image)

    points = ["before FileStore.put", "after FileStore.put", "after S3Store.put"]
    user.doom.at_every_point("server", life, wanted=points + ["imports._finish"] * imported)


@pytest.fixture
def with_plugins() -> Iterator[ImageUser]:
    table = TABLE.replace("[image]\n", f"[image]\nimage_import_plugins = {list(IMPORT_PLUGINS)}\n", 1)
    table += "[image.inject_metadata_properties]\ninject = {injected = 'yes'}\nignore_user_roles = []\n"
    with s3_server() as far, doomed_cloud(table.replace("ENDPOINT", far.endpoint)) as doom:
        yield ImageUser(doom)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_import_with_every_plugin(with_plugins: ImageUser, tmp_path: Path) -> None:
    """Unpacked, converted, given a property; into two stores."""
    user, disk = with_plugins, SMALL.ljust(1 << 20, b"\0")
    raw, vmdk = tmp_path / "disk", tmp_path / "disk.vmdk"
    raw.write_bytes(disk)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, vmdk], check=True)
    archive = gzip.compress(vmdk.read_bytes())

    def life() -> None:
        image = user.create("vmdk")
        user.send(image, archive, "stage")
        user.import_(image, {"name": "glance-direct"}, api=user.user, stores=["file", "second"])
        user.converges(image, disk, "file,second")
        shown = user.show(image) or {}
        assert (shown["disk_format"], shown["size"], shown["injected"]) == ("raw", len(disk), "yes")
        user.delete(image)

    points = ("before digest_of", "after digest_of", "before move", "after move", "imports._finish")
    user.doom.at_every_point("server", life, wanted=[*points, "onestack.image.plugins._done"])


def test_web_download(user: ImageUser, web: Web) -> None:
    def life() -> None:
        image = user.create()
        user.import_(image, {"name": "web-download", "uri": f"{web.url}/disk"}, api=user.user)
        user.converges(image, SMALL, "file")
        user.delete(image)

    user.doom.at_every_point("server", life, wanted=["after Staging.write", "after move", "imports._finish"])


def test_copy_image(user: ImageUser) -> None:
    def life() -> None:
        image = user.create()
        user.send(image, SMALL)
        user.import_(image, {"name": "copy-image"}, api=user.admin, stores=["second"])
        user.converges(image, SMALL, "file,second")
        user.delete(image)

    user.doom.at_every_point("server", life, wanted=["imports._to_store", "imports._finish"])


def test_a_location_is_added(user: ImageUser, web: Web) -> None:
    def life() -> None:
        image = user.create()
        body = {"url": f"{web.url}/disk", "validation_data": {}}
        path = f"/images/{image}/locations"

        def taken(shown: dict[str, Any] | None) -> bool:
            assert shown is not None
            return "os_glance_import_task" in shown or shown["status"] == "active"

        user.until_done(lambda: user.user.post("image", path, body), taken, image)
        until(lambda: (user.show(image) or {}).get("status") == "active", SECONDS, "the image is active")
        assert user.download(image) == SMALL
        user.delete(image)

    user.doom.at_every_point("server", life, wanted=["location_import.run"])


def test_a_download_that_breaks_off_is_taken_up(user: ImageUser) -> None:
    """The server dies while it sends: `used` commits nothing for a file, so the kill is ours."""
    image = user.create()
    user.send(image, DATA)
    connection = user._connection()
    connection.request("GET", f"/v2/images/{image}/file", headers={"X-Auth-Token": user.user.token})
    answer = connection.getresponse()
    got = answer.read(100_000)
    user.doom.arm("server", 1)
    other = user.create()  # its commit is the point
    assert user.doom.disarm("server")
    with contextlib.suppress(OSError, http.client.HTTPException):
        while chunk := answer.read1(1 << 20):
            got += chunk
    connection.close()
    assert len(got) < len(DATA)
    again = user._connection()
    headers = {"X-Auth-Token": user.user.token, "Range": f"bytes={len(got)}-"}
    again.request("GET", f"/v2/images/{image}/file", headers=headers)
    rest = again.getresponse()
    assert (rest.status, got + rest.read() == DATA) == (206, True)
    again.close()
    user.delete(other, image)
