"""Images: create, show, list, update, delete, tags, members, and who may do it."""

from __future__ import annotations

import json

import msgspec
import pytest
import sqlalchemy as sa

from onestack.config import IMPORT_METHODS
from onestack.image.models import Image
from tests.conftest import OTHER_PROJECT, PERSONAS, PROJECT

NOWHERE = "00000000-0000-4000-8000-0000000000ff"


def test_create_and_show(images):
    image = images.create(name="cirros", os_distro="cirros", tags=["a", "b"], min_disk=1)
    assert image["status"] == "queued"
    assert image["visibility"] == "shared"
    assert (image["owner"], image["size"], image["os_distro"], image["tags"]) == (PROJECT, None, "cirros", ["a", "b"])
    assert image["file"] == f"/v2/images/{image['id']}/file"
    assert images.show(image["id"]).json == image


@pytest.mark.parametrize("status", ["bogus", 1, None])
def test_status_of_an_unknown_member_is_not_looked_at(images, status):
    path = f"/v2/images/{images.create(name='shared')['id']}/members/nobody"
    assert images.client.put(path, as_="member", json={"status": status}).status_code == 404


def test_hashes_given_at_create_are_forgotten(images):
    image = images.create(name="hashed", os_hash_algo="md5", os_hash_value="abc")
    assert (image["os_hash_algo"], image["os_hash_value"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"disk_format": "floppy"}, 400), ({"visibility": "secret"}, 400), ({"min_ram": -1}, 400), ({"x": 5}, 400),
        ({"min_disk": 2**40}, 400), ({"id": "1"}, 400), ({"name": "n" * 256}, 400), ({"protected": "yes"}, 400),
        ({"tags": "a"}, 400), ({"min_ram": True}, 400), ({"status": "active"}, 403), ({"size": 5}, 403),
        ({"deleted": "x"}, 403), ({"os_glance_x": "y"}, 403), ({"visibility": "public"}, 403),
        ({"owner": OTHER_PROJECT}, 403), ({"self": "/x"}, 403), ({f"p{i}": "v" for i in range(129)}, 413),
        ({"tags": [str(i) for i in range(129)]}, 413), ({"x": None}, 400), ({"name": None}, 201), ({"": "v"}, 201),
    ],
)  # fmt: skip
def test_create_checks(images, body, status):
    assert images.client.post("/v2/images", json=body).status_code == status


def test_an_id_can_be_chosen_once(images):
    assert images.create(id=NOWHERE)["id"] == NOWHERE
    assert images.client.post("/v2/images", json={"id": NOWHERE}).status_code == 409


