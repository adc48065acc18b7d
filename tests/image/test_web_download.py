"""web-download and locations: nobody uses us as their hand in the operator's network."""

from __future__ import annotations

import hashlib
import socket

import msgspec
import pytest

from onestack.config import ImageStore, ImportFilter
from onestack.core import operations
from onestack.image import service, web
from tests.image.conftest import Images
from tests.image.stores import LOCAL, Web, with_image

DATA = b"0123456789" * 300000


@pytest.fixture
def server():
    with Web() as found:
        yield found


@pytest.fixture
def images(cloud, client_of):
    stores = {"file": ImageStore(type="file"), "web": ImageStore(type="http")}
    with_image(cloud, stores=stores, import_filter=LOCAL)
    client = client_of(service.build(cloud)["image"])
    cloud.db.create_all()
    return Images(client, cloud.settings.path("images"), operations.Workers(cloud, cloud.runners))


@pytest.mark.parametrize(
    "url",
    [
        "", None, "file:///etc/passwd", "ftp://example.org/x", "http://", "http://example.org:22/x", "gopher://x/",
        "http://user:word@example.org/", "http://example.org/a b", "http://example.org\\@127.0.0.1/", "http://[::1/",
        "http://example.org/\r\nHost: x", "//example.org/", "http://example.org:99999/",
    ],
)  # fmt: skip
def test_urls_that_never_pass(url):
    assert not web.allowed(ImportFilter(), url)


def test_the_lists():
    assert web.allowed(ImportFilter(), "https://example.org/x?a=b")
    assert not web.allowed(ImportFilter(allowed_schemes=["https"]), "http://example.org/")
    assert not web.allowed(ImportFilter(allowed_hosts=["example.org"]), "http://example.com/")
    assert web.allowed(ImportFilter(allowed_hosts=["Example.org"]), "http://EXAMPLE.ORG./")
    assert not web.allowed(ImportFilter(disallowed_hosts=["127.0.0.1"]), "http://0x7f000001/")
    assert not web.allowed(ImportFilter(disallowed_hosts=["127.0.0.1"]), "http://[::ffff:127.0.0.1]/")
    assert web.allowed(ImportFilter(allowed_ports=[], disallowed_ports=[22]), "http://example.org:8080/")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "2002:7f00:1::",
        "64:ff9b::a00:1", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not web.public(ImportFilter(), address)


def test_public_addresses_and_allowed_networks():
    assert web.public(ImportFilter(), "8.8.8.8")
    assert web.public(ImportFilter(), "2606:4700::1")
    assert web.public(ImportFilter(allowed_networks=["10.0.0.0/8"]), "10.1.2.3")
    assert not web.public(ImportFilter(allowed_networks=["10.0.0.0/8"]), "127.0.0.1")


def test_web_download(images, server):
    server.pages["/disk"] = DATA
    image = images.create()["id"]
    assert images.import_(image, "web-download", method={"uri": "file:///etc/passwd"}).status_code == 400
    assert images.import_(image, "web-download", method={"uri": 7}).status_code == 400
    assert images.import_(image, "web-download", method={"uri": server.url + "/disk"}).status_code == 202
    shown = images.show(image).json
    assert (shown["status"], shown["checksum"]) == ("active", hashlib.md5(DATA).hexdigest())
    assert images.client.get(f"/v2/images/{image}/file").content == DATA


def test_a_download_that_breaks_off_is_taken_up(images, server):
    server.pages["/disk"] = DATA
    server.cut["/disk"] = 1000
    image = images.create()["id"]
    images.import_(image, "web-download", method={"uri": server.url + "/disk"})
    assert images.show(image).json["checksum"] == hashlib.md5(DATA).hexdigest()
    assert server.asked == [("/disk", None), ("/disk", "bytes=1000-")]


def test_redirects_are_checked_each(images, server, cloud):
    server.pages["/disk"] = DATA
    server.redirects["/good"] = "/disk"
    server.redirects["/inside"] = "http://169.254.169.254/latest/meta-data/"
    server.redirects["/file"] = "file:///etc/passwd"
    server.redirects["/round"] = "/round"
    image = images.create()["id"]
    for path in ("/inside", "/file", "/round", "/none"):
        assert images.import_(image, "web-download", method={"uri": server.url + path}).status_code == 202
        assert images.show(image).json["status"] == "queued"
        assert images.task(image)["status"] == "failure"
    assert images.show(image).json["os_glance_failed_import"] == "file"
    images.import_(image, "web-download", method={"uri": server.url + "/good"})
    assert images.show(image).json["status"] == "active"
    assert images.show(image).json["os_glance_failed_import"] == ""


