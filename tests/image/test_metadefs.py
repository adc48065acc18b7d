"""Metadata definitions: namespaces and what is in them, who sees and who changes them, and the sets of files."""

from __future__ import annotations

import json

import msgspec
import pytest
import sqlalchemy as sa

from onestack.image import metadef_sets, public
from onestack.image.models_metadefs import MetadefNamespace
from tests.conftest import ADMIN_PROJECT, PROJECT

ALL = "/v2/metadefs/namespaces"
SIZE = {"name": "size", "title": "Size", "type": "integer", "minimum": 1, "default": 8}


@pytest.fixture
def client(images):
    return images.client


@pytest.fixture
def make(client):
    def make(name: str = "N", as_: str = "admin", status: int = 201, **body):
        answer = client.post(ALL, as_=as_, json={"namespace": name} | body)
        assert answer.status_code == status, answer.text
        return answer.json if status == 201 else answer.text

    return make


def test_a_whole_namespace(client, make):
    body = {
        "display_name": "A name", "description": "Words", "visibility": "public", "protected": False,
        "resource_type_associations": [{"name": "OS::Nova::Flavor", "prefix": "hw:"}],
        "properties": {"size": {"title": "Size", "type": "integer", "default": 8}},
        "objects": [{"name": "O", "required": ["a"], "properties": {"a": {"title": "A", "type": "string"}}}],
        "tags": [{"name": "t"}],
    }  # fmt: skip
    made = make("OS::Test", **body)
    assert made["self"] == ALL + "/OS::Test"
    assert (made["owner"], made["schema"]) == (ADMIN_PROJECT, "/v2/schemas/metadefs/namespace")
    seen = client.get(ALL + "/OS::Test").json
    assert seen["properties"] == {"size": {"title": "Size", "type": "integer", "default": "8"}}
    assert seen["objects"][0]["self"] == ALL + "/OS::Test/objects/O"
    assert seen["tags"] == [{"name": "t"}]
    assert seen["resource_type_associations"][0]["prefix"] == "hw:"
    prefixed = client.get(ALL + "/OS::Test?resource_type=OS::Nova::Flavor").json
    assert list(prefixed["properties"]) == ["hw:size"]
    assert (list(prefixed["objects"][0]["properties"]), prefixed["objects"][0]["required"]) == (["hw:a"], ["hw:a"])
    assert "already exists" in make("OS::Test", status=409)
    assert client.delete(ALL + "/OS::Test", as_="admin").status_code == 204
    assert client.get(ALL + "/OS::Test").status_code == 404
    assert client.get("/v2/metadefs/resource_types").json["resource_types"][0]["name"] == "OS::Nova::Flavor"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"namespace": 5}, 400), ({"namespace": "n" * 81}, 400), ({"namespace": "n", "x": 1}, 400),
        ({"namespace": "n", "visibility": "shared"}, 400), ({"namespace": "n", "protected": "yes"}, 400),
        ({"namespace": "n", "self": "/x"}, 403), ({"namespace": "n", "created_at": "x"}, 403),
        ({"namespace": "n", "tags": [{}]}, 400), ({"namespace": "n", "tags": [{"name": "t" * 81}]}, 400),
        ({"namespace": "n", "tags": [{"name": "T"}, {"name": "t"}]}, 409),
        ({"namespace": "n", "properties": {"p": {"type": "string"}}}, 400),
        ({"namespace": "n", "properties": {"p": {"type": "text", "title": "t"}}}, 400),
        ({"namespace": "n", "properties": {"p" * 81: {"type": "string", "title": "t"}}}, 400),
        ({"namespace": "n", "properties": {"p": {"type": "string", "title": "t", "default": {}}}}, 400),
        ({"namespace": "n", "properties": {"p": {"type": "integer", "title": "t", "minimum": 0.5}}}, 400),
        ({"namespace": "n", "objects": [{"name": "o", "required": ["a", "a"]}]}, 400),
        ({"namespace": "n", "resource_type_associations": [{"name": "r", "prefix": "p" * 81}]}, 400),
    ],
)  # fmt: skip
def test_bad_namespaces_are_refused_whole(client, body, status):
    assert client.post(ALL, as_="admin", json=body).status_code == status
    assert client.get(ALL, as_="admin").json["namespaces"] == []


