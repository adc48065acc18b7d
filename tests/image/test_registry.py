"""The registry's port: API v1's images as JSON, under the rules of API v1."""

from __future__ import annotations

import json

import pytest

from onestack.config import ImageStore
from onestack.core.operations import Workers
from onestack.image import service
from tests.conftest import ADMIN_PROJECT, OTHER_PROJECT, PROJECT
from tests.image.conftest import Images
from tests.image.stores import LOCAL, Web, with_image

NOWHERE = "00000000-0000-4000-8000-0000000000ff"
FIELDS = {
    "id", "name", "disk_format", "container_format", "checksum", "size", "status", "owner", "is_public", "protected",
    "min_disk", "min_ram", "virtual_size", "created_at", "updated_at", "deleted", "deleted_at", "properties",
    "location", "location_data",
}  # fmt: skip
PURGE = {"X-Glance-Registry-Purge-Props": "true"}


@pytest.fixture
def server():
    with Web() as found:
        found.pages["/disk"] = b"data"
        yield found


class Registry:
    def __init__(self, client, images: Images) -> None:
        self.client, self.images = client, images

    def post(self, as_: str = "member", **image):
        return self.client.post("/images", as_=as_, json={"image": image})

    def create(self, as_: str = "member", **image) -> dict:
        answer = self.post(as_, **({"name": "i", "disk_format": "raw", "container_format": "bare"} | image))
        assert answer.status_code == 200, answer.text
        return answer.json["image"]

    def put(self, image_id: str, as_: str = "member", headers=None, from_state=None, **image):
        body = {"image": image} | ({} if from_state is None else {"from_state": from_state})
        return self.client.put(f"/images/{image_id}", as_=as_, headers=headers, json=body)

    def show(self, image_id: str, as_: str = "member"):
        return self.client.get(f"/images/{image_id}", as_=as_)

    def active(self, **values) -> str:
        return self.images.active(**values)["id"]


@pytest.fixture
def registry(cloud, client_of) -> Registry:
    with_image(
        cloud, stores={"file": ImageStore(type="file"), "web": ImageStore(type="http")}, import_filter=LOCAL,
        image_property_quota=3,
    )  # fmt: skip
    built = service.build(cloud)
    images = Images(client_of(built["image"]), cloud.settings.path("images"), Workers(cloud, cloud.runners))
    cloud.db.create_all()
    return Registry(client_of(built["image-registry"]), images)


def refused(answer, words: str, status: int) -> None:
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_what_is_registered_is_an_image_of_every_api(registry):
    image = registry.create(name="n", min_disk=1, min_ram=2, protected=True, properties={"a": "1"}, size=5)
    assert image.keys() == FIELDS
    assert (image["status"], image["owner"], image["is_public"], image["size"]) == ("queued", PROJECT, False, 5)
    assert (image["properties"], image["location"], image["location_data"]) == ({"a": "1"}, None, [])
    assert registry.show(image["id"]).json == {"image": image}
    assert registry.client.get("/images/detail").json == {"images": [image]}
    brief = registry.client.get("/images").json["images"][0]
    assert brief == {
        name: image[name] for name in ("id", "name", "disk_format", "container_format", "checksum", "size")
    }
    assert registry.client.get("/").json["images"] == [brief]
    v2 = registry.images.show(image["id"]).json
    assert (v2["a"], v2["min_ram"], v2["protected"], v2["visibility"]) == ("1", 2, True, "shared")
    assert registry.client.get(f"/v1/images/{image['id']}").status_code == 404, "it has no data"
    assert registry.images.upload(image["id"], b"data").status_code == 204
    shown = registry.show(image["id"]).json["image"]
    assert (shown["status"], shown["size"], len(shown["checksum"])) == ("active", 4, 32)


def test_an_id_is_taken_once(registry):
    assert registry.create(id=NOWHERE)["id"] == NOWHERE
    refused(registry.post(id=NOWHERE), f"Image with identifier {NOWHERE} already exists!", 409)