def test_a_name_that_means_an_address_inside(images, server, monkeypatch):
    """Resolved once, and every address counts."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **more):
        if host == "rebinding.example":
            return [*real("127.0.0.1", port, *args, **more), *real("10.0.0.1", port, *args, **more)]
        return real(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.pages["/disk"] = DATA
    image = images.create()["id"]
    uri = f"http://rebinding.example:{server.server_port}/disk"
    assert images.import_(image, "web-download", method={"uri": uri}).status_code == 202
    assert "does not pass filtering" in images.task(image)["message"]
    assert server.asked == []


def test_too_much_and_the_wrong_format(images, server, cloud):
    server.pages["/disk"] = DATA
    small = msgspec.structs.replace(cloud.settings.image, image_size_cap=1000)
    cloud.settings = msgspec.structs.replace(cloud.settings, image=small)
    image = images.create()["id"]
    images.import_(image, "web-download", method={"uri": server.url + "/disk"})
    assert "too large" in images.task(image)["message"]
    assert images.files() == set()


def test_add_a_location(images, server):
    server.pages["/disk"] = DATA
    url, sha = server.url + "/disk", hashlib.sha512(DATA).hexdigest()
    good = {"url": url, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": sha}}
    image = images.create()["id"]
    path = f"/v2/images/{image}/locations"
    assert images.client.post(path, json={}).status_code == 400
    for bad in (
        {"os_hash_algo": "sha512"},
        {"os_hash_algo": "x", "os_hash_value": sha},
        {"os_hash_algo": "sha512", "os_hash_value": "zz"},
        {"os_hash_algo": "md5", "os_hash_value": sha},
    ):
        assert images.client.post(path, json={"url": url, "validation_data": bad}).status_code == 400
    assert images.client.post(path, json={"url": "file:///etc/passwd"}).status_code == 403
    wrong = {"url": url, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "0" * 128}}
    assert images.client.post(path, json=wrong).status_code == 202
    images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["size"], shown["os_hash_algo"], shown["stores"]) == ("queued", None, None, "web")
    assert "not matched" in images.task(image)["message"]
    assert images.client.post(path, json=good).status_code == 202
    images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["size"], shown["os_hash_value"]) == ("active", len(DATA), sha)
    assert images.client.get(f"/v2/images/{image}/file").content == DATA
    assert images.client.post(path, json=good).status_code == 409
    assert images.client.get(path).status_code == 403
    held = images.client.get(path, as_="service").json
    assert held == [{"url": url, "metadata": {"store": "web"}}]


def test_a_location_without_a_hash_is_active_whatever_can_be_read(images, server):
    server.pages["/disk"] = DATA
    image, other = images.create()["id"], images.create()["id"]
    for one, cut in ((image, None), (other, 1000)):
        server.cut = {} if cut is None else {"/disk": cut}
        path = f"/v2/images/{one}/locations"
        assert images.client.post(path, json={"url": server.url + "/disk"}).status_code == 202
        images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["checksum"]) == ("active", hashlib.md5(DATA).hexdigest())
    shown = images.show(other).json
    assert (shown["status"], shown["size"], shown["os_hash_value"]) == ("active", len(DATA), None)
    assert images.task(other)["status"] == "success"


def test_where_no_location_may_be(images, cloud):
    refusing = msgspec.structs.replace(cloud.settings.image, import_filter=ImportFilter())
    cloud.settings = msgspec.structs.replace(cloud.settings, image=refusing)
    answer = images.client.post(f"/v2/images/{images.create()['id']}/locations", json={"url": "http://127.0.0.1:22/x"})
    assert (answer.status_code, "does not pass filtering" in answer.text) == (400, True)


@pytest.mark.parametrize("way", ["upload", "import", "location"])
def test_data_takes_the_place_of_a_location_that_came_to_nothing(images, server, way):
    server.pages |= {"/bad": b"bad!", "/good": b"good"}
    image = images.create()["id"]
    path = f"/v2/images/{image}/locations"
    wrong = {"os_hash_algo": "md5", "os_hash_value": "0" * 32}
    images.client.post(path, json={"url": server.url + "/bad", "validation_data": wrong})
    images.work()
    if way == "upload":
        assert images.upload(image, b"good").status_code == 204
    elif way == "import":
        images.import_(image, "web-download", method={"uri": server.url + "/good"})
    else:
        images.client.post(path, json={"url": server.url + "/good"})
        images.work()
    assert images.show(image).json["stores"] == ("web" if way == "location" else "file")
    assert len(images.client.get(path, as_="service").json) == 1
    assert images.client.get(f"/v2/images/{image}/file").content == b"good"


def test_nobody_names_a_file_of_ours(images, cloud):
    """Not even a service: file:// is no location that anybody may give."""
    image = images.create()["id"]
    secret = cloud.settings.path("db", "onestack.sqlite")
    path = f"/v2/images/{image}/locations"
    assert images.client.post(path, as_="service", json={"url": f"file://{secret}"}).status_code == 202
    images.work()
    assert images.show(image).json["status"] == "queued"
    assert images.task(image)["message"] == "Invalid location"


