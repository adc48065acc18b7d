"""Property protections: who may create, read, update and delete which custom properties, through every door."""

from __future__ import annotations

import json

import msgspec
import pytest

from onestack.config import ConfigError, Settings, load
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.operations import Workers
from onestack.image import protections, public, public_legacy, service
from tests.conftest import OTHER_PROJECT, PERSONAS, PROJECT
from tests.image.conftest import Images
from tests.image.stores import LOCAL, Web, with_image
from tests.image.test_v1 import V1


def section(pattern: str, create: str, read: str, update: str, delete: str) -> str:
    return f"[{pattern}]\ncreate = {create}\nread = {read}\nupdate = {update}\ndelete = {delete}\n"


ROLES = (
    section("^open_", "@", "@", "@", "@")
    + section("^closed_", "!", "!", "!", "!")
    + section("^secret_", "admin, Member", "admin", "admin", "admin")
    + section("^fixed_", "member", "@", "admin", "admin")
    + section("^kept_", "@", "@", "@", "!")
    + section("^empty_", "@", "@", "", "@")
    + section("^spl_", "SPL_Role", "@", "spl_role", "spl_role")
    + section("^blind_", "@", "admin", "@", "@")
    + section("_shadow", "!", "@", "@", "@")
)
POLICIES = section("^mine_", "owners", "@", "context_is_admin", "!") + section(".*", "default", "@", "@", "@")


def protected(cloud, client_of, text: str = ROLES, form: str = "roles") -> Images:
    (cloud.settings.root / "protections.conf").write_text(text)
    with_image(
        cloud, property_protection_file="protections.conf", property_protection_rule_format=form, import_filter=LOCAL,
        enabled_import_methods=["glance-download", "web-download"],
    )  # fmt: skip
    built = service.build(cloud)
    client = client_of(built["image"])
    client.registry = client_of(built["image-registry"])
    cloud.db.create_all()
    return Images(client, cloud.settings.path("images"), Workers(cloud, cloud.runners))


@pytest.fixture
def images(cloud, client_of) -> Images:
    return protected(cloud, client_of)


def refused(answer, words: str, status: int = 403) -> None:
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def add(name: str, value: str = "v") -> dict:
    return {"op": "add", "path": f"/{name}", "value": value}


def replace(name: str, value: str = "new") -> dict:
    return {"op": "replace", "path": f"/{name}", "value": value}


def remove(name: str) -> dict:
    return {"op": "remove", "path": f"/{name}"}


# API v2


def test_create(images):
    made = images.create(open_a="1", secret_b="2", fixed_c="3")
    assert (made["open_a"], made["fixed_c"], "secret_b" in made) == ("1", "3", False)
    assert images.show(made["id"], "admin").json["secret_b"] == "2"
    for name in ("closed_x", "spl_x", "unknown"):
        refused(images.client.post("/v2/images", json={"name": "n", name: "v"}), f"Attribute '{name}' is reserved.")
    refused(images.client.post("/v2/images", as_="admin", json={"closed_x": "v"}), "is reserved.")
    assert images.names() == ["i"]


def test_the_schemas_own_properties_are_protected_where_they_are_not_base(images):
    refused(images.client.post("/v2/images", json={"os_distro": "debian"}), "Attribute 'os_distro' is reserved.")
    assert images.create(min_disk=1, tags=["t"], protected=True)["min_disk"] == 1


def test_the_first_section_that_is_found_decides(images):
    assert images.create(open_shadow="1")["open_shadow"] == "1"
    refused(images.client.post("/v2/images", json={"some_shadow": "v"}), "is reserved.")


def test_what_may_not_be_read_is_nowhere(images):
    image = images.create("member", secret_a="concealed", open_a="seen")["id"]
    assert "concealed" not in images.show(image).text
    assert "concealed" not in images.client.get("/v2/images").text
    assert images.names("?secret_a=concealed") == [], "nor can it be guessed"
    assert images.names("?open_a=seen") == ["i"]
    assert images.names("?secret_a=concealed", "admin") == ["i"]
    assert images.client.get("/v2/images", as_="admin").json["images"][0]["secret_a"] == "concealed"
    assert "concealed" not in images.patch(image, replace("name")).text


def test_update(images):
    image = images.create("member", open_a="1", fixed_a="1", kept_a="1", empty_a="1", secret_a="1")["id"]
    assert images.patch(image, replace("open_a"), replace("kept_a")).json["kept_a"] == "new"
    for name in ("fixed_a", "empty_a"):
        refused(images.patch(image, replace(name)), f"Attribute '{name}' is reserved.")
        refused(images.patch(image, add(name)), f"Attribute '{name}' is reserved.")
    assert images.patch(image, replace("fixed_a"), as_="admin").json["fixed_a"] == "new"
    refused(images.patch(image, replace("secret_a")), "Property secret_a does not exist.", 409)
    refused(images.patch(image, add("secret_a")), "Attribute 'secret_a' is reserved.")
    assert images.show(image, "admin").json["secret_a"] == "1"
    assert images.patch(image, add("secret_b")).status_code == 200
    refused(images.patch(image, add("closed_a")), "Attribute 'closed_a' is reserved.")
    refused(images.patch(image, add("closed_a"), as_="admin"), "is reserved.")


