"""A server is made from an image that is in an S3 store only: what its host gets, through the agents' socket."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.agent.client import Client
from onestack.agent.drivers.base import Unavailable
from onestack.agent.drivers.libvirt.images import ImageCache
from onestack.cli import demo
from onestack.cli.client import Api
from onestack.wire import ImageSpec
from tests.crashing import until
from tests.fakecloud import fake_cloud
from tests.image.stores import s3_server

pytestmark = [
    pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="the agent gives what it fetched to root"),
]  # fmt: skip
DATA = os.urandom((3 << 20) + 5)
TABLE = """
[image]
default_store = "far"
[image.stores.file]
type = "file"
[image.stores.far]
type = "s3"
endpoint = "{0.endpoint}"
bucket = "{0.bucket}"
access_key = "{0.access_key}"
secret_key = "{0.secret_key}"
"""


@pytest.fixture
def cloud() -> Iterator[tuple[Api, Any]]:
    """A client and the S3 server, which can be ended."""
    with fake_cloud() as made:
        made.up()
        made.run("down")
        server = s3_server()
        with (made.state / "onestack.toml").open("a") as file:
            file.write(TABLE.format(server.__enter__()))
        try:
            api = demo.demo(made.up())
            api.authenticate()
            yield api, server
        finally:
            server.__exit__(None, None, None)


def boot(api: Api, folder: Path) -> ImageSpec:
    """A server of a new image that is only in the S3 store."""
    body = {"name": "far", "disk_format": "raw", "container_format": "bare"}
    image = api.post("image", "/images", body)["id"]
    file = folder / "data"
    file.write_bytes(DATA)
    api.upload(image, file, lambda _: None)
    assert api.get("image", f"/images/{image}")["stores"] == "far"
    flavor = next(one["id"] for one in api.get("compute", "/flavors")["flavors"] if one["name"] == "m1.nano")
    server = {"name": "far", "imageRef": image, "flavorRef": flavor, "networks": "none"}
    made = api.post("compute", "/servers", {"server": server})["server"]["id"]
    until(lambda: api.get("compute", f"/servers/{made}")["server"]["status"] == "ACTIVE", 30, "the server is ACTIVE")
    return ImageSpec(
        id=image, disk_format="raw", size=len(DATA), virtual_size=len(DATA), os_hash_algo="sha512",
        os_hash_value=hashlib.sha512(DATA).hexdigest(),
    )  # fmt: skip


def test_a_host_gets_the_image_and_waits_while_the_store_is_away(cloud: tuple[Api, Any], tmp_path: Path) -> None:
    api, server = cloud
    client = Client(api.settings.root)
    first, second = boot(api, tmp_path), boot(api, tmp_path)
    cache = ImageCache(tmp_path, tmp_path, client)
    try:
        assert cache.ensure(first, lambda: False) == 0
        assert cache.path(first).read_bytes() == DATA
        part = cache.path(second).with_name(cache.path(second).name + ".part")
        part.write_bytes(DATA[: 1 << 20])  # an earlier try broke off
        server.__exit__(None, None, None)
        with pytest.raises(Unavailable):
            cache.ensure(second, lambda: False)
        assert part.stat().st_size == 1 << 20
    finally:
        client.close()