def test_update(registry):
    image = registry.create(properties={"a": "1", "b": "2"})["id"]
    changed = registry.put(image, name="new", min_ram=9, properties={"a": "3"}).json["image"]
    assert (changed["name"], changed["min_ram"], changed["properties"]) == ("new", 9, {"a": "3", "b": "2"})
    assert registry.put(image, headers=PURGE, properties={"c": "4"}).json["image"]["properties"] == {"c": "4"}
    other = {"X-Glance-Registry-Purge-Props": "True"}
    assert registry.put(image, headers=other).json["image"]["properties"] == {"c": "4"}, "only the very word purges"
    shown = registry.show(image).json["image"]
    again = registry.client.put(f"/images/{image}", json={"image": shown})
    assert {name for name in FIELDS if again.json["image"][name] != shown[name]} <= {"updated_at"}


def test_a_change_from_one_state_only(registry):
    image = registry.create()["id"]
    answer = registry.put(image, from_state="active", name="new")
    assert (answer.status_code, answer.text) == (409, "Image operation conflicts")
    assert answer.headers["content-type"].startswith("text/plain")
    assert registry.show(image).json["image"]["name"] == "i"
    assert registry.put(image, from_state="queued", name="new").status_code == 200


def test_delete(registry):
    image = registry.active(protected=True)
    refused(registry.client.delete(f"/images/{image}"), "is protected and cannot be deleted", 403)
    registry.put(image, protected=False)
    gone = registry.client.delete(f"/images/{image}").json["image"]
    assert (gone["id"], gone["deleted"], bool(gone["deleted_at"])) == (image, True, True)
    assert (registry.client.get("/images").json["images"], registry.images.files()) == ([], set())
    refused(registry.client.delete(f"/images/{image}"), "The resource could not be found.", 404)


# What must not be got around


@pytest.mark.parametrize("as_", ["member", "admin"])
def test_nobody_says_what_the_status_is(registry, as_):
    for status in ("active", "saving", "killed", "deleted", "deactivated"):
        refused(registry.post(as_, status=status), "Forbidden to modify 'status' of image.", 403)
    refused(registry.post(as_, status="nonsense"), "Invalid image status 'nonsense' for image.", 400)
    image = registry.active()
    for status in ("queued", "killed", "deactivated", "pending_delete"):
        refused(registry.put(image, as_, status=status), "Forbidden to modify 'status' of image.", 403)
    assert registry.put(image, as_, status="active").status_code == 200
    queued = registry.create()["id"]
    refused(registry.put(queued, as_, status="active", size=4, checksum="0" * 32), "'status'", 403)
    assert registry.show(queued).json["image"]["status"] == "queued"


def test_what_is_deactivated_stays_so(registry):
    image = registry.active()
    registry.images.client.post(f"/v2/images/{image}/actions/deactivate")
    refused(registry.put(image, status="active"), "Forbidden to modify 'status' of image.", 403)
    assert registry.put(image, name="n").json["image"]["status"] == "deactivated"


def test_data_is_what_was_uploaded(registry):
    image = registry.active()
    for values in ({"size": 5}, {"checksum": "0" * 32}, {"disk_format": "qcow2"}, {"id": NOWHERE}):
        refused(registry.put(image, **values), "Forbidden to modify", 403)
    shown = registry.show(image).json["image"]
    assert registry.put(image, size=4, checksum=shown["checksum"], disk_format="raw").status_code == 200


@pytest.mark.parametrize("url", ["file:///etc/passwd", "swift+config://a/b", "cinder://x", "http://", "rbd://a/b/c/d"])
def test_nobody_names_what_is_not_on_the_web(registry, url):
    ways = ({"location": url}, {"locations": [url]}, {"location_data": [{"url": url, "metadata": {}}]})
    queued = registry.create()["id"]
    active = registry.active()
    for way in ways:
        assert registry.post(disk_format="raw", container_format="bare", **way).status_code == 400
        assert registry.put(queued, "admin", **way).status_code == 400
        refused(registry.put(active, "admin", **way), "not in queued status", 400)
    assert len(registry.client.get("/images").json["images"]) == 2