HTML, JSON, PLAIN = "text/html; charset=UTF-8", "application/json", "text/plain; charset=UTF-8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", PLAIN), ("*/*", HTML), ("application/json", JSON), ("text/html", HTML), ("text/plain", PLAIN),
        ("application/*", JSON), ("text/*", HTML), ("application/json, text/html", HTML), ("a/b", PLAIN),
        ("text/html;q=0.5, application/json", JSON), ("application/json;q=0.5, text/html", HTML),
        ("*/*;q=0.1, application/json", JSON), ("image/png, */*;q=0.5", HTML), ("garbage", HTML), ("TEXT/HTML", HTML),
        ("*/*, text/html;q=0", JSON), ("application/json;version=1", PLAIN), (', application/json;a="b,c",', PLAIN),
        ("application/json;q=7", HTML),
    ],
)  # fmt: skip
def test_errors_are_what_the_client_likes_best(images, accept, kind):
    answer = images.client.get(f"/v2/images/{NOWHERE}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)


def test_errors_as_pages_json_and_text(images):
    def body(accept):
        change = [{"op": "remove", "path": "/x<y>&'é"}]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch", "Accept": accept}
        return images.client.patch(path, headers=headers, body=json.dumps(change)).text

    path = f"/v2/images/{images.create()['id']}"
    words = "There was a conflict when trying to complete your request.<br /><br />\nProperty {} does not exist.\n\n"
    assert json.loads(body("application/json")) == {
        "message": words.format("x<y>&'é"), "code": "409 Conflict", "title": "Conflict",
    }  # fmt: skip
    assert body("text/html") == (
        "<html>\n <head>\n  <title>409 Conflict</title>\n </head>\n <body>\n  <h1>409 Conflict</h1>\n  "
        f"{words.format('x&lt;y&gt;&amp;&#x27;&#233;')}\n </body>\n</html>"
    )
    assert body("text/plain") == (
        "409 Conflict\n\nThere was a conflict when trying to complete your request.\n\n Property x&'é does not exist.  "
    )


def test_a_method_that_a_path_has_not(images):
    for method, path, allowed in (
        ("POST", f"/v2/images/{NOWHERE}", {"GET", "PATCH", "DELETE"}),
        ("HEAD", f"/v2/images/{NOWHERE}", {"GET", "PATCH", "DELETE"}),
        ("PUT", "/v2/metadefs/namespaces", {"GET", "POST"}),
    ):
        answer = images.client.request(method, path, headers={"Accept": "application/json"})
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.json["message"] == "The method PUT is not allowed for this resource. <br /><br />\n"


def test_without_a_token_nothing_is_told(images):
    for method, path in (("GET", "/v2/nowhere"), ("POST", f"/v2/images/{NOWHERE}"), ("GET", f"/v2/images/{NOWHERE}")):
        answer = images.client.request(method, path, as_="", headers={"Accept": "application/json"})
        assert answer.status_code == 401
        assert answer.json["code"] == "401 Unauthorized"
        assert "x-openstack-request-id" not in answer.headers
        assert answer.headers["www-authenticate"].startswith("Keystone uri=")


def test_a_body_that_is_not_expected(images):
    path = f"/v2/images/{images.create()['id']}"
    assert images.client.get(path, json={"a": 1}).status_code == 400
    assert images.client.request("DELETE", path, json={"a": 1}).status_code == 400
    assert images.client.get("/v2/images", json={"a": 1}).status_code == 200
    assert images.show(path.rpartition("/")[2]).status_code == 200


def test_readers_read_and_nobody_sees_nothing(images):
    image = images.create()
    assert images.show(image["id"], "reader").status_code == 200
    assert images.client.post("/v2/images", as_="reader", json={}).status_code == 403
    assert images.patch(image["id"], {"op": "replace", "path": "/name", "value": "x"}, as_="reader").status_code == 403
    assert images.show(image["id"], "nobody").status_code == 404
    assert images.show(image["id"], "other").status_code == 404


def test_patch(images):
    image = images.create(colour="red")
    answer = images.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/size_of~1it", "value": "big"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/tags", "value": ["x", "x", "y"]},
        {"op": "replace", "path": "/min_ram", "value": 64},
    )
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["size_of/it"], answer.json["min_ram"]) == ("new", "big", 64)
    assert answer.json["tags"] == ["x", "y"]
    assert "colour" not in answer.json
    assert images.show(image["id"]).json == answer.json


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/id", "value": NOWHERE}, 403),
        ({"op": "replace", "path": "/status", "value": "x"}, 403),
        ({"op": "remove", "path": "/name"}, 403), ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409), ({"op": "add", "path": "/n", "value": 5}, 400),
        ({"op": "add", "path": "n", "value": "5"}, 400), ({"op": "add", "path": "/a/b", "value": "5"}, 400),
        ({"op": "move", "path": "/n", "value": "5"}, 400), ({"op": "add", "path": "/n"}, 400), ({"path": "/n"}, 400),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403), ("x", 400),
        ({"op": "replace", "path": "/owner", "value": OTHER_PROJECT}, 403),
        ({"op": "add", "path": "/~2", "value": ""}, 400),
        ({"op": "replace", "path": "/locations", "value": []}, 403), ({"op": "add", "path": 5, "value": ""}, 400),
        ({"op": "replace", "path": "/min_disk", "value": None}, 400),
    ],
)  # fmt: skip
def test_patch_checks(images, change, status):
    image = images.create()
    both = ({"op": "replace", "path": "/name", "value": "changed"}, change)
    assert images.patch(image["id"], *both).status_code == status
    assert images.show(image["id"]).json["name"] == "i", "all changes or none"


def test_patch_wants_its_media_type(images):
    image = images.create()
    answer = images.client.patch(f"/v2/images/{image['id']}", json=[])
    assert answer.status_code == 415
    assert "openstack-images-v2.1-json-patch" in answer.headers["accept-patch"]