def test_who_sees_and_who_changes(client, make):
    make("public", visibility="public")
    make("private")
    make("theirs", owner=PROJECT)
    assert {row["namespace"] for row in client.get(ALL).json["namespaces"]} == {"public", "theirs"}
    assert {row["namespace"] for row in client.get(ALL, as_="other").json["namespaces"]} == {"public"}
    assert len(client.get(ALL, as_="admin").json["namespaces"]) == 3
    assert client.get(ALL + "/private").status_code == 404
    assert client.get(ALL + "/theirs", as_="reader").status_code == 200
    assert client.get(ALL + "/public", as_="nobody").status_code == 404
    for part in ("", "/objects", "/properties", "/tags", "/resource_types"):
        assert client.get(ALL + "/private" + part).status_code == 404
        assert client.get(ALL + "/public" + part).status_code == 200
    make("mine", as_="member", status=403)
    assert client.put(ALL + "/theirs", json={"namespace": "theirs"}).status_code == 403
    assert client.delete(ALL + "/theirs").status_code == 403
    assert client.delete(ALL + "/private").status_code == 404
    assert client.post(ALL + "/public/tags/t").status_code == 403
    assert client.post(ALL + "/private/tags/t").status_code == 404


def test_update_takes_the_place_of_everything(client, make):
    make("a", display_name="A", visibility="public", protected=True)
    make("b")
    taken = client.put(ALL + "/a", as_="admin", json={"namespace": "b"})
    assert taken.status_code == 409
    assert "same name of b" in taken.text
    changed = client.put(ALL + "/a", as_="admin", json={"namespace": "c", "description": "d"}).json
    assert (changed["namespace"], changed["visibility"], changed["protected"]) == ("c", "private", False)
    assert "display_name" not in changed


def test_protected_namespaces_keep_everything(client, make):
    make("p", protected=True, tags=[{"name": "t"}], objects=[{"name": "o"}], visibility="public",
         resource_type_associations=[{"name": "r"}], properties={"q": {"title": "t", "type": "string"}})  # fmt: skip
    for path in ("", "/tags", "/objects", "/properties", "/tags/t", "/objects/o", "/properties/q", "/resource_types/r"):
        answer = client.delete(f"{ALL}/p{path}", as_="admin")
        assert answer.status_code == 403, path
        assert "is protected and cannot be deleted." in answer.text
    client.put(ALL + "/p", as_="admin", json={"namespace": "p"})
    for path in ("/tags/t", "/objects/o", "/properties/q", "/resource_types/r", "/tags", "/objects", "/properties", ""):
        assert client.delete(f"{ALL}/p{path}", as_="admin").status_code == 204, path


def test_lists_are_filtered_sorted_and_paged(client, make, cloud):
    for name in "cab":
        cloud.clock.advance(1)
        make(
            name, resource_type_associations=[{"name": f"R::{name}"}], visibility="private" if name == "a" else "public"
        )

    def names(query: str = "") -> list[str]:
        return [row["namespace"] for row in client.get(ALL + query, as_="admin").json["namespaces"]]

    assert names() == ["b", "a", "c"]
    assert names("?sort_key=namespace&sort_dir=asc") == ["a", "b", "c"]
    assert names("?visibility=private") == ["a"]
    assert sorted(names("?resource_types=R::a,R::c")) == ["a", "c"]
    page = client.get(ALL + "?limit=2", as_="admin").json
    assert page["first"] == ALL + "?limit=2"
    assert [row["namespace"] for row in client.get(page["next"], as_="admin").json["namespaces"]] == ["c"]
    for query in ("limit=x", "limit=-1", "sort_dir=up", "sort_key=x", "visibility=x"):
        assert client.get(f"{ALL}?{query}", as_="admin").status_code == 400
    assert client.get(ALL + "?marker=nope", as_="admin").status_code == 404


