"""API v1: images as headers, and members that may share on."""

from __future__ import annotations

import pytest

from onestack.image import imports, properties
from tests.conftest import OTHER_PROJECT, PROJECT

PATH = "/v1/images"
BYTES = {"Content-Type": "application/octet-stream"}
NOWHERE = "00000000-0000-4000-8000-0000000000ff"


class V1:
    def __init__(self, images) -> None:
        self.client, self.v2 = images.client, images

    def post(self, as_: str = "member", body: bytes | None = None, **meta: str):
        return self.client.post(PATH, as_=as_, headers=self.headers(meta, body), body=body)

    def put(self, image_id: str, as_: str = "member", body: bytes | None = None, **meta: str):
        more = {"X-Glance-Registry-Purge-Props": "false"} if meta.pop("keep", "") else {}
        return self.client.put(f"{PATH}/{image_id}", as_=as_, headers=self.headers(meta, body) | more, body=body)

    @staticmethod
    def headers(meta: dict[str, str], body: bytes | None) -> dict[str, str]:
        found = {"x-image-meta-" + name.replace("property_", "property-", 1): value for name, value in meta.items()}
        return found | (BYTES if body is not None else {})

    def create(self, as_: str = "member", body: bytes | None = None, **meta: str) -> dict:
        values = {"name": "i", "disk_format": "raw", "container_format": "bare"} | meta
        answer = self.post(as_, body, **values)
        assert answer.status_code == 201, answer.text
        return answer.json["image"]

    def names(self, query: str = "", as_: str = "member") -> list[str]:
        answer = self.client.get(PATH + query, as_=as_)
        assert answer.status_code == 200, answer.text
        return [image["name"] for image in answer.json["images"]]


@pytest.fixture
def v1(images) -> V1:
    return V1(images)


def test_register_then_upload(v1):
    image = v1.create(name="arch%20linux", min_ram="40", property_prop1="val1", is_public="False")
    assert (image["name"], image["status"], image["size"], image["min_ram"]) == ("arch linux", "queued", 0, 40)
    assert (image["is_public"], image["properties"], image["owner"]) == (False, {"prop1": "val1"}, PROJECT)
    assert v1.client.get(f"{PATH}/{image['id']}").status_code == 404, "there is no data yet"
    sent = v1.put(image["id"], body=b"0123456789").json["image"]
    assert (sent["status"], sent["size"], sent["properties"]) == ("active", 10, {"prop1": "val1"})
    again = v1.put(image["id"], body=b"other")
    assert (again.status_code, "Cannot upload to an unqueued image" in again.text) == (409, True)


def test_everything_is_in_the_headers(v1):
    image = v1.create(body=b"data", name="Z%C3%BCrich", property_os="li%0Anux", protected="True")
    head = v1.client.head(f"{PATH}/{image['id']}")
    assert head.status_code == 200
    assert head.headers["x-image-meta-name"].encode("latin-1").decode() == "Zürich"
    assert head.headers["x-image-meta-property-os"] == "li%0Anux", "a property can't add a header"
    assert (head.headers["x-image-meta-protected"], head.headers["x-image-meta-size"]) == ("True", "4")
    assert head.headers["etag"] == image["checksum"]
    got = v1.client.get(f"{PATH}/{image['id']}")
    assert (got.content, got.headers["x-image-meta-status"]) == (b"data", "active")
    assert got.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("meta", "status"),
    [
        ({"disk_format": "wrong"}, 400), ({"container_format": "wrong"}, 400), ({"nonsense": "x"}, 400),
        ({"container_format": "ami", "disk_format": "ari"}, 400), ({"size": "-1"}, 400), ({"min_disk": "x"}, 400),
        ({"min_ram": str(2**31)}, 400), ({"name": "n" * 256}, 400), ({"id": "nope"}, 400),
        ({"checksum": "c" * 33}, 400),
        ({"is_public": "True"}, 403), ({"location": "file:///etc/passwd"}, 400), ({"location": ""}, 400),
        ({"store": "s3"}, 400), ({"property_os_glance_x": "y"}, 403), ({"name": "a%00b"}, 400),
        ({f"property_p{number}": "v" for number in range(129)}, 413),
    ],
)  # fmt: skip
def test_bad_headers_are_refused(v1, meta, status):
    assert v1.post(**meta).status_code == status
    assert v1.names() == []


def test_bad_sources_are_refused(v1):
    for source in ("file:///etc/passwd", "swift+config://x", ""):
        answer = v1.client.post(PATH, headers={"x-glance-api-copy-from": source, "x-image-meta-disk_format": "raw"})
        assert answer.status_code == 400, source
    both = BYTES | {"x-glance-api-copy-from": "http://example.org/i"}
    assert "multiple image sources" in v1.client.post(PATH, headers=both, body=b"data").text
    assert v1.client.post(PATH, headers={"x-image-meta-name": "n"}, body=b"data").status_code == 400
    assert v1.post(body=b"data", name="n").status_code == 400, "formats first"
    assert v1.names() == []