def test_protected_images_stay(images):
    image = images.create(protected=True)
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 403
    images.patch(image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 204
    assert images.show(image["id"]).status_code == 404


def test_public_images_are_seen_by_all_and_changed_by_few(images):
    image = images.create("admin", visibility="public")
    assert images.show(image["id"], "other").status_code == 200
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 403


def test_list_filters(images, cloud):
    for number, name in enumerate(("a", "b", "c,d")):
        cloud.clock.advance(60)
        images.create(name=name, min_ram=number, tags=[name, "all"], kind=f"k{number}")
    images.create(name="hidden", os_hidden=True)
    images.create("other", name="theirs")
    images.create("other", name="community", visibility="community")
    cloud.clock.advance(60)
    images.create("admin", name="public", visibility="public")
    cloud.clock.advance(60)
    big = images.active(b"x" * 5000, name="big")
    assert images.names() == ["big", "public", "c,d", "b", "a"]
    assert images.names("?os_hidden=true") == ["hidden"]
    assert images.names("?visibility=community") == ["community"]
    assert images.names("?visibility=public") == ["public"]
    assert sorted(images.names("?visibility=all", as_="admin")) == sorted(
        ["a", "b", "c,d", "theirs", "community", "public", "big"]
    )
    assert images.names("?name=in:%22c,d%22,a") == ["c,d", "a"]
    assert images.names("?tag=all&tag=b") == ["b"]
    assert images.names("?kind=k2") == ["c,d"]
    assert images.names("?status=active") == ["big"]
    assert images.names("?size_min=5000") == ["big"]
    assert images.names("?size_max=4999") == []
    assert images.names(f"?owner={PROJECT}&min_ram=1") == ["b"]
    first = images.client.get("/v2/images?name=a").json["images"][0]["created_at"]
    assert images.names(f"?created_at=lte:{first}") == ["a"]
    assert "a" not in images.names(f"?created_at=gt:{first}")
    assert images.names(f"?checksum={big['checksum']}") == ["big"]


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "marker=nope", "sort_key=owner", "sort_dir=up", "sort=name:up", "visibility=x",
     "member_status=x", "size_min=x", "created_at=gt:yesterday", "changes-since=1", "name=in:%22a", "protected=x",
     "name=neq:a", "status=gt:active", "protected=True",
     "sort=name&sort_key=id", "sort_key=name&sort_dir=asc&sort_dir=desc", "name=a:b", "name=in:a%22b%22",
     "name=in:%22a%22b", "created_at=foo:2020-01-01", "member_status=", "name=%ff"],
)  # fmt: skip
def test_bad_queries_are_400(images, query):
    assert images.client.get("/v2/images?" + query).status_code == 400


def test_pages_by_links(images, cloud):
    for name in "edcba":
        cloud.clock.advance(1)
        images.create(name=name)
    path, seen = "/v2/images?limit=2&sort=disk_format:desc,name:asc", []
    while path:
        page = images.client.get(path).json
        seen += [image["name"] for image in page["images"]]
        path = page.get("next")
    assert seen == list("abcde")
    assert images.names("?sort_key=name&sort_dir=desc&limit=1") == ["e"]
    assert images.names("?sort=size:asc,name:asc") == list("abcde")
    assert images.names("?limit=0") == []


def test_lists_cost_a_constant_number_of_queries(images, cloud):
    def count():
        statements = []
        listener = lambda *args: statements.append(args[2])  # noqa: E731
        sa.event.listen(cloud.db.engine, "before_cursor_execute", listener)
        images.names("?limit=1000")
        sa.event.remove(cloud.db.engine, "before_cursor_execute", listener)
        return len(statements)

    images.create(tags=["t"], p="v")
    few = count()
    for _ in range(20):
        images.create(tags=["t"], p="v")
    assert count() == few


def test_tags(images):
    image = images.create()
    path = f"/v2/images/{image['id']}/tags/"
    assert images.client.put(path + "blue").status_code == 204
    assert images.client.put(path + "blue").status_code == 204
    assert images.show(image["id"]).json["tags"] == ["blue"]
    assert images.client.put(path + "x", as_="other").status_code == 404
    assert images.client.delete(path + "blue").status_code == 204
    assert images.client.delete(path + "blue").status_code == 404
    assert images.client.put(path + "t" * 256).status_code == 400


