"""Attacks on images that OpenStack's security advisories tell of, through every door. Nothing of them is left."""

from __future__ import annotations

import json

import msgspec
import pytest
import sqlalchemy as sa

from onestack.config import ImageStore
from onestack.core.errors import Conflict
from onestack.image import data, public, removal, store
from onestack.image.models import Image
from onestack.image.models_stores import ImageLocation
from tests.conftest import PERSONAS
from tests.image import hostile
from tests.image.conftest import BYTES, images_of, needs_qemu
from tests.image.stores import LOCAL, Web, with_image
from tests.image.test_v1 import V1

attacks = pytest.mark.parametrize("name", hostile.ATTACKS)


@pytest.fixture
def server():
    with Web() as found:
        yield found


@pytest.fixture
def images(cloud, client_of):
    stores = {
        "file": ImageStore(type="file"), "web": ImageStore(type="http"),
        "second": ImageStore(type="file", path=str(cloud.settings.path("second"))),
    }  # fmt: skip
    with_image(cloud, stores=stores, import_filter=LOCAL, show_multiple_locations=True)
    return images_of(cloud, client_of)


@pytest.fixture
def nothing_left(images, cloud):
    def check(image_id: str, status: str = "queued") -> None:
        assert images.files() == set()
        assert not [path for path in cloud.settings.path("second").rglob("*") if path.is_file()]
        with cloud.db.read() as session:
            assert session.scalars(sa.select(ImageLocation)).all() == []
            image = session.get(Image, image_id)
            assert (image.status, image.staged, image.checksum, image.boot_format) == (status, None, None, None)

    return check


def settings(cloud, **values):
    changed = msgspec.structs.replace(cloud.settings.image, **values)
    cloud.settings = msgspec.structs.replace(cloud.settings, image=changed)


@attacks
def test_uploaded(images, nothing_left, name):
    said, data, words = hostile.ATTACKS[name]
    image = images.create(disk_format=said)["id"]
    answer = images.upload(image, data)
    assert (answer.status_code, words in answer.text) == (415, True), answer.text
    nothing_left(image)


@attacks
def test_staged_and_imported(images, nothing_left, name):
    said, data, words = hostile.ATTACKS[name]
    image = images.create(disk_format=said)["id"]
    assert images.upload(image, data, where="stage").status_code == 204
    assert images.import_(image, "glance-direct", stores=["file", "second"]).status_code == 202
    task = images.task(image)
    assert (task["status"], words in task["message"]) == ("failure", True), task
    nothing_left(image)


@attacks
def test_downloaded_from_the_web(images, server, nothing_left, name):
    said, data, words = hostile.ATTACKS[name]
    server.pages["/evil"] = data
    image = images.create(disk_format=said)["id"]
    images.import_(image, "web-download", method={"uri": server.url + "/evil"})
    assert words in images.task(image)["message"]
    nothing_left(image)


@attacks
def test_uploaded_and_copied_with_v1(images, server, nothing_left, name):
    said, data, words = hostile.ATTACKS[name]
    v1 = V1(images)
    image = v1.create(disk_format=said)["id"]
    refused = v1.put(image, body=data)
    assert (refused.status_code, words in refused.text) == (415, True)
    nothing_left(image, "killed")
    server.pages["/evil"] = data
    headers = v1.headers({"name": "i", "disk_format": said, "container_format": "bare"}, None)
    answer = images.client.post("/v1/images", headers=headers | {"x-glance-api-copy-from": server.url + "/evil"})
    assert (answer.status_code, answer.json["image"]["status"]) == (201, "saving")
    images.work()
    nothing_left(answer.json["image"]["id"], "killed")


@attacks
def test_no_server_is_made_from_it(images, cloud, name):
    """What isn't inspected, because it isn't said to be a disk, is no disk either."""
    said, data, _ = hostile.ATTACKS[name]
    for formats in (
        {"disk_format": "ami", "container_format": "ami"},
        {"disk_format": said, "container_format": "ova"},
    ):
        image = images.active(data, **formats)
        with cloud.db.read() as session, pytest.raises(Conflict):
            public.boot_image(cloud, session, PERSONAS["member"], image["id"]).spec()


@needs_qemu
@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vdi", "vhd", "iso"])
def test_what_is_no_attack_is_taken(images, name):
    assert images.active(hostile.EVERY[name], disk_format=name)["status"] == "active"


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 510 + b"\x55\xaa" + b"EFI PART" + b"\xff" * 4096,  # a partition table that lies
        b"\xeb\x3c\x90MSDOS5.0" + b"\xff" * 499 + b"\x55\xaa",
        b"LUKS\xba\xbe\0\1" + b"\xff" * 4096,
    ],
)
def test_what_a_raw_disk_says_is_the_guests_business(images, cloud, content):
    image = images.active(content)
    assert image["virtual_size"] == len(content)
    with cloud.db.read() as session:
        assert public.boot_image(cloud, session, PERSONAS["member"], image["id"]).spec().disk_format == "raw"