def test_who_may_not_read_changes_nothing(images):
    image = images.create("member", blind_a="1")["id"]
    refused(images.patch(image, replace("blind_a")), "Property blind_a does not exist.", 409)
    refused(images.patch(image, add("blind_a")), "Attribute 'blind_a' is reserved.")
    refused(images.patch(image, remove("blind_a")), "Property blind_a does not exist.", 409)
    refused(V1(images).put(image, keep="1", property_blind_a="2"), "Property 'blind_a' is protected")
    assert images.show(image, "admin").json["blind_a"] == "1"


def test_one_refusal_leaves_all_as_it_was(images):
    image = images.create("member", open_a="1", fixed_a="1")["id"]
    refused(images.patch(image, replace("open_a"), replace("name", "n"), replace("fixed_a")), "is reserved.")
    shown = images.show(image).json
    assert (shown["open_a"], shown["name"], shown["fixed_a"]) == ("1", "i", "1")


def test_delete(images):
    image = images.create("member", open_a="1", kept_a="1", secret_a="1", fixed_a="1")["id"]
    assert "open_a" not in images.patch(image, remove("open_a")).json
    refused(images.patch(image, remove("kept_a")), "Attribute 'kept_a' is reserved.")
    refused(images.patch(image, remove("kept_a"), as_="admin"), "is reserved.")
    refused(images.patch(image, remove("secret_a")), "Property secret_a does not exist.", 409)
    refused(images.patch(image, remove("open_a")), "Property open_a does not exist.", 409)
    assert images.patch(image, remove("secret_a"), as_="admin").status_code == 200
    assert images.client.delete(f"/v2/images/{image}").status_code == 204, "the image itself is no property"


def test_roles_in_any_case_and_those_of_a_service_token(cloud, images):
    special = Context(user_id="9" * 32, project_id=PROJECT, roles=["member", "reader", "Spl_Role"])
    by_service = msgspec.structs.replace(PERSONAS["member"], service=msgspec.structs.replace(special))
    for who in (special, by_service):
        assert protections.may(cloud, who, "create", "spl_x")
    assert not protections.may(cloud, PERSONAS["member"], "create", "spl_x")


def test_without_a_file_nothing_is_protected(cloud, client_of):
    with_image(cloud)
    images = Images(client_of(service.build(cloud)["image"]), cloud.settings.path("images"), None)
    cloud.db.create_all()
    image = images.create(closed_a="1")["id"]
    assert images.patch(image, remove("closed_a")).status_code == 200


# Rules of the policy


def test_rules_of_the_policy(cloud, client_of):
    folder = cloud.settings.path("policy")
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"owners": "role:member and project_id:" + PROJECT}))
    images = protected(cloud, client_of, POLICIES, "policies")
    image = images.create(mine_a="1", other="2")["id"]
    refused(images.client.post("/v2/images", as_="other", json={"mine_a": "1"}), "Attribute 'mine_a' is reserved.")
    refused(images.patch(image, replace("mine_a")), "is reserved.")
    assert images.patch(image, replace("mine_a"), replace("other"), as_="admin").json["mine_a"] == "new"
    refused(images.patch(image, remove("mine_a"), as_="admin"), "is reserved.")
    (folder / "image.json").write_text(json.dumps({"owners": "role:nobody"}))
    refused(images.client.post("/v2/images", json={"mine_a": "1"}), "is reserved.")


def test_a_rule_that_there_is_not(cloud, client_of):
    """It refuses the start; one that goes away later lets nobody in, whatever the rule `default` says."""
    text = section("x", "owners", "@", "@", "@")
    with pytest.raises(ConfigError, match=r"\[x\] create: the policy has no rule 'owners'"):
        protected(cloud, client_of, text, "policies")
    folder = cloud.settings.path("policy")
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"owners": "@"}))
    images = protected(cloud, client_of, text, "policies")
    assert images.create(x="1")["x"] == "1"
    (folder / "image.json").unlink()
    refused(images.client.post("/v2/images", as_="admin", json={"x": "1"}), "Attribute 'x' is reserved.")


# API v1 and the registry