def test_objects(client, make):
    make("n", visibility="public")
    path = ALL + "/n/objects"
    body = {"name": "o", "description": "d", "required": ["a"], "properties": {"a": {"title": "A", "type": "string"}}}
    made = client.post(path, as_="admin", json=body)
    assert (made.status_code, made.json["self"]) == (201, path + "/o")
    assert client.post(path, as_="admin", json=body).status_code == 409
    assert client.get(path).json["objects"][0]["required"] == ["a"]
    assert client.get(path + "/o").json["properties"] == {"a": {"title": "A", "type": "string"}}
    assert client.put(path + "/o", as_="admin", json={"name": "o2"}).json["name"] == "o2"
    assert client.get(path + "/o").status_code == 404
    assert "Could not find metadata object o" in client.get(path + "/o").text
    assert client.put(path + "/o2", json={"name": "x"}).status_code == 403
    assert (
        client.post(
            path, as_="admin", json={"name": "p", "properties": {"a": {"title": "A", "type": "string", "y": 1}}}
        ).status_code
        == 400
    )
    assert client.post(path, as_="admin", json={"name": "p", "self": "x"}).status_code == 403
    assert client.delete(path + "/o2", as_="admin").status_code == 204


def test_properties(client, make):
    make("n", visibility="public", resource_type_associations=[{"name": "R", "prefix": "hw_"}])
    path = ALL + "/n/properties"
    made = client.post(path, as_="admin", json=SIZE)
    assert (made.status_code, made.json) == (201, SIZE | {"default": "8"})
    assert client.post(path, as_="admin", json=SIZE).status_code == 409
    assert client.post(path, as_="admin", json={"title": "t", "type": "string"}).status_code == 400
    assert client.get(path).json["properties"] == {
        "size": {key: value for key, value in made.json.items() if key != "name"}
    }
    assert client.get(path + "/hw_size?resource_type=R").json["name"] == "size"
    assert client.get(path + "/size?resource_type=R").status_code == 404
    assert client.get(path + "/size?resource_type=Q").status_code == 404
    changed = client.put(
        path + "/size", as_="admin", json={"name": "big", "title": "t", "type": "string", "enum": ["a"]}
    )
    assert changed.json == {"name": "big", "title": "t", "type": "string", "enum": ["a"]}
    assert client.get(path + "/size").status_code == 404
    assert client.delete(path + "/big", as_="admin").status_code == 204


def test_tags(client, make):
    make("n", visibility="public")
    path = ALL + "/n/tags"
    made = client.post(path + "/one", as_="admin")
    assert (made.status_code, made.json["name"]) == (201, "one")
    assert "case insensitive" in client.post(path + "/ONE", as_="admin").text

    def many(*names: str, **headers: str) -> int:
        body = {"tags": [{"name": name} for name in names]}
        return client.post(path, as_="admin", json=body, headers=headers).status_code

    def names() -> list[str]:
        return sorted(tag["name"] for tag in client.get(path).json["tags"])

    assert many("two", "three", **{"X-OpenStack-Append": "True"}) == 201
    assert names() == ["one", "three", "two"]
    assert many("two", **{"X-OpenStack-Append": "True"}) == 409
    assert many("a", "A") == 409
    assert names() == ["one", "three", "two"]
    assert many("four") == 201
    assert names() == ["four"]
    assert client.put(path + "/four", as_="admin", json={"name": "five"}).json["name"] == "five"
    assert client.get(path + "/five").json["created_at"]
    assert client.post(path + "/" + "t" * 81, as_="admin").status_code == 400
    assert many("a", "b", "c") == 201
    assert names() == ["a", "b", "c"]
    page = client.get(path + "?sort_key=name&sort_dir=asc&limit=1&marker=a").json
    assert page["tags"] == [{"name": "b"}]


def test_resource_types(client, make):
    make("n", visibility="public")
    path = ALL + "/n/resource_types"
    body = {"name": "OS::Glance::Image", "prefix": "hw_", "properties_target": "image"}
    made = client.post(path, as_="admin", json=body)
    assert (made.status_code, made.json["prefix"]) == (201, "hw_")
    assert client.post(path, as_="admin", json=body).status_code == 409
    assert client.get(path).json["resource_type_associations"][0]["properties_target"] == "image"
    assert client.delete(path + "/nope", as_="admin").status_code == 404
    assert client.delete(path + "/OS::Glance::Image", as_="admin").status_code == 204
    assert client.get(path).json["resource_type_associations"] == []