def test_a_place_on_the_web(registry, server):
    url = f"{server.url}/disk"
    values = {"name": "w", "disk_format": "raw", "container_format": "bare"}
    image = registry.create(**values, status="active", location_data=[{"url": url, "metadata": {}}])
    assert (image["status"], image["size"], image["location"]) == ("active", 4, None), "a user isn't told where"
    shown = registry.show(image["id"], "admin").json["image"]
    assert (shown["location"], [one["url"] for one in shown["location_data"]]) == (url, [url])
    assert registry.client.get("/images/detail?is_public=None", as_="admin").json["images"][0] == shown
    assert registry.images.client.get(f"/v1/images/{image['id']}").content == b"data"
    kept = registry.client.put(f"/images/{image['id']}", as_="admin", json={"image": shown | {"name": "k"}})
    assert kept.json["image"]["name"] == "k", "what is there already isn't new"
    queued = registry.create(**values)["id"]
    assert registry.put(queued, location=url).json["image"]["status"] == "active"
    refused(registry.post(**values, locations=[url, url + "2"]), "multiple image sources", 400)
    refused(registry.post(name="n", location=url), "Disk format is not specified.", 400)
    refused(registry.post(**values, location=f"{server.url}/none"), "can't be read", 400)


def test_for_those_who_may_not_nothing_is_asked_of_the_web(registry, server):
    values = {"disk_format": "raw", "container_format": "bare", "location": f"{server.url}/disk"}
    assert registry.post("reader", **values).status_code == 403
    assert registry.put(registry.create()["id"], "reader", **values).status_code == 404
    meta = {f"x-image-meta-{name}": value for name, value in values.items()}
    assert registry.images.client.post("/v1/images", as_="reader", headers=meta).status_code == 403
    assert server.asked == []


def test_owners_are_changed_by_administrators(registry):
    assert registry.create(owner=OTHER_PROJECT)["owner"] == PROJECT
    image = registry.create("admin", owner=PROJECT)
    assert image["owner"] == PROJECT
    assert registry.put(image["id"], owner=OTHER_PROJECT).json["image"]["owner"] == PROJECT
    assert registry.put(image["id"], "admin", owner=OTHER_PROJECT).json["image"]["owner"] == OTHER_PROJECT
    assert registry.create("admin")["owner"] == ADMIN_PROJECT


def test_public_images_are_made_by_administrators(registry):
    assert registry.post(is_public=True).status_code == 403
    image = registry.create()["id"]
    assert registry.put(image, is_public=True).status_code == 403, "it is theirs, and they know it"
    assert registry.put(image, "admin", is_public=True).json["image"]["is_public"] is True
    refused(registry.put(image, "other", name="theirs"), "Access was denied to this resource.", 403)
    refused(registry.client.delete(f"/images/{image}", as_="other"), "Access was denied", 403)
    refused(registry.post(visibility="public"), "visibility is said by is_public here", 400)


def test_others_images_are_not_there(registry):
    image = registry.active()

    def refusals(image_id: str, as_: str) -> list:
        answers = [
            registry.put(image_id, as_, name="n"), registry.client.delete(f"/images/{image_id}", as_=as_),
            registry.put(image_id, as_, location="http://127.0.0.1:1/x"), registry.put(image_id, as_, from_state="x"),
        ]  # fmt: skip
        return [(answer.status_code, answer.text) for answer in answers]

    assert refusals(image, "other") == refusals(NOWHERE, "other")
    assert registry.put(image, "other", name="n").text == "Image not found"
    assert registry.show(image, "other").status_code == 404
    registry.client.put(f"/images/{image}/members/{OTHER_PROJECT}")
    assert registry.show(image, "other").json["image"]["id"] == image
    assert refusals(image, "other") == refusals(NOWHERE, "other"), "who only sees it may not change it"
    assert {status for status, _ in refusals(image, "reader")} == {404}
    assert registry.show(image).json["image"]["name"] == "i"


