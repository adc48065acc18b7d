"""How many properties, tags, members, locations and bytes: Glance's words, and nothing changed by what is refused."""

from __future__ import annotations

import msgspec
import pytest

from onestack.config import ConfigError, Settings, check, storage_bytes
from tests.image.test_attacks import images, server, settings  # noqa: F401
from tests.image.test_v1 import V1

WORDS = "The limit has been exceeded on the number of allowed image {}. Attempted: {}, Maximum: {}"


def refused(answer, noun, attempted, most):
    assert (answer.status_code, WORDS.format(noun, attempted, most) in answer.text) == (413, True), answer.text


def test_properties(images, cloud):  # noqa: F811
    settings(cloud, image_property_quota=2)
    v1 = V1(images)
    refused(images.client.post("/v2/images", json={"a": "1", "b": "2", "c": "3"}), "properties", 3, 2)
    refused(v1.post(name="n", property_a="1", property_b="2", property_c="3"), "properties", 3, 2)
    image = images.create(a="1", b="2")["id"]
    refused(images.patch(image, {"op": "add", "path": "/c", "value": "3"}), "properties", 3, 2)
    refused(v1.put(image, property_c="3", keep="yes"), "properties", 3, 2)
    assert "c" not in images.show(image).json
    assert images.patch(image, {"op": "remove", "path": "/a"}).status_code == 200
    assert images.patch(image, {"op": "add", "path": "/c", "value": "3"}).status_code == 200
    settings(cloud, image_property_quota=0)
    assert images.patch(image, {"op": "replace", "path": "/name", "value": "n"}).status_code == 200
    settings(cloud, image_property_quota=-1)
    assert len(images.create(**{f"p{number}": "" for number in range(200)})) > 200


def test_tags(images, cloud):  # noqa: F811
    settings(cloud, image_tag_quota=1)
    refused(images.client.post("/v2/images", json={"tags": ["a", "b"]}), "tags", 2, 1)
    refused(images.client.post("/v2/images", json={"tags": ["a", "a"]}), "tags", 2, 1)  # before it looks at them
    image = images.create(tags=["a"])["id"]
    answer = images.client.put(f"/v2/images/{image}/tags/b")
    refused(answer, "tags", 2, 1)
    assert f"Image tag limit exceeded for image {image}" in answer.text
    refused(images.patch(image, {"op": "replace", "path": "/tags", "value": ["b", "c"]}), "tags", 2, 1)
    assert images.show(image).json["tags"] == ["a"]
    assert images.client.put(f"/v2/images/{image}/tags/a").status_code == 204


def test_members(images, cloud):  # noqa: F811
    settings(cloud, image_member_quota=1)
    image = images.create(visibility="shared")["id"]
    path = f"/v2/images/{image}/members"
    assert images.client.post(path, json={"member": "one"}).status_code == 200
    refused(images.client.post(path, json={"member": "two"}), "members for this image", 2, 1)
    refused(images.client.put(f"/v1/images/{image}/members/two"), "members for this image", 2, 1)
    both = {"memberships": [{"member_id": "two"}, {"member_id": "three"}]}
    refused(images.client.put(f"/v1/images/{image}/members", json=both), "members for this image", 2, 1)
    assert [row["member_id"] for row in images.client.get(path).json["members"]] == ["one"]


def test_locations(images, cloud, server):  # noqa: F811
    settings(cloud, image_location_quota=1)
    server.pages |= {"/one": b"1234", "/two": b"1234"}
    image = images.create()["id"]
    given = [{"url": server.url + path, "metadata": {}} for path in ("/one", "/two")]
    refused(images.patch(image, {"op": "replace", "path": "/locations", "value": given}), "locations", 2, 1)
    assert images.show(image).json["status"] == "queued"
    assert images.patch(image, {"op": "add", "path": "/locations/-", "value": given[0]}).status_code == 200
    refused(images.patch(image, {"op": "add", "path": "/locations/-", "value": given[1]}), "locations", 2, 1)
    assert len(images.show(image).json["locations"]) == 1


def test_bytes(images, cloud):  # noqa: F811
    settings(cloud, user_storage_quota="10B")
    image, other = images.create()["id"], images.create()["id"]
    for where in ("file", "stage"):
        answer = images.upload(image, b"12345678901", where=where)
        assert answer.status_code == 413
        assert "Image exceeds the storage quota: The size of the data 11 will exceed the limit. 10" in answer.text
    assert images.files() == set()
    assert images.upload(image, b"123456", where="stage").status_code == 204
    assert images.upload(other, b"123456").status_code == 413, "what is staged counts"
    images.import_(image, "glance-direct")
    assert images.show(image).json["status"] == "active"
    assert images.upload(other, b"123456").status_code == 413
    assert images.upload(other, b"1234").status_code == 204
    assert images.client.delete(f"/v2/images/{image}").status_code == 204
    assert images.active(b"123456")["status"] == "active"
    assert images.active(b"12345678", as_="other")["status"] == "active", "each project has its own"


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("7", 7), ("7B", 7), ("2KB", 2048), ("1MB", 1 << 20), ("3GB", 3 << 30), ("1TB", 1 << 40)],
)
def test_sizes(text, count):
    assert storage_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "1 GB", "-1", "1.5GB", "1gb", "1PB", "1GB\n", "١"])
def test_sizes_that_are_none(text):
    image = msgspec.structs.replace(Settings().image, user_storage_quota=text)
    with pytest.raises(ConfigError, match="user_storage_quota"):
        check(Settings(image=image))
