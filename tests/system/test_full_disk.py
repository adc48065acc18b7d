"""A disk that is full, for real: Glance's own answers, nothing left behind, and what fits goes on working."""

from __future__ import annotations

import gzip
import http.client
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.cli import client, demo
from onestack.cli.client import Api
from tests.crashing import until
from tests.fakecloud import fake_cloud
from tests.image.stores import Web

MIB = 1 << 20
SIZE = {"images": 12, "second": 3}  # MiB
TABLE = """
[image]
image_import_plugins = ["image_decompression", "image_conversion"]
[image.stores.file]
type = "file"
[image.stores.second]
type = "file"
path = "STATE/second"
[image.import_filter]
allowed_ports = []
allowed_networks = ["127.0.0.0/8"]
"""


class Full:
    def __init__(self, state: Path, api: Api) -> None:
        self.state, self.api = state, api
        self.before = self.files()

    def files(self) -> set[Path]:
        return {file for name in SIZE for file in (self.state / name).rglob("*") if file.is_file()}

    def create(self, disk_format: str = "raw") -> str:
        body = {"name": "full", "disk_format": disk_format, "container_format": "bare"}
        return str(self.api.post("image", "/images", body)["id"])

    def show(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get("image", f"/images/{image_id}")
        return found

    def send(self, image_id: str, mib: int, where: str, *, chunked: bool = False) -> tuple[int, str]:
        address = urllib.parse.urlsplit(client.base_url(self.api.settings, "image")).netloc
        connection = http.client.HTTPConnection(address, timeout=120)
        headers = {"X-Auth-Token": self.api.token, "Content-Type": "application/octet-stream"}
        body = iter([b"\x01" * MIB] * mib) if chunked else b"\x01" * MIB * mib
        connection.request("PUT", f"/v2/images/{image_id}/{where}", body, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        words = answer.read().decode()
        connection.close()
        return answer.status, words

    def import_fails(self, image_id: str, body: dict[str, Any]) -> str:
        """What its task says; the image waits for data again and there is nothing of it."""
        self.api.post("image", f"/images/{image_id}/import", body)
        until(lambda: self.task(image_id)["status"] == "failure", 60, "the import has failed")
        shown = self.show(image_id)
        assert (shown["status"], shown["size"]) == ("queued", None)
        assert self.files() == self.before
        return str(self.task(image_id)["message"])

    def task(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get("image", f"/images/{image_id}/tasks")["tasks"][-1]
        return found


@pytest.fixture(scope="module")
def full() -> Iterator[Full]:
    with fake_cloud() as cloud:
        cloud.up()
        cloud.run("down")
        mounted = []
        with (cloud.state / "onestack.toml").open("a") as file:
            file.write(TABLE.replace("STATE", str(cloud.state)))
        try:
            for name, size in SIZE.items():
                folder = cloud.state / name
                folder.mkdir(exist_ok=True)
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(folder)], check=True)
                mounted.append(folder)
            api = demo.demo(cloud.up())
            api.authenticate()
            yield Full(cloud.state, api)
        finally:
            cloud.run("down")
            for folder in mounted:
                subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("where", ["file", "stage"])
def test_uploads(full: Full, where: str, chunked: bool) -> None:
    image = full.create()
    status, words = full.send(image, 16, where, chunked=chunked)
    assert (status, "Image storage media is full" in words) == (413, True)
    shown = full.show(image)
    assert (shown["status"], shown["size"], full.files()) == ("queued", None, full.before)
    assert full.send(image, 4, where, chunked=chunked)[0] == 204
    assert full.show(image)["size"] == 4 * MIB
    full.api.call("image", "DELETE", f"/images/{image}")
    until(lambda: full.files() == full.before, 30, "nothing is left")


def test_an_import_into_a_store_that_is_full(full: Full) -> None:
    image = full.create()
    assert full.send(image, 4, "stage")[0] == 204
    body = {"method": {"name": "glance-direct"}, "stores": ["file", "second"]}
    assert "Image storage media is full" in full.import_fails(image, body)
    assert full.send(image, 2, "file")[0] == 204
    full.api.call("image", "DELETE", f"/images/{image}")


def test_a_download_from_the_web_that_is_too_large(full: Full) -> None:
    with Web() as web:
        web.pages["/disk"] = b"\x01" * MIB * 16
        image = full.create()
        body = {"method": {"name": "web-download", "uri": f"{web.url}/disk"}}
        assert "Image storage media is full" in full.import_fails(image, body)
        web.pages["/disk"] = b"\x01" * MIB
        full.api.post("image", f"/images/{image}/import", body)
        until(lambda: full.show(image)["status"] == "active", 60, "what fits is imported")
        full.api.call("image", "DELETE", f"/images/{image}")


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_what_a_plugin_makes_is_too_large(full: Full, tmp_path: Path, kind: str) -> None:
    """A gzip file to unpack, and a compressed qcow2 to convert."""
    raw, packed = tmp_path / "raw", tmp_path / "packed"
    raw.write_bytes(b"\x01" * MIB * 16)
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, packed], check=True)
    with Web() as web:
        web.pages["/disk"] = gzip.compress(raw.read_bytes()) if kind == "raw" else packed.read_bytes()
        image = full.create(kind)
        body = {"method": {"name": "web-download", "uri": f"{web.url}/disk"}}
        assert "Image storage media is full" in full.import_fails(image, body)
        full.api.call("image", "DELETE", f"/images/{image}")
