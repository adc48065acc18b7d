"""POST /v2/tasks: images that are made out of what is behind a URL."""

from __future__ import annotations

import pytest

from onestack.config import ImportFilter
from onestack.core.operations import Workers
from onestack.image import service
from tests.image.conftest import Images
from tests.image.stores import Web, with_image

ASKED = {"import_from": "http://127.0.0.1:1/x", "import_from_format": "raw", "image_properties": {
    "name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "public", "os": "linux", "tags": ["t"],
}}  # fmt: skip


@pytest.fixture
def web():
    with Web() as server:
        server.pages["/image"] = b"data"
        yield f"{server.url}/image"


@pytest.fixture
def images(cloud, client_of):
    with_image(
        cloud, import_filter=ImportFilter(allowed_ports=[], disallowed_ports=[22], allowed_networks=["127.0.0.0/8"])
    )
    client = client_of(service.build(cloud)["image"])
    cloud.db.create_all()
    return Images(client, cloud.settings.path("images"), Workers(cloud, cloud.runners))


def ask(images, as_="admin", **more):
    return images.client.post("/v2/tasks", as_=as_, json={"type": "import", "input": ASKED | more})


def done(images, answer):
    assert answer.status_code == 201, answer.text
    assert answer.json["status"] == "pending"
    path = f"/v2/tasks/{answer.json['id']}"
    assert answer.headers["Location"] == f"http://falconframework.org{path}"
    images.work()
    return images.client.get(path, as_="admin").json


def test_an_image_is_made(images, web):
    task = done(images, ask(images, import_from=web))
    image = images.show(task["result"]["image_id"]).json
    assert (task["status"], task["type"], task["input"]["import_from"]) == ("success", "import", web)
    assert (image["status"], image["size"], image["visibility"], image["os"], image["tags"]) == (
        "active", 4, "public", "linux", ["t"],
    )  # fmt: skip
    assert images.client.get(f"/v2/images/{image['id']}/file").content == b"data"


def test_what_fails_leaves_no_image(images):
    task = done(images, ask(images))
    assert (task["status"], task["result"]) == ("failure", None)
    assert task["message"]
    assert images.names(as_="admin") == []
    assert images.files() == set()


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"disk_format": "floppy", "container_format": "bare"}, "'floppy' is not one of"),
        ({"name": "n"}, "must be set prior to saving data"),
        ({"status": "active"}, "Attribute 'status' is read-only."),
        ([], "Input does not contain 'image_properties' field"),
    ],
)
def test_properties_that_no_image_has(images, web, properties, words):
    task = done(images, ask(images, import_from=web, image_properties=properties))
    assert (task["status"], words in task["message"]) == ("failure", True), task
    assert images.names(as_="admin") == []


def test_a_field_that_is_missing(images):
    answer = images.client.post("/v2/tasks", as_="admin", json={"type": "import", "input": {}})
    assert (answer.status_code, "Invalid location: None" in answer.text) == (400, True)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "", 7, "http://127.0.0.1:22/x"])
def test_where_nothing_is_imported_from(images, url):
    assert ask(images, import_from=url).status_code == 400
    assert images.client.get("/v2/tasks", as_="admin").json["tasks"] == []


@pytest.mark.parametrize("body", [{}, {"type": "import"}, {"type": "x", "input": {}}, {"type": "import", "input": []}])
def test_malformed_tasks(images, body):
    assert images.client.post("/v2/tasks", as_="admin", json=body).status_code == 400


def test_only_admins_make_tasks(images):
    assert ask(images, as_="member").status_code == 403


def test_pages_of_tasks(images):
    for _ in range(3):
        assert ask(images).status_code == 201
    path, seen = "/v2/tasks?limit=2", []
    while path:
        page = images.client.get(path, as_="admin").json
        seen += [task["id"] for task in page["tasks"]]
        path = page.get("next")
    assert len(set(seen)) == len(seen) == 3
    assert images.client.get("/v2/tasks?limit=0", as_="admin").json["tasks"] == []
    for limit, words in (("-1", "limit param must be positive"), ("x", "limit param must be an integer")):
        answer = images.client.get(f"/v2/tasks?limit={limit}", as_="admin")
        assert (answer.status_code, words in answer.text) == (400, True)