def test_members(images):
    image = images.create(name="shared")
    path = f"/v2/images/{image['id']}/members"
    assert images.show(image["id"], "other").status_code == 404
    made = images.client.post(path, json={"member": OTHER_PROJECT})
    assert (made.status_code, made.json["status"]) == (200, "pending")
    assert images.client.post(path, json={"member": OTHER_PROJECT}).status_code == 409
    assert images.show(image["id"], "other").status_code == 200
    assert images.names(as_="other") == []
    assert images.names("?member_status=pending", as_="other") == ["shared"]
    mine = f"{path}/{OTHER_PROJECT}"
    assert images.client.put(mine, json={"status": "accepted"}).status_code == 403, "only the member decides"
    assert images.client.put(mine, as_="other", json={"status": "maybe"}).status_code == 400
    assert images.client.put(mine, as_="other", json={"status": "accepted"}).json["status"] == "accepted"
    assert images.names(as_="other") == ["shared"]
    assert images.client.get(path, as_="other").json["members"][0]["member_id"] == OTHER_PROJECT
    assert images.client.get(mine).json["status"] == "accepted"
    assert images.client.delete(mine, as_="other").status_code == 403
    assert images.patch(image["id"], {"op": "replace", "path": "/name", "value": "x"}, as_="other").status_code == 403
    assert images.client.delete(mine).status_code == 204
    assert images.client.delete(mine).status_code == 404
    assert images.show(image["id"], "other").status_code == 404
    private = images.create(visibility="private")
    assert images.client.post(f"/v2/images/{private['id']}/members", json={"member": "p"}).status_code == 403
    assert images.client.post(path, json={}).status_code == 400


def test_discovery(images):
    assert images.client.get("/", as_=None).status_code == 300
    version = images.client.get("/versions", as_=None).json["versions"][0]
    assert (version["id"], version["status"]) == ("v2.18", "CURRENT")
    for name in ("image", "images", "member", "members", "task", "tasks"):
        assert images.client.get(f"/v2/schemas/{name}").json["name"] == name
    assert images.client.get("/v2/schemas/none").status_code == 404
    assert images.client.get("/v2/info/import").json["import-methods"]["value"] == list(IMPORT_METHODS)
    assert images.client.get("/v2/info/stores").json["stores"][0]["id"] == "file"
    assert images.client.get("/v2/info/stores/detail").status_code == 403
    assert images.client.get("/v2/tasks", as_="admin").json["tasks"] == []
    assert images.client.get("/v2/tasks").status_code == 403
    assert images.client.get("/v2/images", as_=None).status_code == 401
    assert images.client.get("/v2/images/").status_code == 404
    assert images.client.delete("/v2/images/").status_code == 404


@pytest.mark.parametrize("scope", [{"system": True}, {"domain_id": "default"}])
def test_only_tokens_of_a_project_are_let_in(images, cloud, scope):
    image = images.create()
    roles = msgspec.structs.replace(PERSONAS["admin"], project_id=None, **scope)
    cloud.authenticate = lambda token: roles if token == "wide" else PERSONAS.get(token)
    assert images.show(image["id"], "wide").status_code == 404
    member = f"/v2/images/{image['id']}/members/{OTHER_PROJECT}"
    assert images.client.get(member, as_="wide").status_code == 404
    assert images.client.put(member, as_="wide", json={"status": "accepted"}).status_code == 404
    assert images.client.get("/v2/images", as_="wide").status_code == 403
    assert images.client.post("/v2/images", as_="wide", json={}).status_code == 403
    assert images.client.get("/v2/metadefs/namespaces", as_="wide").status_code == 403
    assert images.client.get("/v1/images", as_="wide").status_code == 403