@needs_qemu
def test_the_size_of_a_disk_is_what_qemu_makes_of_it(images):
    """A VHD that says one MiB, with a geometry that says more (CVE-2013-2096: a flavor is no bound to such a disk)."""
    data = hostile.vhd(application=b"vpc ", chs=(1000 << 16) | (16 << 8) | 63)
    assert images.active(data, disk_format="vhd")["virtual_size"] == 1000 * 16 * 63 * 512


@needs_qemu
def test_a_conversion_that_takes_too_much_is_refused(images, nothing_left):
    """CVE-2015-5162: four thousand million blocks on paper."""
    image = images.create(disk_format="vdi")["id"]
    data = hostile.vdi(size=63 << 40, blocks=(63 << 40) // hostile.MIB)
    assert images.upload(image, data).status_code == 415
    nothing_left(image)


FILES = ["file:///etc/passwd", "filesystem:///etc/passwd", "swift+config://x/y", "sheepdog://x", "rbd://a/b/c/d", "//x"]


@pytest.mark.parametrize("url", FILES)
def test_files_of_the_server_have_no_url(images, nothing_left, url):
    """CVE-2014-9493, CVE-2015-1195, CVE-2014-0162."""
    image = images.create()["id"]
    change = {"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}
    assert images.patch(image, change).status_code == 400
    replace = {"op": "replace", "path": "/locations", "value": [{"url": url, "metadata": {}}]}
    assert images.patch(image, replace).status_code == 400
    assert images.client.post(f"/v2/images/{image}/locations", json={"url": url}).status_code == 403
    assert images.import_(image, "web-download", method={"uri": url}).status_code == 400
    v1 = V1(images)
    assert v1.put(image, location=url).status_code == 400
    assert images.client.put(f"/v1/images/{image}", headers={"x-glance-api-copy-from": url}).status_code == 400
    nothing_left(image)


def test_the_status_is_nobodys_to_say(images, nothing_left):
    """CVE-2015-5251."""
    image = images.active()["id"]
    v1 = V1(images)
    for as_ in ("member", "admin"):
        assert v1.put(image, as_, status="queued").status_code == 403
        assert images.patch(image, {"op": "replace", "path": "/status", "value": "queued"}, as_=as_).status_code == 403
    assert v1.put(image, body=b"other").status_code == 409
    assert images.upload(image, b"other").status_code == 409
    assert images.client.get(f"/v2/images/{image}/file").content == b"data"
    images.client.delete(f"/v2/images/{image}")
    assert images.client.post("/v2/images", json={"name": "i", "status": "active"}).status_code == 403
    claimed = v1.create(status="active")["id"]
    nothing_left(claimed)


def test_data_is_not_exchanged_through_locations(images, server):
    """CVE-2016-0757."""
    server.pages["/other"] = b"other"
    image = images.active()["id"]
    assert images.patch(image, {"op": "remove", "path": "/locations/0"}).status_code == 403
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": []}).status_code == 403
    other = [{"url": server.url + "/other", "metadata": {}}]
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": other}).status_code == 400
    assert V1(images).put(image, location=server.url + "/other").status_code == 400
    assert images.upload(image, b"other").status_code == 409
    assert images.client.get(f"/v2/images/{image}/file").content == b"data"


def test_a_quota_is_no_less_for_who_deletes_while_saving(images, cloud, monkeypatch, nothing_left):
    """CVE-2014-9623, CVE-2014-9684, CVE-2015-1881, CVE-2015-5286."""
    settings(cloud, user_storage_quota="10B")
    kept = images.create()["id"]
    finish = store.Staging.finish

    def meanwhile(self):
        monkeypatch.setattr(store.Staging, "finish", finish)
        with cloud.db.write() as session:
            removal.forget(session, cloud, session.get_one(Image, kept))
        return finish(self)

    monkeypatch.setattr(store.Staging, "finish", meanwhile)
    assert images.upload(kept, b"123456").status_code == 410
    again = images.create()["id"]
    nothing_left(again)
    assert images.upload(again, b"1234567890").status_code == 204


def test_two_uploads_at_once_share_a_quota(images, cloud, monkeypatch):
    settings(cloud, user_storage_quota="10")
    first, second = images.create()["id"], images.create()["id"]
    finish = store.Staging.finish

    def meanwhile(self):
        monkeypatch.setattr(store.Staging, "finish", finish)
        other = store.Staging(cloud, second)
        other.write(b"123456")
        data.upload(cloud, second, other.path, other.finish(), "file")
        other.discard()
        return finish(self)

    monkeypatch.setattr(store.Staging, "finish", meanwhile)
    answer = images.upload(first, b"123456")
    assert answer.status_code == 413
    assert "Image exceeds the storage quota: The size of the data 6 will exceed the limit. 4 bytes" in answer.text
    assert images.show(first).json["status"] == "queued"
    assert images.files() == {second}


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_an_image_deleted_before_its_import_leaves_nothing(images, server, cloud, method):
    """CVE-2014-9684, CVE-2015-1881, CVE-2015-3289."""
    server.pages["/disk"] = b"data"
    image, other = images.create()["id"], images.create()["id"]
    if method == "glance-direct":
        images.upload(image, b"data", where="stage")
    body = {"method": {"name": method, "uri": server.url + "/disk"}}
    assert images.client.post(f"/v2/images/{image}/import", json=body).status_code == 202
    assert images.client.delete(f"/v2/images/{image}").status_code == 204
    images.work()
    assert images.files() == set()
    with cloud.db.read() as session:
        assert session.scalars(sa.select(ImageLocation)).all() == []
        assert session.scalars(sa.select(Image.id)).all() == [other]


def test_copies_count(images, cloud, server, nothing_left):
    """CVE-2016-8611."""
    server.pages["/disk"] = b"123456"
    settings(cloud, user_storage_quota="10")
    image = images.active(b"123456")["id"]
    assert images.import_(image, "copy-image", stores=["second"], as_="admin").status_code == 202
    task = images.task(image)
    assert (task["status"], "exceeds the storage quota" in task["message"]) == ("failure", True)
    assert images.show(image).json["stores"] == "file"
    assert images.files() == {image}
    change = {"op": "add", "path": "/locations/-", "value": {"url": server.url + "/disk", "metadata": {}}}
    assert images.patch(image, change).status_code == 413
    other = images.create()["id"]
    images.import_(other, "web-download", method={"uri": server.url + "/disk"})
    assert "exceeds the storage quota" in images.task(other)["message"]
    v1 = V1(images)
    headers = v1.headers({"name": "i", "disk_format": "raw", "container_format": "bare"}, None)
    copied = images.client.post("/v1/images", headers=headers | {"x-glance-api-copy-from": server.url + "/disk"})
    images.work()
    located = images.client.post("/v1/images", headers=headers | {"x-image-meta-location": server.url + "/disk"})
    assert located.status_code == 413
    assert images.client.delete(f"/v2/images/{image}").status_code == 204
    nothing_left(copied.json["image"]["id"], "killed")


def test_the_place_of_a_location_is_any_number(images, server):
    """Python reads no number of 5,000 digits."""
    server.pages["/disk"] = b"123456"
    image, place = images.create()["id"], f"/locations/{'9' * 5000}"
    for path, status in (("/locations/-", 200), (place, 400)):
        value = {"url": f"{server.url}/disk", "metadata": {}}
        assert images.patch(image, {"op": "add", "path": path, "value": value}).status_code == status
    other = {"url": f"{server.url}/disk?", "metadata": {}}
    assert images.patch(image, {"op": "add", "path": place, "value": other}).status_code == 200
    assert images.patch(image, {"op": "remove", "path": place}, as_="admin").status_code == 400


INSIDE = [
    "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://192.168.1.1:22/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_nobody_looks_around_inside_with_v1(images, server, nothing_left, url):
    """CVE-2017-7200, CVE-2026-34881: the answer is one, whatever is there, and a redirect leads nowhere else."""
    server.redirects["/there"] = url
    v1 = V1(images)
    headers = v1.headers({"name": "i", "disk_format": "raw", "container_format": "bare"}, None)
    for source in (url, server.url + "/there"):
        located = images.client.post("/v1/images", headers=headers | {"x-image-meta-location": source})
        assert (located.status_code, "does not pass filtering" in located.text) == (400, True)
        copied = images.client.post("/v1/images", headers=headers | {"x-glance-api-copy-from": source})
        images.work()
        task = images.task(copied.json["image"]["id"])
        assert (task["status"], "does not pass filtering" in task["message"]) == ("failure", True)
        nothing_left(copied.json["image"]["id"], "killed")


def test_v1_takes_images_from_the_web(images, server):
    server.pages["/disk"] = b"0123456789"
    v1 = V1(images)
    headers = v1.headers({"name": "i", "disk_format": "raw", "container_format": "bare", "property_a": "b"}, None)
    located = images.client.post("/v1/images", headers=headers | {"x-image-meta-location": server.url + "/disk"})
    image = located.json["image"]
    assert (located.status_code, image["status"], image["size"], image["properties"]) == (201, "active", 10, {"a": "b"})
    assert images.client.get(f"/v1/images/{image['id']}").content == b"0123456789"
    copied = images.client.post("/v1/images", headers=headers | {"x-glance-api-copy-from": server.url + "/disk"})
    images.work()
    assert images.client.get(f"/v1/images/{copied.json['image']['id']}").content == b"0123456789"
    kept = {name for name in images.files() if not name.startswith("cache/")}
    assert kept == {copied.json["image"]["id"]}, "a location stays where it is"
    assert images.client.delete(f"/v1/images/{image['id']}").status_code == 200
    assert "/disk" in server.pages
    queued = v1.create()["id"]
    assert v1.put(queued, location=server.url + "/disk").json["image"]["status"] == "active"
    missing = images.client.post("/v1/images", headers=headers | {"x-image-meta-location": server.url + "/none"})
    assert missing.status_code == 400


@pytest.mark.parametrize("data", [b"{" * 4096, json.dumps({"a": [[]] * 999}).encode(), b"\xff" * 4096])
def test_bodies_that_are_no_disk_are_bytes(images, data):
    image = images.active(data)
    assert images.client.get(f"/v2/images/{image['id']}/file", headers=BYTES).content == data
