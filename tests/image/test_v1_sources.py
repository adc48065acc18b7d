"""API v1: images whose data is on the web, copied or only named."""

from __future__ import annotations

import pytest

from onestack.config import ImageStore
from onestack.core.operations import Workers
from onestack.image import service
from tests.image.conftest import Images
from tests.image.stores import LOCAL, Web, with_image

META = {f"x-image-meta-{name}": value for name, value in (
    ("name", "n"), ("disk_format", "raw"), ("container_format", "bare"),
)}  # fmt: skip


@pytest.fixture
def server():
    with Web() as found:
        found.pages["/disk"] = b"data"
        yield found


@pytest.fixture
def images(cloud, client_of):
    stores = {
        "file": ImageStore(type="file", weight=1), "heavy": ImageStore(type="file", path="heavy", weight=9),
        "web": ImageStore(type="http"),
    }  # fmt: skip
    with_image(cloud, stores=stores, import_filter=LOCAL)
    client = client_of(service.build(cloud)["image"])
    cloud.db.create_all()
    return Images(client, cloud.settings.path("images"), Workers(cloud, cloud.runners))


def test_data_is_copied(images, server):
    answer = images.client.post("/v1/images", headers=META | {"x-glance-api-copy-from": f"{server.url}/disk"})
    assert (answer.status_code, answer.json["image"]["status"]) == (201, "saving")
    images.work()
    server.pages.clear()
    image = images.show(answer.json["image"]["id"]).json
    assert (image["status"], image["stores"]) == ("active", "file")
    assert images.client.get(f"/v1/images/{image['id']}").content == b"data"


def test_data_stays_where_it_is(images, server):
    answer = images.client.post("/v1/images", headers=META | {"x-image-meta-location": f"{server.url}/disk"})
    assert (answer.status_code, answer.json["image"]["status"], answer.json["image"]["size"]) == (201, "active", 4)
    image = images.show(answer.json["image"]["id"]).json
    assert (image["stores"], images.files()) == ("web", set())
    assert images.client.get(f"/v1/images/{image['id']}").content == b"data"


def test_nothing_there(images, server):
    answer = images.client.post("/v1/images", headers=META | {"x-image-meta-location": f"{server.url}/none"})
    assert (answer.status_code, images.names()) == (400, [])
    answer = images.client.post("/v1/images", headers=META | {"x-glance-api-copy-from": f"{server.url}/none"})
    images.work()
    assert images.show(answer.json["image"]["id"]).json["status"] == "killed"


def test_stores_are_shown_by_weight(images, cloud):
    image = images.active()["id"]
    images.import_(image, "copy-image", as_="admin", stores=["heavy"])
    assert images.show(image).json["stores"] == "heavy,file"
    assert cloud.settings.path("heavy").is_dir(), "a relative path is one below the state directory"