def test_v1(images):
    v1 = V1(images)
    for name in ("closed_x", "unknown"):
        refused(v1.post(**{"name": "n", f"property_{name}": "v"}), f"Property '{name}' is protected")
    image = v1.create(property_open_a="1", property_fixed_a="1", property_secret_a="1", property_kept_a="1")
    assert image["properties"] == {"open_a": "1", "fixed_a": "1", "kept_a": "1"}
    head = v1.client.head(f"/v1/images/{image['id']}").headers
    assert ("x-image-meta-property-open_a" in head, "x-image-meta-property-secret_a" in head) == (True, False)
    assert "secret" not in v1.client.get("/v1/images/detail").text
    assert v1.names("?property-secret_a=1") == []
    refused(v1.put(image["id"], keep="1", property_fixed_a="2"), "Property 'fixed_a' is protected")
    refused(v1.put(image["id"], keep="1", property_secret_a="1"), "Property 'secret_a' is protected")
    assert v1.put(image["id"], keep="1", property_fixed_a="1", property_open_a="2").status_code == 200
    refused(v1.put(image["id"], property_kept_a="1"), "Property 'fixed_a' is protected")
    changed = v1.put(image["id"], property_kept_a="1", property_fixed_a="1").json["image"]
    assert changed["properties"] == {"fixed_a": "1", "kept_a": "1"}, "open_a is purged"
    assert images.show(image["id"], "admin").json["secret_a"] == "1", "what one can't know of one can't purge"
    refused(v1.put(image["id"], property_fixed_a="1"), "Property 'kept_a' is protected")


def test_v1_download(images):
    v1 = V1(images)
    image = v1.create(body=b"data", property_open_a="1", property_secret_a="1")
    headers = v1.client.get(f"/v1/images/{image['id']}").headers
    assert ("x-image-meta-property-open_a" in headers, "x-image-meta-property-secret_a" in headers) == (True, False)


def test_the_registry(images):
    registry = images.client.registry
    body = {"image": {"name": "r", "properties": {"open_a": "1", "secret_a": "1", "fixed_a": "1"}}}
    image = registry.post("/images", json=body).json["image"]
    assert image["properties"] == {"open_a": "1", "fixed_a": "1"}
    assert "secret" not in registry.get("/images/detail").text
    one = f"/images/{image['id']}"
    for properties in ({"closed_a": "1"}, {"fixed_a": "2"}, {"secret_a": "1"}):
        (name,) = properties
        refused(registry.put(one, json={"image": {"properties": properties}}), f"Property '{name}' is protected")
    purge = {"X-Glance-Registry-Purge-Props": "true"}
    refused(registry.put(one, json={"image": {}}, headers=purge), "is protected")
    kept = {"image": {"properties": {"fixed_a": "1"}}}
    assert registry.put(one, json=kept, headers=purge).json["image"]["properties"] == {"fixed_a": "1"}
    assert registry.get(one, as_="admin").json["image"]["properties"] == {"fixed_a": "1", "secret_a": "1"}


# What isn't a request of the API


def test_tasks(images):
    asked = {"type": "import", "input": {
        "import_from": "http://127.0.0.1:1/x", "import_from_format": "raw", "image_properties": {"closed_a": "1"},
    }}  # fmt: skip
    refused(images.client.post("/v2/tasks", as_="admin", json=asked), "Attribute 'closed_a' is reserved.")


def test_the_image_of_another_region(cloud, client_of):
    """What comes along with its data is set as its user may set it."""
    rules = section("hw_vif_model", "member", "@", "@", "@") + section("hw_", "admin", "@", "admin", "@")
    images = protected(cloud, client_of, rules + section(".*", "@", "@", "@", "@"))
    remote = "00000000-0000-4000-8000-0000000000aa"
    method = {"glance_region": "far", "glance_image_id": remote}
    with Web() as server:
        port = int(server.url.rpartition(":")[2])
        cloud.settings = msgspec.structs.replace(cloud.settings, port_offset=port - 5000)
        place = {"region_id": "far", "interface": "public", "url": server.url}
        server.pages["/v3/auth/catalog"] = json.dumps({"catalog": [{"type": "image", "endpoints": [place]}]}).encode()
        server.pages[f"/v2/images/{remote}/file"] = b"data"
        for name, status in (("hw_vif_model", "active"), ("hw_disk_bus", "queued")):
            shown = {"status": "active", "disk_format": "raw", "container_format": "bare", "size": 4, name: "v"}
            server.pages[f"/v2/images/{remote}"] = json.dumps(shown).encode()
            image = images.create()["id"]
            assert images.import_(image, "glance-download", method=method).status_code == 202
            got = images.show(image).json
            assert (got["status"], got.get(name)) == (status, "v" if status == "active" else None), images.task(image)
    assert images.task(image)["message"] == "Attribute 'hw_disk_bus' is reserved."


