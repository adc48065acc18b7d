"""Domains, projects, users, groups, regions, services, endpoints, credentials: what clients do with them."""

from __future__ import annotations

import json
import runpy

import bcrypt
import pytest

from onestack.identity import passwords
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD


def patch(keystone, path, **body):
    return keystone.client.patch(f"/v3/{path}", as_=keystone.admin, json=body)


def delete(keystone, path):
    return keystone.client.delete(f"/v3/{path}", as_=keystone.admin).status_code


def get(keystone, path):
    return keystone.client.get(f"/v3/{path}", as_=keystone.admin)


KINDS = {
    "domain": ({"name": "d"}, {"description": "new"}),
    "project": ({"name": "p", "colour": "red"}, {"description": "new", "colour": "blue"}),
    "user": ({"name": "u", "email": "u@example.org"}, {"email": "v@example.org", "name": "w"}),
    "group": ({"name": "g"}, {"description": "new"}),
    "role": ({"name": "r"}, {"name": "s"}),
    "service": ({"type": "t", "name": "n"}, {"description": "new", "enabled": False}),
    "region": ({"id": "r1"}, {"description": "new"}),
    "credential": ({"type": "totp", "blob": "secret", "user_id": "f" * 32}, {"blob": "other"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_life_of_a_resource(keystone, kind):
    first, change = KINDS[kind]
    made = keystone.make(kind, **first)
    assert made.items() >= first.items()
    plural = f"{kind}s"
    assert made["links"]["self"].endswith(f"/v3/{plural}/{made['id']}")
    assert get(keystone, f"{plural}/{made['id']}").json == {kind: made}
    listed = get(keystone, plural).json
    assert made in listed[plural]
    assert listed["links"].keys() == {"next", "self", "previous"}
    assert keystone.client.head(f"/v3/{plural}/{made['id']}", as_=keystone.admin).status_code == 200
    changed = patch(keystone, f"{plural}/{made['id']}", **{kind: change})
    assert changed.status_code == 200, changed.text
    shown = changed.json[kind]
    if kind in ("project", "user"):  # in answers to changes Keystone shows the client's own attributes a second time
        assert shown.pop("extra") == {name: value for name, value in change.items() if name in ("colour", "email")}
    assert shown == made | change
    # An id that isn't the right one is refused, of domains alone it is overlooked, as in Keystone.
    other = patch(keystone, f"{plural}/{made['id']}", **{kind: {"id": "other"}})
    assert other.status_code == (200 if kind == "domain" else 400)
    assert get(keystone, f"{plural}/{made['id']}").json[kind]["id"] == made["id"]
    if kind == "domain":
        assert delete(keystone, f"{plural}/{made['id']}") == 403
        patch(keystone, f"{plural}/{made['id']}", domain={"enabled": False})
    assert delete(keystone, f"{plural}/{made['id']}") == 204
    gone = get(keystone, f"{plural}/{made['id']}")
    assert gone.status_code == 404
    assert gone.json["error"]["message"] == f"Could not find {kind}: {made['id']}."
    assert gone.json["error"]["title"] == "Not Found"


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group", "role"])
def test_names_are_taken_once(keystone, kind):
    made = keystone.make(kind, name="same")
    again = keystone.client.post(f"/v3/{kind}s", as_=keystone.admin, json={kind: {"name": "same"}})
    assert again.status_code == 409
    assert again.json["error"]["message"].startswith("Conflict occurred attempting to store")
    other = keystone.make(kind, name="other")
    assert patch(keystone, f"{kind}s/{other['id']}", **{kind: {"name": "same"}}).status_code == 409
    if kind in ("project", "user", "group"):
        elsewhere = keystone.make("domain", name="elsewhere")
        assert keystone.make(kind, name="same", domain_id=elsewhere["id"])["id"] != made["id"]


def test_filters_and_pages(keystone):
    for name in ("Alpha", "alphabet", "beta"):
        keystone.make("user", name=name, enabled=name != "beta")

    def names(query):
        return [user["name"] for user in get(keystone, f"users?{query}").json["users"]]

    assert names("name=beta") == ["beta"]
    assert names("name__startswith=alpha") == ["alphabet"]
    assert names("name__icontains=ALPHA") == ["Alpha", "alphabet"]
    assert names("name__endswith=ta") == ["beta"]
    assert names("enabled=false") == ["beta"]
    assert "beta" not in names("enabled=true")
    assert names("domain_id=none") == []
    seen, path = [], "users?limit=2"
    while path:
        page = get(keystone, path).json
        seen += [user["name"] for user in page["users"]]
        following = page["links"]["next"]
        path = following.partition("/v3/")[2] if following else None
    assert seen == names("")
    assert len(seen) == 5


def test_the_tree_of_projects(keystone):
    top = keystone.make("project", name="top")
    middle = keystone.make("project", name="middle", parent_id=top["id"])
    leaf = keystone.make("project", name="leaf", parent_id=middle["id"])
    assert top["parent_id"] == "default"
    assert middle["domain_id"] == "default"
    shown = get(keystone, f"projects/{leaf['id']}?parents_as_ids").json["project"]
    assert shown["parents"] == {middle["id"]: {top["id"]: {"default": None}}}
    shown = get(keystone, f"projects/{top['id']}?subtree_as_ids").json["project"]
    assert shown["subtree"] == {middle["id"]: {leaf["id"]: None}}
    assert get(keystone, f"projects/{top['id']}?subtree_as_list").json["project"]["subtree"] == []
    assert delete(keystone, f"projects/{middle['id']}") == 403
    assert patch(keystone, f"projects/{top['id']}", project={"enabled": False}).status_code == 403
    for project in (leaf, middle, top):
        assert patch(keystone, f"projects/{project['id']}", project={"enabled": False}).status_code == 200
    assert patch(keystone, f"projects/{leaf['id']}", project={"enabled": True}).status_code == 403
    under = {"project": {"name": "x", "parent_id": top["id"]}}
    assert keystone.client.post("/v3/projects", as_=keystone.admin, json=under).status_code == 400
    assert patch(keystone, f"projects/{leaf['id']}", project={"parent_id": top["id"]}).status_code == 403


def test_a_tree_has_five_levels(keystone):
    parent = "default"
    for level in range(5):
        parent = keystone.make("project", name=f"level{level}", parent_id=parent)["id"]
    body = {"project": {"name": "deeper", "parent_id": parent}}
    assert keystone.client.post("/v3/projects", as_=keystone.admin, json=body).status_code == 403


def test_tags(keystone):
    project = keystone.make("project", name="tagged", tags=["blue", "red"])
    path = f"projects/{project['id']}/tags"
    assert get(keystone, path).json["tags"] == ["blue", "red"]
    assert keystone.client.put(f"/v3/{path}/green", as_=keystone.admin).status_code == 201
    assert get(keystone, f"{path}/green").status_code == 204
    assert get(keystone, f"{path}/none").status_code == 404
    assert delete(keystone, f"{path}/green") == 204
    bad = keystone.client.put(f"/v3/{path}", as_=keystone.admin, json={"tags": ["a,b"]})
    assert bad.status_code == 400

    def found(query):
        return [item["name"] for item in get(keystone, f"projects?{query}").json["projects"]]

    assert found("tags=blue,red") == ["tagged"]
    assert found("tags=blue,green") == []
    assert found("tags-any=blue,green") == ["tagged"]
    assert "tagged" not in found("not-tags=blue")
    assert delete(keystone, path) == 204
    assert get(keystone, path).json["tags"] == []


def test_groups_and_members(keystone):
    group, user = keystone.make("group", name="g"), keystone.make("user", name="u")
    path = f"groups/{group['id']}/users/{user['id']}"
    assert get(keystone, path).status_code == 404
    for _ in range(2):
        assert keystone.client.put(f"/v3/{path}", as_=keystone.admin).status_code == 204
    assert get(keystone, path).status_code == 204
    assert keystone.client.head(f"/v3/{path}", as_=keystone.admin).status_code == 204
    assert [u["id"] for u in get(keystone, f"groups/{group['id']}/users").json["users"]] == [user["id"]]
    assert [g["id"] for g in get(keystone, f"users/{user['id']}/groups").json["groups"]] == [group["id"]]
    assert delete(keystone, path) == 204
    assert delete(keystone, path) == 404


def test_deleting_a_domain_takes_everything_in_it(keystone):
    domain = keystone.make("domain", name="d")
    project = keystone.make("project", name="p", domain_id=domain["id"])
    user = keystone.make("user", name="u", domain_id=domain["id"], password="pw")
    role = keystone.find("roles", "member")
    keystone.client.put(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{role}", as_=keystone.admin)
    token = keystone.token("u", "pw", keystone.on("p", domain["id"]), domain["id"])
    keystone.cloud.clock.advance(1)
    patch(keystone, f"domains/{domain['id']}", domain={"enabled": False})
    assert keystone.status(token) == 401
    assert keystone.login("u", "pw", domain=domain["id"]).status_code == 401
    assert delete(keystone, f"domains/{domain['id']}") == 204
    for path in (f"projects/{project['id']}", f"users/{user['id']}"):
        assert get(keystone, path).status_code == 404
    left = get(keystone, "role_assignments").json["role_assignments"]
    assert not any(item.get("user", {}).get("id") == user["id"] for item in left)


def test_the_clouds_own_services_can_only_be_read(keystone):
    services = get(keystone, "services?type=compute").json["services"]
    assert [service["name"] for service in services] == ["nova"]
    endpoints = get(keystone, f"endpoints?service_id={services[0]['id']}").json["endpoints"]
    assert {endpoint["interface"] for endpoint in endpoints} == {"public", "internal", "admin"}
    assert get(keystone, f"endpoints/{endpoints[0]['id']}").json["endpoint"] == endpoints[0]
    assert delete(keystone, f"services/{services[0]['id']}") == 403
    assert delete(keystone, f"endpoints/{endpoints[0]['id']}") == 403
    assert delete(keystone, "regions/RegionOne") == 403


def test_added_endpoints_are_in_the_catalog(keystone):
    service = keystone.make("service", type="backup", name="freezer")
    endpoint = keystone.make(
        "endpoint", service_id=service["id"], interface="public", region="Two", url="http://b/%(tenant_id)s"
    )
    assert endpoint["region_id"] == "Two"
    assert get(keystone, "regions/Two").status_code == 200
    project = keystone.find("projects", "demo")

    def shown():
        token = keystone.login("demo", DEMO_PASSWORD, keystone.on("demo")).json["token"]
        return [e["url"] for entry in token["catalog"] if entry["type"] == "backup" for e in entry["endpoints"]]

    assert shown() == [f"http://b/{project}"]
    patch(keystone, f"endpoints/{endpoint['id']}", endpoint={"enabled": False})
    assert shown() == []
    assert delete(keystone, f"services/{service['id']}") == 204
    assert get(keystone, f"endpoints/{endpoint['id']}").status_code == 404


def test_regions_form_a_tree_without_loops(keystone):
    keystone.make("region", id="a")
    keystone.make("region", id="b", parent_region_id="a")
    assert patch(keystone, "regions/a", region={"parent_region_id": "b"}).status_code == 400
    put = keystone.client.put("/v3/regions/c", as_=keystone.admin, json={"region": {}})
    assert put.status_code == 201
    assert delete(keystone, "regions/a") == 204
    assert get(keystone, "regions/b").status_code == 404


def test_credentials_are_encrypted_at_rest(keystone):
    project = keystone.find("projects", "demo")
    made = keystone.make(
        "credential",
        type="ec2",
        user_id=keystone.find("users", "admin"),
        project_id=project,
        blob=json.dumps({"access": "key", "secret": "hidden-thing"}),
    )
    assert len(made["id"]) == 64
    state = keystone.cloud.settings.root
    for file in (state / "db").iterdir():
        assert b"hidden-thing" not in file.read_bytes()
    assert keystone.client.get("/v3/credentials", as_=keystone.demo).json["credentials"] == []
    assert keystone.client.get(f"/v3/credentials/{made['id']}", as_=keystone.demo).status_code == 403


def test_application_credentials(keystone):
    user = keystone.find("users", "demo")
    path = f"/v3/users/{user}/application_credentials"
    body = {"application_credential": {"name": "app", "roles": [{"name": "reader"}]}}
    made = keystone.client.post(path, as_=keystone.demo, json=body)
    assert made.status_code == 201, made.text
    credential = made.json["application_credential"]
    assert "secret" not in keystone.client.get(f"{path}/{credential['id']}", as_=keystone.demo).text.replace(
        credential["id"], ""
    )

    def login(secret, scope=None):
        data = {"id": credential["id"], "secret": secret}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": data}}
        return keystone.client.post(
            "/v3/auth/tokens", as_=None, json={"auth": auth | ({"scope": scope} if scope else {})}
        )

    assert login("wrong").status_code == 401
    answer = login(credential["secret"])
    token = answer.headers["x-subject-token"]
    assert [role["name"] for role in answer.json["token"]["roles"]] == ["reader"]
    assert answer.json["token"]["project"]["name"] == "demo"
    assert answer.json["token"]["application_credential"]["restricted"] is True
    secrets = {"credential": {"type": "totp", "blob": "x", "user_id": user}}
    assert keystone.client.post("/v3/credentials", as_=token, json=secrets).status_code == 403
    # A restricted one makes no more of its kind, and its token no other token.
    assert keystone.client.post(path, as_=token, json=body).status_code == 403
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    assert keystone.client.post("/v3/auth/tokens", as_=None, json=again).status_code == 403
    more = {"application_credential": {"name": "more", "roles": [{"name": "admin"}]}}
    assert keystone.client.post(path, as_=keystone.demo, json=more).status_code == 400
    assert keystone.client.post(path, as_=keystone.admin, json=body).status_code == 403
    assert keystone.client.delete(f"{path}/{credential['id']}", as_=keystone.demo).status_code == 204
    assert keystone.status(token) == 401
    assert keystone.client.get(f"{path}/{credential['id']}", as_=keystone.demo).status_code == 404


def test_a_default_project_must_be_a_project(keystone):
    domain = keystone.make("domain", name="d")
    body = {"user": {"name": "u", "default_project_id": domain["id"]}}
    assert keystone.client.post("/v3/users", as_=keystone.admin, json=body).status_code == 400
    user = keystone.make("user", name="u", default_project_id="f" * 32, password="pw")
    assert user["default_project_id"] == "f" * 32
    assert "project" not in keystone.login("u", "pw").json["token"]


def test_immutable_roles(keystone):
    role = keystone.find("roles", "reader")
    assert delete(keystone, f"roles/{role}") == 403
    assert patch(keystone, f"roles/{role}", role={"name": "x"}).status_code == 403
    assert patch(keystone, f"roles/{role}", role={"options": {"immutable": False}}).status_code == 200
    assert delete(keystone, f"roles/{role}") == 204


def test_immutable_projects(keystone):
    project = keystone.make("project", name="p", options={"immutable": True})
    path = f"projects/{project['id']}"
    assert patch(keystone, path, project={"name": "x"}).status_code == 403
    assert delete(keystone, path) == 403
    assert patch(keystone, path, project={"options": {"immutable": None}}).json["project"]["options"] == {}
    assert delete(keystone, path) == 204


@pytest.mark.parametrize("url", ["http://x/%(nothing)s", "http://x/%(project_id)9999s", "nothing", "%(project_id"])
def test_urls_that_cannot_be_filled_in(keystone, url):
    service = keystone.make("service", type="t")
    body = {"endpoint": {"service_id": service["id"], "interface": "public", "url": url}}
    assert keystone.client.post("/v3/endpoints", as_=keystone.admin, json=body).status_code == 400


def test_old_hashes_verify(keystone):
    assert passwords.verify("pw", bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode())
    assert not passwords.verify("no", bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode())
    assert passwords.hash_password("pw").startswith("$argon2id$")
    assert not passwords.verify("pw", None)
    assert not passwords.verify("pw", "nonsense")
    assert keystone.login("admin", ADMIN_PASSWORD).status_code == 201


def test_new_hashes_cost_what_they_should():
    """The module as it is loaded by the product: the tests hash more cheaply."""
    hashed = runpy.run_path(passwords.__file__)["hash_password"]("pw")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify("pw", hashed)


def test_ec2_keys(keystone):
    user, project = keystone.find("users", "demo"), keystone.find("projects", "demo")
    path = f"/v3/users/{user}/credentials/OS-EC2"
    made = keystone.client.post(path, as_=keystone.demo, json={"tenant_id": project})
    assert made.status_code == 201, made.text
    key = made.json["credential"]
    assert key["tenant_id"] == project
    assert keystone.client.get(path, as_=keystone.demo).json["credentials"] == [key]
    assert keystone.client.get(f"{path}/{key['access']}", as_=keystone.demo).json["credential"] == key
    admin = keystone.find("users", "admin")
    theirs = f"/v3/users/{admin}/credentials/OS-EC2"
    assert keystone.client.get(theirs, as_=keystone.demo).status_code == 403
    assert keystone.client.post(theirs, as_=keystone.demo, json={"tenant_id": project}).status_code == 403
    assert keystone.client.delete(f"{path}/{key['access']}", as_=keystone.demo).status_code == 204
    assert keystone.client.get(f"{path}/{key['access']}", as_=keystone.demo).status_code == 404
    assert keystone.client.get(f"{theirs}/{key['access']}", as_=keystone.demo).status_code == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type=compute", {"nova"}),
        ("type__contains=omput", {"nova"}),
        ("type__icontains=OMPUT", {"nova"}),
        ("type__contains=OMPUT", set()),
        ("name__startswith=no", {"nova"}),
        ("name__endswith=tron", {"neutron"}),
        ("type=compute&name=neutron", set()),
    ],
)
def test_filters_of_services(keystone, query, names):
    assert {row["name"] for row in get(keystone, f"services?{query}").json["services"]} == names


def test_filters_of_endpoints(keystone):
    service = keystone.make("service", type="t")["id"]
    for interface, region in (("public", "RegionOne"), ("public", "Two"), ("admin", "Two"), ("internal", None)):
        keystone.make("endpoint", service_id=service, interface=interface, region=region, url="http://x")

    def count(query):
        return len(get(keystone, f"endpoints?service_id={service}&{query}").json["endpoints"])

    assert [count(query) for query in ("", "interface=public", "region_id=Two", "region=Two&interface=admin")] == [
        4, 2, 2, 1
    ]  # fmt: skip
    assert len(get(keystone, "endpoints?interface=admin").json["endpoints"]) == 6


def test_what_is_disabled_is_in_no_catalog(keystone):
    service = keystone.make("service", type="backup")["id"]
    endpoint = keystone.make("endpoint", service_id=service, interface="public", url="http://x")["id"]

    def shown():
        entries = keystone.client.get("/v3/auth/catalog", as_=keystone.demo).json["catalog"]
        return [len(entry["endpoints"]) for entry in entries if entry["type"] == "backup"]

    assert shown() == [1]
    patch(keystone, f"endpoints/{endpoint}", endpoint={"enabled": False})
    assert shown() == [0]
    patch(keystone, f"endpoints/{endpoint}", endpoint={"enabled": True})
    patch(keystone, f"services/{service}", service={"enabled": False})
    assert shown() == []
    assert get(keystone, f"services/{service}").json["service"]["enabled"] is False


def test_regions_by_id(keystone):
    made = keystone.client.put("/v3/regions/a", as_=keystone.admin, json={"region": {"parent_region_id": "RegionOne"}})
    assert made.json["region"]["parent_region_id"] == "RegionOne"
    again = keystone.client.put("/v3/regions/a", as_=keystone.admin, json={"region": {}})
    assert again.status_code == 409
    assert again.json["error"]["message"] == "Conflict occurred attempting to store region - Duplicate ID, a.."
    other = keystone.client.put("/v3/regions/b", as_=keystone.admin, json={"region": {"id": "c"}})
    assert other.status_code == 400
    assert other.json["error"]["message"] == 'Conflicting region IDs specified: "b" != "c"'
    orphan = keystone.client.post("/v3/regions", as_=keystone.admin, json={"region": {"parent_region_id": "none"}})
    assert (orphan.status_code, orphan.json["error"]["message"]) == (404, "Could not find region: none.")
    assert get(keystone, "regions?parent_region_id=RegionOne").json["regions"] == [made.json["region"]]
    assert len(keystone.make("region", description="d")["id"]) == 32


def test_a_region_with_endpoints_below_it_stays(keystone):
    keystone.make("region", id="up")
    keystone.make("region", id="down", parent_region_id="up")
    service = keystone.make("service", type="t")["id"]
    endpoint = keystone.make("endpoint", service_id=service, interface="public", region_id="down", url="http://x")
    refused = keystone.client.delete("/v3/regions/up", as_=keystone.admin)
    assert refused.status_code == 403
    assert refused.json["error"]["message"] == (
        "Unable to delete region up because it or its child regions have associated endpoints."
    )
    assert delete(keystone, f"endpoints/{endpoint['id']}") == 204
    assert delete(keystone, "regions/up") == 204


def test_an_endpoint_moves_to_a_region_that_is_made_for_it(keystone):
    service = keystone.make("service", type="t")["id"]
    endpoint = keystone.make("endpoint", service_id=service, interface="public", url="http://x")
    assert endpoint["region_id"] is None
    body = {"region_id": "none"}
    answer = patch(keystone, f"endpoints/{endpoint['id']}", endpoint=body)
    assert answer.status_code == 400
    assert answer.json["error"]["message"].startswith("Expecting to find endpoint region_id in region table.")
    moved = patch(keystone, f"endpoints/{endpoint['id']}", endpoint={"region": "new"}).json["endpoint"]
    assert (moved["region"], moved["region_id"]) == ("new", "new")
    assert get(keystone, "regions/new").status_code == 200