def test_amazon_formats_are_the_same(v1):
    assert v1.create(disk_format="ami", container_format="ami")["disk_format"] == "ami"
    answer = v1.post(name="n", disk_format="aki")
    assert answer.json["image"]["container_format"] == "aki"


def test_data_that_is_not_what_was_promised_kills_the_image(v1):
    assert v1.post(body=b"data", name="n", disk_format="raw", container_format="bare", size="5").status_code == 400
    answer = v1.post(body=b"data", name="bad", disk_format="raw", container_format="bare", checksum="0" * 32)
    assert (answer.status_code, "did not match" in answer.text) == (400, True)
    assert v1.names() == [], "lists leave out what was killed"
    assert v1.names("?changes-since=2026-01-01T00:00:00Z") == ["bad"]
    assert v1.v2.files() == set()


def test_an_id_can_be_chosen_once(v1):
    assert v1.create(id=NOWHERE)["id"] == NOWHERE
    answer = v1.post(id=NOWHERE)
    assert (answer.status_code, f"An image with identifier {NOWHERE} already exists" in answer.text) == (409, True)


def test_update_purges_properties_unless_told_not_to(v1):
    image = v1.create(property_a="1", property_b="2")
    kept = v1.put(image["id"], name="new", property_a="3", keep="1").json["image"]
    assert (kept["name"], kept["properties"]) == ("new", {"a": "3", "b": "2"})
    assert v1.put(image["id"], property_c="4").json["image"]["properties"] == {"c": "4"}
    assert v1.put(image["id"], status="active").status_code == 403
    assert v1.put(image["id"], id=NOWHERE).status_code == 403
    assert v1.put(image["id"], is_public="True").status_code == 403
    assert v1.put(image["id"], as_="admin", is_public="True").json["image"]["is_public"] is True
    assert v1.put(image["id"], as_="other", name="theirs").status_code == 403
    assert v1.put(image["id"], owner=OTHER_PROJECT).json["image"]["owner"] == PROJECT
    active = v1.create(body=b"data")
    for meta in ({"size": "5"}, {"checksum": "0" * 32}, {"disk_format": "qcow2"}):
        assert v1.put(active["id"], **meta).status_code == 403, meta


def test_purging_leaves_what_is_glances_own(v1, cloud):
    """An import's marks tell how much is staged: a user who took them away would have room that isn't theirs."""
    image = v1.create(property_a="1")["id"]
    with cloud.db.write() as session:
        properties.set_property(session, image, imports.IMPORTING, "file")
    v1.put(image, name="n")
    shown = v1.v2.show(image).json
    assert (shown.get("a"), shown[imports.IMPORTING]) == (None, "file")


def test_delete(v1):
    image = v1.create(body=b"data", protected="true")
    refused = v1.client.delete(f"{PATH}/{image['id']}")
    assert (refused.status_code, "Image is protected" in refused.text) == (403, True)
    v1.put(image["id"], protected="false")
    assert v1.client.delete(f"{PATH}/{image['id']}", as_="other").status_code == 404
    gone = v1.client.delete(f"{PATH}/{image['id']}")
    assert (gone.status_code, gone.text) == (200, "")
    assert v1.v2.files() == set()
    for image_id in (image["id"], "-1", "", NOWHERE + "1"):
        assert v1.client.delete(f"{PATH}/{image_id}").status_code == 404


def test_lists(v1, cloud):
    for number, name in enumerate("abc"):
        cloud.clock.advance(60)
        v1.create(name=name, body=b"x" * (number + 1), property_kind=f"k{number}")
    v1.create("other", name="theirs")
    cloud.clock.advance(60)
    v1.create("admin", name="public", is_public="True")
    assert v1.names() == ["public", "c", "b", "a"]
    assert v1.names(as_="admin") == ["public"], "as anybody in that project would see it"
    assert sorted(v1.names("?is_public=None", as_="admin")) == ["a", "b", "c", "public", "theirs"]
    assert "public" not in v1.names("?is_public=false", as_="admin")
    assert v1.names("?sort_key=size&sort_dir=asc&size_min=2") == ["b", "c"]
    assert v1.names("?size_max=1&status=active") == ["a"]
    assert v1.names("?property-kind=k1") == ["b"]
    assert v1.names("?name=c&disk_format=raw&container_format=bare&protected=False") == ["c"]
    assert v1.names("?changes-since=2026-01-01T12:03:00Z") == ["public"]
    first = v1.client.get(PATH + "?limit=2").json["images"]
    assert set(first[0]) == {"id", "name", "disk_format", "container_format", "checksum", "size"}
    assert v1.names(f"?limit=2&marker={first[1]['id']}") == ["b", "a"]
    shown = v1.client.get(PATH + "/detail?name=b").json["images"][0]
    assert (shown["properties"], shown["deleted"], shown["created_at"]) == (
        {"kind": "k1"}, False, "2026-01-01T12:02:00.000000",
    )  # fmt: skip
    for query in ("limit=x", "limit=-1", "marker=x", f"marker={NOWHERE}", "sort_key=owner", "sort_dir=up",
                  "size_min=x", "size_max=-1", "is_public=maybe", "protected=x", "changes-since=x"):  # fmt: skip
        assert v1.client.get(f"{PATH}/detail?{query}").status_code == 400, query
    assert v1.client.head(PATH + "/detail").status_code == 405