def test_the_older_patch_adds_only_what_is_not_there(images):
    image = images.create(colour="red")
    old = {"Content-Type": "application/openstack-images-v2.0-json-patch"}

    def patch(change: dict) -> int:
        body = json.dumps([change])
        return images.client.patch(f"/v2/images/{image['id']}", headers=old, body=body).status_code

    assert patch({"add": "/colour", "value": "blue"}) == 409
    assert patch({"add": "/name", "value": "new"}) == 409
    assert patch({"add": "/size_of_it", "value": "big"}) == 200
    assert patch({"replace": "/colour", "value": "blue"}) == 200
    assert patch({"remove": "/colour"}) == 200
    assert patch({"add": "/x", "remove": "/y", "value": "z"}) == 400
    assert patch({"value": "z"}) == 400


@pytest.mark.parametrize("pointer", ["/a//b", "/a/", "//", "/tags/-", "/a~", "/locations", "/locations/1/2"])
def test_pointers_that_lead_nowhere(images, pointer):
    image = images.create()
    assert images.patch(image["id"], {"op": "add", "path": pointer, "value": "x"}).status_code == 400


def test_custom_properties_that_are_null_are_none(images):
    image = images.create(kernel_id=None, ramdisk_id=NOWHERE)
    assert ("kernel_id" in image, image["ramdisk_id"]) == (False, NOWHERE)
    answer = images.patch(
        image["id"], {"op": "add", "path": "/kernel_id", "value": None},
        {"op": "replace", "path": "/ramdisk_id", "value": None},
    )  # fmt: skip
    assert (answer.status_code, {"kernel_id", "ramdisk_id"} & answer.json.keys()) == (200, set())
    assert images.patch(image["id"], {"op": "remove", "path": "/ramdisk_id"}).status_code == 409


def test_lists_leave_out_what_was_killed(images, cloud):
    image = images.create(name="killed")
    with cloud.db.write() as session:
        session.get(Image, image["id"]).status = "killed"
    assert images.names() == []
    assert images.show(image["id"]).json["status"] == "killed"


def test_unused_parameters_of_lists(images):
    images.create(name="a:b")
    assert images.names("?deleted=true") == ["a:b"]
    assert images.names("?visibility=") == []
    assert images.names("?name=in:b,%22a:b%22") == ["a:b"]
    assert images.names(f"?limit={9 * 10**30}&sort=name,name:asc") == ["a:b"]
    assert images.names(f"?size_min={9 * 10**30}") == []
    assert images.names("?name=eq:a:b&protected=false&os_hidden=False") == ["a:b"]


def test_who_may_not_delete_a_member_is_told_that_there_is_none(images):
    path = f"/v2/images/{images.create(visibility='shared')['id']}/members"
    images.client.post(path, json={"member": OTHER_PROJECT})
    images.client.post(path, json={"member": "p"})
    for as_, member, status in (
        ("reader", "nobody", 404), ("reader", "p", 403), ("other", "p", 404), ("other", OTHER_PROJECT, 403),
        ("member", "nobody", 404), ("member", "p", 204),
    ):  # fmt: skip
        assert images.client.delete(f"{path}/{member}", as_=as_).status_code == status, (as_, member)


def test_members_words(images):
    image = images.create(visibility="private")
    path = f"/v2/images/{image['id']}/members"
    shown = images.client.get(f"{path}/{OTHER_PROJECT}")
    assert (shown.status_code, "Only shared images have members." in shown.text) == (404, True)
    changed = images.client.put(f"{path}/{OTHER_PROJECT}", json={"status": "accepted"})
    assert (changed.status_code, "Not allowed to update members" in changed.text) == (403, True)
    missing = images.client.post(f"/v2/images/{NOWHERE}/members", json={"member": "p"})
    assert f"Image {NOWHERE} not found." in missing.text
    shared = f"/v2/images/{images.create(visibility='shared')['id']}/members"
    images.client.post(shared, json={"member": OTHER_PROJECT})
    for status in ("maybe", None, 1):
        wrong = images.client.put(f"{shared}/{OTHER_PROJECT}", as_="other", json={"status": status})
        assert (wrong.status_code, 'Status must be "pending"' in wrong.text) == (400, True)
    gone = images.client.delete(f"/v2/images/{NOWHERE}")
    assert f"Failed to find image {NOWHERE} to delete" in gone.text