def test_locations_are_invisible_and_fixed_by_default(images, server):
    image = images.active()["id"]
    assert "locations" not in images.show(image).json
    value = {"url": server.url + "/disk", "metadata": {}}
    add = images.patch(image, {"op": "add", "path": "/locations/-", "value": value})
    assert (add.status_code, "add locations if locations are invisible" in add.text) == (403, True)
    assert images.patch(image, {"op": "remove", "path": "/locations/0"}).status_code == 403
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": [value]}).status_code == 403


def test_patch_of_locations(images, server, cloud):
    shown = msgspec.structs.replace(cloud.settings.image, show_multiple_locations=True, show_image_direct_url=True)
    cloud.settings = msgspec.structs.replace(cloud.settings, image=shown)
    server.pages |= {"/a": DATA, "/b": DATA, "/empty": b""}
    image = images.create()["id"]
    assert images.show(image).json["locations"] == []

    def add(url, as_="member", **more):
        value = {"url": url, "metadata": {"k": "v"}, **more}
        return images.patch(image, {"op": "add", "path": "/locations/-", "value": value}, as_=as_)

    for bad in ("file:///etc/passwd", "nonsense", server.url + "/none", server.url + "/empty", "swift://x/y"):
        assert add(bad).status_code == 400
    assert add(server.url + "/a", as_="other").status_code == 404
    sha = hashlib.sha512(DATA).hexdigest()
    wrong = {"os_hash_algo": "md5", "os_hash_value": sha}
    assert add(server.url + "/a", validation_data=wrong).status_code == 409
    answer = add(server.url + "/a", validation_data={"os_hash_algo": "sha512", "os_hash_value": sha})
    assert (answer.status_code, answer.json["status"]) == (200, "active")
    assert answer.json["direct_url"] == server.url + "/a"
    assert add(server.url + "/a").status_code == 400
    two = add(server.url + "/b").json["locations"]
    assert [one["url"] for one in two] == [server.url + "/a", server.url + "/b"]
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": two[:1]}).status_code == 400
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": []}).status_code == 403
    assert images.patch(image, {"op": "replace", "path": "/locations", "value": two[::-1]}).status_code == 200
    assert images.patch(image, {"op": "remove", "path": "/locations/0"}).status_code == 403
    assert images.patch(image, {"op": "remove", "path": "/locations/7"}, as_="admin").status_code == 400
    assert images.patch(image, {"op": "remove", "path": "/locations/0"}, as_="admin").status_code == 200
    assert images.patch(image, {"op": "remove", "path": "/locations/0"}, as_="admin").status_code == 403
    assert images.client.get(f"/v2/images/{image}/file").content == DATA


def test_without_secure_hash_the_word_of_the_client_is_taken(images, server, cloud):
    server.pages["/disk"] = DATA
    trusting = msgspec.structs.replace(cloud.settings.image, do_secure_hash=False)
    cloud.settings = msgspec.structs.replace(cloud.settings, image=trusting)
    image = images.create()["id"]
    told = {"os_hash_algo": "md5", "os_hash_value": "0" * 32}
    body = {"url": server.url + "/disk", "validation_data": told}
    assert images.client.post(f"/v2/images/{image}/locations", json=body).status_code == 202
    images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["size"], shown["checksum"]) == ("active", len(DATA), None)
    assert {name: shown[name] for name in told} == told