def test_servers_are_made_with_what_their_owner_may_read(cloud, images):
    image = images.active(open_a="1", secret_a="1")["id"]
    with cloud.db.read() as session:
        for persona, names in (("member", {"open_a"}), ("admin", {"open_a", "secret_a"})):
            assert public.boot_image(cloud, session, PERSONAS[persona], image).properties.keys() == names


def test_computes_older_api(cloud, images):
    image = images.create("member", open_a="1", secret_a="1", fixed_a="1", kept_a="1")["id"]
    ann = PERSONAS["member"]
    with cloud.db.read() as session:
        assert public_legacy.image(session, cloud, ann, image).properties.keys() == {"open_a", "fixed_a", "kept_a"}
        for properties in ({"secret_a": "1"}, {"open_a": "2"}):
            assert public_legacy.images(session, cloud, ann, limit=9, properties=properties) == []

    def change(function, *values, **more):
        with cloud.db.write() as session:
            return function(session, cloud, ann, image, *values, **more)

    for values in ({"closed_a": "1"}, {"fixed_a": "2"}, {"secret_a": "2"}):
        with pytest.raises(Forbidden, match="is reserved"):
            change(public_legacy.set_properties, values)
    for name in ("kept_a", "os_glance_import_task"):
        with pytest.raises(Forbidden, match="is reserved"):
            change(public_legacy.remove_property, name)
    with pytest.raises(Forbidden, match=r"'kept_a' is reserved|'fixed_a' is reserved"):
        change(public_legacy.set_properties, {"open_a": "2"}, purge=True)
    assert change(public_legacy.set_properties, {"open_a": "2"})["open_a"] == "2"
    assert images.show(image, "admin").json["secret_a"] == "1"


def test_a_members_view_is_not_its_owners(images):
    """Roles decide, whoever's image it is."""
    image = images.create(visibility="shared", secret_a="1", open_a="1")["id"]
    images.client.post(f"/v2/images/{image}/members", json={"member": OTHER_PROJECT})
    shown = images.show(image, "other").json
    assert ("open_a" in shown, "secret_a" in shown) == (True, False)


# The file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\ncreate = @\nread = @\nupdate = @\n", "[a] has no delete"),
        ("[a]\ncraete = @\nread = @\nupdate = @\ndelete = @\n", "[a] has no create"),
        (section("a[", "@", "@", "@", "@"), "[a[] is no regular expression"),
        (section("a", "@", "admin, @, !", "@", "@"), "[a] read: '@' (everybody) and '!' (nobody) exclude each other"),
        (section("a", "@", "@", "@", "@") * 2, "section 'a' already exists"),
        ("create = @\n", "no section headers"),
        ("[a]\nnonsense\n", "nonsense"),
    ],
)
def test_a_bad_file_refuses_the_start(cloud, client_of, text, words):
    with pytest.raises(ConfigError) as found:
        protected(cloud, client_of, text)
    assert words in str(found.value)
    assert str(cloud.settings.root / "protections.conf") in str(found.value)
    assert "\n" not in str(found.value)


def test_one_rule_of_the_policy_for_each_action(cloud, client_of):
    text = section("a", "@", "@", "default, context_is_admin", "@")
    with pytest.raises(ConfigError, match=r"\[a\] update: one rule of the policy"):
        protected(cloud, client_of, text, "policies")
    protected(cloud, client_of, text)


def test_a_file_that_is_not_there_refuses_the_start(cloud):
    with_image(cloud, property_protection_file="/nonexistent/file")
    with pytest.raises(ConfigError, match=r"image\.property_protection_file: /nonexistent/file: No such file"):
        service.build(cloud)


def test_a_file_of_bytes_refuses_the_start(cloud):
    (cloud.settings.root / "bytes").write_bytes(b"[\xff]\n")
    with_image(cloud, property_protection_file="bytes")
    with pytest.raises(ConfigError, match=r"image\.property_protection_file"):
        service.build(cloud)


def test_glances_own_section_is_not_the_operators(cloud, client_of):
    text = section("os_glance.*", "!", "!", "!", "!") + section(".*", "@", "@", "@", "@")
    images = protected(cloud, client_of, text)
    image = images.create()["id"]
    method = {"uri": "http://127.0.0.1:1/x"}
    images.client.post(f"/v2/images/{image}/import", json={"method": {"name": "web-download", **method}})
    assert "os_glance_import_task" in images.show(image).json
    refused(images.client.post("/v2/images", json={"os_glance_x": "v"}), "Attribute 'os_glance_x' is reserved.")


def test_the_form_is_one_of_two(tmp_path):
    (tmp_path / "onestack.toml").write_text('[image]\nproperty_protection_rule_format = "names"\n')
    with pytest.raises(ConfigError, match="property_protection_rule_format"):
        load(str(tmp_path))
    assert Settings().image.property_protection_rule_format == "roles"
