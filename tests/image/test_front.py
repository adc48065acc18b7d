"""What Glance answers before there is an API, and to paths and methods that it doesn't have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.image.conftest import BYTES

NOWHERE = "11111111-2222-4333-8444-555555555555"
EMPTY = "text/html; charset=UTF-8"
JSON = {"Accept": "application/json"}


@pytest.mark.parametrize("path", ["/v2", "/v2.0", "/v2.18", "//v2", "/v2?limit=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_the_root_of_the_api_leads_to_itself(images, method, path):
    answer = images.client.request(method, path)
    assert (answer.status_code, answer.content) == (302, b"")
    assert answer.headers["location"].endswith("/v2/")
    assert answer.headers["content-type"] == "text/plain; charset=utf8"
    assert images.client.request(method, "/v2/").status_code == 404
    assert images.client.request(method, path, as_=None).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_versions_are_the_answer_to_any_method(images, method):
    for path in ("/", "/v9/images", "/v2.99/images", "/v2.19", "/images", "//", "/v2x"):
        answer = images.client.request(method, path, as_=None)
        assert (answer.status_code, answer.json["versions"][0]["id"]) == (300, "v2.18")
    for path in ("/versions", "/versions/", "/versions/x", "//versions"):
        answer = images.client.request(method, path, as_=None)
        assert (answer.status_code, answer.json["versions"][0]["id"]) == (200, "v2.18")


def test_the_accept_header_names_the_version(images):
    image = images.create()["id"]

    def ask(path, media):
        return images.client.get(path, headers={"Accept": f"application/vnd.openstack.images-{media}"})

    assert ask(f"/images/{image}", "v2.3").json["id"] == image
    assert ask(f"/v2/images/{image}", "v2.3").status_code == 404
    assert ask("/", "v2").status_code == 404
    for media in ("v9", "v2, */*", "", "v2/images"):
        assert ask(f"/v2/images/{image}", media).status_code == 300
    assert ask("/versions/x", "v9").status_code == 200
    assert ask("/healthcheck", "v2").text == "OK"


@pytest.mark.parametrize(
    ("accept", "kind", "begin"),
    [
        (None, "text/plain; charset=UTF-8", "OK"),
        ("garbage", "text/plain; charset=UTF-8", "OK"),
        ("*/*", "text/plain; charset=UTF-8", "OK"),
        ("image/png", "text/plain; charset=UTF-8", "OK"),
        ("text/html", "text/html; charset=UTF-8", "<HTML>"),
        ("text/html;q=0.3, application/json", "application/json", "{"),
    ],
)
def test_the_health_check(images, accept, kind, begin):
    headers = {"Accept": accept} if accept else {}
    for path in ("/healthcheck", "/healthcheck/", "/healthcheck/x", "//healthcheck"):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            answer = images.client.request(method, path, as_=None, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            assert answer.text.startswith(begin)
        head = images.client.head(path, as_=None, headers=headers)
        assert (head.status_code, head.content, head.headers.get("content-type")) == (204, b"", None)
    if begin == "{":
        assert json.loads(answer.text) == {"detailed": False, "reasons": ["OK"]}
    assert images.client.get("/healthcheckx", as_=None).status_code == 300


def test_options_are_allowed_everywhere(images):
    for path in ("/", "/v2", "/v2/images", f"/v2/images/{NOWHERE}", "/v2/nowhere", "/v9"):
        for token in ("member", None):
            answer = images.client.request("OPTIONS", path, as_=token)
            assert (answer.status_code, answer.content) == (200, b"")
            assert not {"content-type", "allow"} & set(answer.headers)
    assert images.client.request("OPTIONS", "/versions").json["versions"]


def test_a_slash_at_the_end_leads_nowhere(images):
    image = images.active()["id"]
    for method, path in (
        ("GET", "/v2/images/"), ("DELETE", f"/v2/images/{image}/"), ("GET", f"/v2/images/{image}/file/"),
        ("POST", "/v2/images/"), ("GET", "/v2/metadefs/namespaces/"), ("PUT", f"/v2/images/{image}/tags/"),
        ("POST", f"/v2/images/{image}/members/"), ("GET", "/v2/tasks/"), ("GET", "/v2/info/import//"),
    ):  # fmt: skip
        answer = images.client.request(method, path, as_="admin", headers=JSON)
        assert (answer.status_code, answer.json["message"].partition("<")[0]) == (
            404,
            "The resource could not be found.",
        )
    assert images.show(image).status_code == 200


def test_a_slash_at_the_end_is_as_good_as_none_in_version_1(images):
    images.active(name="a", visibility="private")
    for path in ("/v1/", "/v1/images/detail/", "/v1.1/images/detail/"):
        assert [image["name"] for image in images.client.get(path).json["images"]] == ["a"]
    assert images.client.get("/v1/images/").status_code == 404


def test_slashes_side_by_side_are_one(images):
    image = images.active(b"some data")["id"]
    assert images.client.get(f"//v2///images//{image}//file").content == b"some data"
    assert images.client.get("/v2//images").json["images"][0]["id"] == image


@pytest.mark.parametrize("path", [f"/v2/images/{NOWHERE}/tasks", "/v2/info/usage"])
def test_paths_that_keep_their_methods_to_themselves(images, path):
    for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD"):
        answer = images.client.request(method, path)
        assert (answer.status_code, answer.headers.get("allow")) == (404, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"a":', "Malformed JSON in request body."),
        (b"data", "Malformed JSON in request body."),
        (b"1", "Unexpected body type. Expected list/dict."),
        (b"null", "Unexpected body type. Expected list/dict."),
    ],
)
def test_a_body_is_read_before_the_method_is_refused(images, body, words):
    for method, path in (("PUT", "/v2/images"), ("DELETE", f"/v2/images/{NOWHERE}/file"), ("PATCH", "/v2/tasks")):
        answer = images.client.request(method, path, body=body, headers=BYTES | JSON)
        assert (answer.status_code, answer.json["message"].partition("<")[0]) == (400, words)
        assert images.client.request(method, path, body=body, headers=BYTES, as_=None).status_code == 401
        for good in (b"{}", b"[]", b""):
            assert images.client.request(method, path, body=good).status_code == 405
    assert images.client.put("/v1/images", body=body, headers=BYTES).status_code == 405


def test_bodies_that_nobody_asked_for_must_be_json(images):
    path = "/v2/metadefs/namespaces"
    images.client.post(path, as_="admin", json={"namespace": "n", "tags": [{"name": "t"}]})
    for part in ("tags", "objects", "properties"):
        for body in (b"x", b"1"):
            assert images.client.delete(f"{path}/n/{part}", as_="admin", body=body).status_code == 400
    assert images.client.get(f"{path}/n", as_="admin").json["tags"]
    assert images.client.delete(f"{path}/n/tags", as_="admin", body=b"[]").status_code == 204
    assert images.client.delete(f"{path}/n/properties/p", as_="admin", body=b"null").status_code == 400
    assert images.client.get("/v2/info/usage", body=b"x").status_code == 400
    assert images.client.get(path, body=b"x").status_code == 200


def test_null_is_no_empty_body(images):
    image = images.create(visibility="shared")["id"]

    def words(method, path, body, media="application/json", as_="member"):
        headers = {"Content-Type": media} | JSON
        answer = images.client.request(method, path, as_=as_, headers=headers, body=body)
        assert answer.status_code == 400
        return answer.json["message"].partition("<")[0]

    patch = "application/openstack-images-v2.1-json-patch"
    for body, expected in ((b"", "Body expected in request."), (b"null", "Unexpected body type. Expected list/dict.")):
        assert words("POST", f"/v2/images/{image}/members", body) == expected
        assert words("PATCH", f"/v2/images/{image}", body, patch) == expected
        assert words("POST", "/v2/tasks", body, as_="admin") == expected
    assert words("POST", "/v2/tasks", b"[1]", as_="admin") == "Task 'type' is required"


def test_the_type_of_what_is_empty(images):
    image = images.create()["id"]
    for answer in (
        images.upload(image, b"data"), images.client.put(f"/v2/images/{image}/tags/t"),
        images.client.post(f"/v2/images/{image}/actions/deactivate"), images.client.delete(f"/v2/images/{image}"),
    ):  # fmt: skip
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (204, b"", EMPTY)
    members = f"/v2/images/{images.create(visibility='shared')['id']}/members"
    images.client.post(members, json={"member": "p"})
    gone = images.client.delete(f"{members}/p")
    assert (gone.status_code, gone.headers.get("content-type")) == (204, None)
    refused = images.client.head(f"/v2/images/{image}", headers=JSON)
    assert (refused.status_code, refused.headers["content-type"], refused.content) == (405, EMPTY, b"")


def test_only_who_reads_a_query_minds_its_letters(images):
    image = images.active()["id"]
    for path in ("/v2/images", f"/v2/images/{image}/file", "/v2/metadefs/namespaces"):
        assert images.client.get(f"{path}?x=%ff").status_code == 400
    for path in ("/v2/info/stores", f"/v2/images/{image}", f"/v2/images/{image}/members"):
        assert images.client.get(f"{path}?x=%ff").status_code == 200


def test_media_types_as_they_were_sent(images):
    path = f"/v2/images/{images.create()['id']}/file"

    def words(media):
        answer = images.client.put(path, body=b"x", headers={"Content-Type": media} | JSON)
        assert answer.status_code == 415
        return answer.json["message"].replace("\n", " ")

    assert "media type text/a; b=c is not" in words("text/a; b=c")
    assert words("text/a; b=c").rstrip().endswith("Invalid content type text/a")
    assert "media type  is not" in words("")


def test_definitions_hold_no_letters_of_four_bytes(images):
    """In Glance's words, whatever is created or changed; a choice of values may have them."""
    wide = "\U0001f600"
    shape = {"title": "T", "type": "string"}
    path = "/v2/metadefs/namespaces"
    images.client.post(path, as_="admin", json={
        "namespace": "n", "objects": [{"name": "o"}], "properties": {"p": shape}, "tags": [{"name": "t"}],
    })  # fmt: skip

    def words(method, part, body):
        answer = images.client.request(method, path + part, as_="admin", headers=JSON, json=body)
        return answer.status_code, answer.json.get("message", "").partition("<")[0]

    for method, part, body, verb, what, field in (
        ("POST", "", {"namespace": "m", "objects": [{"name": wide}]}, "create", "namespace", "Name"),
        ("POST", "/n/objects", {"name": "x", "required": [wide]}, "create", "object", "Required"),
        (
            "PUT",
            "/n/objects/o",
            {"name": "o", "properties": {"q": shape | {"title": wide}}},
            "update",
            "object",
            "Title",
        ),
        ("POST", "/n/properties", shape | {"name": wide}, "create", "property", "Name"),
        ("PUT", "/n/properties/p", shape | {"name": "p", "description": wide}, "update", "property", "Description"),
        ("PUT", "/n/tags/t", {"name": wide}, "update", "tag", "Name"),
    ):
        expected = f"Couldn't {verb} metadata {what}: {field} can't contain 4 byte unicode characters."
        assert words(method, part, body) == (400, expected)
    assert words("PUT", "/n/properties/p", shape | {"name": "p", "enum": [wide]})[0] == 200


def test_an_object_that_was_just_made_shows_what_was_sent(images):
    path = "/v2/metadefs/namespaces"
    images.client.post(path, as_="admin", json={"namespace": "n"})
    empty: dict[str, Any] = {"required": [], "properties": {}}
    for sent in ({}, empty):
        made = images.client.post(f"{path}/n/objects", as_="admin", json={"name": f"o{len(sent)}"} | sent).json
        changed = images.client.put(
            f"{path}/n/objects/o{len(sent)}", as_="admin", json={"name": f"o{len(sent)}"} | sent
        )
        shown = images.client.get(f"{path}/n/objects/o{len(sent)}", as_="admin").json
        for answer in (made, changed.json):
            assert {name: answer[name] for name in empty if name in answer} == sent
        assert empty.items() <= shown.items()


def test_words_of_tasks(images):
    missing = images.client.get(f"/v2/tasks/{NOWHERE}", as_="admin", headers=JSON)
    assert (missing.status_code, missing.json["message"].partition("<")[0]) == (404, f"Could not find task {NOWHERE}")
    refused = images.client.delete(f"/v2/tasks/{NOWHERE}", as_="admin", headers=JSON)
    assert (refused.status_code, refused.json["message"][-20:]) == (405, "expires_at property.")