def test_a_new_image_says_how_data_gets_in(images, cloud):
    def header() -> str | None:
        return images.client.post("/v2/images", json={}).headers.get("openstack-image-import-methods")

    assert header() == ",".join(IMPORT_METHODS)
    settings = msgspec.structs.replace(cloud.settings.image, enabled_import_methods=[])
    cloud.settings = msgspec.structs.replace(cloud.settings, image=settings)
    assert header() is None, "an empty header is none"


REFUSED = [
    ("GET", f"/v2/images/{NOWHERE}/members", None, 404, f"Image {NOWHERE} not found."),
    ("GET", f"/v2/images/{NOWHERE}/tasks", None, 404, "The resource could not be found."),
    ("POST", "/v2/images/{id}/members", [], 400, 'Expected a member in the form: {"member": "image_id"}'),
    ("POST", "/v2/images/{id}/members", 1, 400, "Unexpected body type. Expected list/dict."),
    ("POST", "/v2/images/{id}/members", {}, 400, "Member to be added not specified"),
    ("POST", "/v2/images/{id}/members", {"member": None}, 400, "Member can't be empty"),
    ("PUT", "/v2/images/{id}/members/x", ["status"], 400, 'Expected a status in the form: {"status": "status"}'),
    ("PUT", "/v2/images/{id}/members/x", {}, 400, "Status not specified"),
    ("PUT", "/v2/images/{id}/file", {}, 415, "The request media type application/json is not supported"),
    ("PATCH", "/v2/images/{id}", [], 415, "Image PATCH expects Content-Type one of: application/openstack-images-v2.0"),
    ("POST", "/v2/images", {"location": "x"}, 403, "Attribute 'location' is reserved."),
    ("POST", "/v2/images", {"name": "\U0001f600"}, 400, "Name can't contain 4 byte unicode characters."),
    ("POST", "/v2/images", {"min_disk": -1}, 400, "Invalid value '-1' for parameter 'min_disk': Cannot be a negative"),
    ("POST", "/v2/images", {"name": 1}, 400, "Failed validating 'type' in schema['properties']['name']:"),
    ("POST", "/v2/images", {"x": 1}, 400, "Failed validating 'type' in schema['additionalProperties']:"),
    ("POST", "/v2/images", [], 400, "Unexpected body type. Expected list/dict."),
    ("PUT", "/v2/images/{id}/tags/" + "x" * 256, None, 400, "'maxLength' in schema['properties']['tags']"),
    ("POST", "/v2/images/{id}/locations", {}, 400, "'url' is a required property"),
    ("POST", "/v2/images/{id}/locations", {"url": "x", "validation_data": {"os_hash_algo": "md5"}}, 400,
     "'os_hash_value' is a dependency of 'os_hash_algo'"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), REFUSED)
def test_words_of_refusals(images, method, path, body, status, words):
    path = path.replace("{id}", images.create()["id"])
    headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
    answer = images.client.request(method, path, headers=headers, body=None if body is None else json.dumps(body))
    assert answer.status_code == status
    assert words in answer.json["message"]


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://0x7f000001/", "http://localhost/", "ftp://x/"],
)
def test_a_download_from_inside_is_refused_at_once(images, uri):
    image = images.create()["id"]
    body = {"method": {"name": "web-download", "uri": uri}}
    answer = images.client.post(f"/v2/images/{image}/import", json=body)
    assert (answer.status_code, f"URI for web-download does not pass filtering: {uri}" in answer.text) == (400, True)
    assert images.show(image).json["status"] == "queued"


def test_only_what_is_changed_must_be_allowed(images):
    """Who changes nothing needs only see the image, and a change of another kind has a rule of its own."""
    image = images.create()["id"]
    assert images.patch(image, as_="reader").status_code == 200
    refused = images.patch(image, {"op": "replace", "path": "/visibility", "value": "public"})
    assert (refused.status_code, "publicize_image" in refused.text) == (403, True)
    refused = images.patch(image, {"op": "remove", "path": "/locations/0"})
    assert (refused.status_code, "delete_image_location" in refused.text) == (403, True)
    for change in (
        {"op": "add", "path": "/stores", "value": "x"},
        {"op": "add", "path": "/validation_data", "value": "x"},
    ):
        assert images.patch(image, change).status_code == 403
    assert "stores" not in images.show(image).json