def test_members(v1):
    image = v1.create(body=b"data", name="shared")
    path = f"{PATH}/{image['id']}/members"
    assert v1.client.get(f"{PATH}/{image['id']}", as_="other").status_code == 404
    added = v1.client.put(f"{path}/{OTHER_PROJECT}", json={"member": {"can_share": True}})
    assert (added.status_code, added.headers.get("content-type", "")) == (204, "")
    assert v1.client.get(path).json == {"members": [{"member_id": OTHER_PROJECT, "can_share": True}]}
    assert v1.client.get(f"{PATH}/{image['id']}", as_="other").content == b"data"
    assert v1.names(as_="other") == ["shared"], "v1 knows no acceptance"
    shared = v1.client.get(f"/v1/shared-images/{OTHER_PROJECT}", as_="other").json["shared_images"]
    assert shared == [{"image_id": image["id"], "can_share": True}]
    assert v1.client.get(f"/v1/shared-images/{OTHER_PROJECT}", as_="reader").json["shared_images"] == shared
    third = "3" * 32
    assert v1.client.put(f"{path}/{third}", as_="other").status_code == 204, "it may share on"
    v1.client.put(f"{path}/{OTHER_PROJECT}", json={"member": {"can_share": False}})
    assert v1.client.put(f"{path}/{'4' * 32}", as_="other").status_code == 404
    assert v1.client.delete(f"{path}/{third}", as_="other").status_code == 404
    exactly = {"memberships": [{"member_id": "5" * 32, "can_share": False}, {"member_id": third}]}
    assert v1.client.put(path, json=exactly).status_code == 204
    assert {row["member_id"] for row in v1.client.get(path).json["members"]} == {"5" * 32, third}
    assert v1.client.delete(f"{path}/{third}").status_code == 204
    missing = v1.client.delete(f"{path}/{third}")
    assert (missing.status_code, "Membership could not be found." in missing.text) == (404, True)
    assert v1.client.put(f"{PATH}/{NOWHERE}/members/{third}").status_code == 404
    for body in ({}, {"memberships": 5}, {"memberships": [{}]}, {"memberships": ["x"]}):
        assert v1.client.put(path, json=body).status_code == 400
    assert v1.client.put(f"{path}/{third}", json={"member": 5}).status_code == 400
    assert v1.client.put(path, json={"memberships": [{"member_id": str(n)} for n in range(129)]}).status_code == 413


def test_private_images_of_v2_can_be_shared(v1):
    image = v1.v2.create(visibility="private")
    assert v1.client.put(f"{PATH}/{image['id']}/members/{OTHER_PROJECT}").status_code == 204
    assert v1.v2.show(image["id"], "other").json["visibility"] == "shared"


def test_versions_are_negotiated(v1):
    image = v1.create()
    for version in ("v1.0", "v1.1"):
        assert v1.client.get(f"/{version}/images").json["images"][0]["id"] == image["id"]
    for version in ("v2.0", "v2.18"):
        assert v1.client.get(f"/{version}/images/{image['id']}").json["id"] == image["id"]
    media = {"Accept": "application/vnd.openstack.images-v2.3"}
    assert v1.client.get(f"/images/{image['id']}", headers=media).json["id"] == image["id"]
    assert v1.client.get("/images", headers={"Accept": media["Accept"] + "3"}).status_code == 300
    assert v1.client.get("/versions", headers=media).status_code == 200
    for path in ("/", "/v3/images", "/images", "/v2.19/images", "/v2.180/images"):
        answer = v1.client.get(path, as_=None)
        assert answer.status_code == 300
        assert {"v1.0", "v1.1", "v2.0"} <= {version["id"] for version in answer.json["versions"]}


def test_errors_are_v1s(v1):
    answer = v1.client.get(f"{PATH}/{NOWHERE}")
    assert answer.status_code == 404
    assert f"Image with identifier {NOWHERE} not found" in answer.text
    assert v1.client.get(PATH, as_=None).status_code == 401