def test_schemas(client):
    for name in ("namespace", "object", "property", "resource_type", "tag"):
        assert "name" in client.get(f"/v2/schemas/metadefs/{name}").json
    for name in ("namespaces", "objects", "properties", "resource_types", "tags"):
        assert "links" in client.get(f"/v2/schemas/metadefs/{name}").json
    assert client.get("/v2/schemas/metadefs/none").status_code == 404


def test_the_definitions_that_people_expect_are_there_once(client, cloud):
    with cloud.db.write() as session:
        public.bootstrap(session, cloud)
    seen = client.get(ALL + "?limit=100").json["namespaces"]
    names = {row["namespace"] for row in seen}
    assert {"OS::OperatingSystem", "OS::Compute::Quota", "OS::Glance::CommonImageProperties"} <= names
    assert client.get(ALL + "/OS::Compute::CPUPinning/properties/cpu_policy").json["enum"] == ["shared", "dedicated"]
    assert client.delete(ALL + "/OS::Compute::CPUPinning", as_="admin").status_code == 403
    with cloud.db.write() as session:
        session.execute(sa.delete(MetadefNamespace).where(MetadefNamespace.namespace == "OS::Compute::Quota"))
    with cloud.db.write() as session:
        public.bootstrap(session, cloud)
    assert client.get(ALL + "/OS::Compute::Quota").status_code == 404, "what was deleted stays away"


def test_sets_are_exported_loaded_merged_and_overwritten(client, cloud, tmp_path):
    with cloud.db.write() as session:
        public.bootstrap(session, cloud)
        exported = metadef_sets.export(session)
        for name, definition in exported.items():
            (tmp_path / name).write_bytes(msgspec.json.encode(definition))
        metadef_sets.unload(session)
    assert client.get(ALL).json["namespaces"] == []
    again = metadef_sets.read(tmp_path)
    with cloud.db.write() as session:
        assert len(metadef_sets.load(session, cloud.clock, again)) == len(exported)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({
        "namespace": "OS::Compute::Watchdog", "display_name": "Mine", "visibility": "public", "tags": [{"name": "t"}],
        "properties": {"watchdog_action": {"title": "Mine", "type": "string"}},
    }))  # fmt: skip
    mine = metadef_sets.read(file)
    with cloud.db.write() as session:
        assert metadef_sets.load(session, cloud.clock, mine) == []

    def title() -> str:
        return client.get(ALL + "/OS::Compute::Watchdog/properties/watchdog_action").json["title"]

    with cloud.db.write() as session:
        metadef_sets.load(session, cloud.clock, mine, merge=True)
    assert client.get(ALL + "/OS::Compute::Watchdog").json["tags"] == [{"name": "t"}]
    assert title() != "Mine"
    with cloud.db.write() as session:
        metadef_sets.load(session, cloud.clock, mine, merge=True, prefer_new=True)
    assert title() == "Mine"
    assert "resource_type_associations" in client.get(ALL + "/OS::Compute::Watchdog").json
    with cloud.db.write() as session:
        metadef_sets.load(session, cloud.clock, mine, overwrite=True)
    assert "resource_type_associations" not in client.get(ALL + "/OS::Compute::Watchdog").json
    file.write_text("[]")
    with pytest.raises(metadef_sets.BadSet, match=r"mine\.json"):
        metadef_sets.read(file)


def test_our_files_are_valid():
    from onestack.image import metadef_schemas

    for definition in metadef_sets.read(metadef_sets.OURS):
        body = {key: value for key, value in msgspec.to_builtins(definition).items() if value is not None}
        for part in ("resource_type_associations", "objects"):
            body[part] = [{k: v for k, v in item.items() if v is not None} for item in body[part]]
        metadef_schemas.validate(body, metadef_schemas.NAMESPACE)