def test_limits(registry):
    many = dict.fromkeys("abcd", "v")
    refused(registry.post(properties=many), "Attempted: 4, Maximum: 3", 413)
    image = registry.create(properties={"x": "1", "y": "2"})["id"]
    refused(registry.put(image, properties={"a": "1", "b": "2"}), "Attempted: 4, Maximum: 3", 413)
    refused(registry.post(properties={"os_glance_x": "v"}), "Attribute 'os_glance_x' is reserved.", 403)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"image": 5}, {"image": []}, {"image": {"name": 5}}, {"image": {"name": "n" * 256}},
        {"image": {"min_disk": "1"}}, {"image": {"min_ram": True}}, {"image": {"min_ram": -1}},
        {"image": {"min_disk": 2**31}}, {"image": {"size": -5}}, {"image": {"size": 1.5}}, {"image": {"size": 2**70}},
        {"image": {"is_public": "yes"}}, {"image": {"protected": 1}}, {"image": {"properties": ["a"]}},
        {"image": {"properties": {"a": 5}}}, {"image": {"properties": {"": "v"}}},
        {"image": {"properties": {"p" * 256: "v"}}}, {"image": {"name": "a\x00b"}}, {"image": {"disk_format": "odd"}},
        {"image": {"disk_format": "ami", "container_format": "ari"}}, {"image": {"locations": "x"}},
        {"image": {"location": 5}}, {"image": {"location_data": [5]}}, {"image": {"location_data": [{}]}},
        {"image": {"owner": {}}}, {"image": {"id": "nope"}}, {"image": {}, "from_state": 5},
    ],
)  # fmt: skip
def test_bad_bodies(registry, body):
    image = registry.create()
    for method, path in (("POST", "/images"), ("PUT", f"/images/{image['id']}")):
        answer = registry.client.request(method, path, body=json.dumps(body))
        assert answer.status_code == 400, answer.text
    assert registry.client.get("/images/detail").json == {"images": [image]}


def test_no_json(registry):
    for method, path in (("POST", "/images"), ("PUT", f"/images/{NOWHERE}")):
        for body in ("", "{", "[]", "5", "\x00"):
            assert registry.client.request(method, path, body=body).status_code == 400, body


# Members


def test_members(registry):
    image = registry.active()
    path = f"/images/{image}/members"
    assert registry.client.put(f"{path}/{OTHER_PROJECT}", json={"member": {"can_share": True}}).status_code == 204
    assert registry.client.get(path).json == {"members": [{"member_id": OTHER_PROJECT, "can_share": True}]}
    shared = registry.client.get(f"/shared-images/{OTHER_PROJECT}", as_="other").json["shared_images"]
    assert shared == [{"image_id": image, "can_share": True}]
    third = "3" * 32
    assert registry.client.put(f"{path}/{third}", as_="other").status_code == 204, "it may share on"
    registry.client.put(f"{path}/{OTHER_PROJECT}", json={"member": {"can_share": False}})
    for method, where in (("PUT", f"{path}/{'4' * 32}"), ("DELETE", f"{path}/{third}")):
        answer = registry.client.request(method, where, as_="other")
        refused(answer, "No permission to share that image", 403)
    exactly = {"memberships": [{"member_id": third, "can_share": True}]}
    refused(registry.client.put(path, as_="other", json=exactly), "No permission to share that image", 403)
    assert registry.client.put(path, json=exactly).status_code == 204
    assert registry.client.get(path).json["members"] == [{"member_id": third, "can_share": True}]
    assert registry.client.delete(f"{path}/{third}").status_code == 204
    refused(registry.client.delete(f"{path}/{third}"), "Membership could not be found.", 404)
    assert registry.client.post(path, json={}).status_code == 405
    assert registry.client.get(f"{path}/{third}").status_code == 405
