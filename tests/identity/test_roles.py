"""Grants, what follows from them, and who may do what."""

from __future__ import annotations

import pytest

from onestack.identity import public, service
from tests.identity.conftest import ADMIN_PASSWORD, Keystone


@pytest.fixture
def world(keystone):
    """A domain of its own with a project tree, a user with a password and a group that they are in."""
    domain = keystone.make("domain", name="d")["id"]
    top = keystone.make("project", name="top", domain_id=domain)["id"]
    leaf = keystone.make("project", name="leaf", domain_id=domain, parent_id=top)["id"]
    user = keystone.make("user", name="u", password="pw", domain_id=domain)["id"]
    group = keystone.make("group", name="g", domain_id=domain)["id"]
    keystone.client.put(f"/v3/groups/{group}/users/{user}", as_=keystone.admin)
    return {"domain": domain, "top": top, "leaf": leaf, "user": user, "group": group}


def grant(keystone, path, role="member", status=204):
    suffix = "/inherited_to_projects" if "OS-INHERIT" in path else ""
    url = f"/v3/{path}/roles/{keystone.find('roles', role)}{suffix}"
    assert keystone.client.put(url, as_=keystone.admin).status_code == status
    return url


def roles(keystone, world, scope):
    answer = keystone.login("u", "pw", scope, world["domain"])
    return [role["name"] for role in answer.json["token"]["roles"]] if answer.status_code == 201 else answer.status_code


CASES = [
    ("projects/{top}/users/{user}", "top", ["member", "reader"]),
    ("projects/{top}/users/{user}", "leaf", 401),
    ("projects/{top}/groups/{group}", "top", ["member", "reader"]),
    ("OS-INHERIT/projects/{top}/users/{user}", "leaf", ["member", "reader"]),
    ("OS-INHERIT/projects/{top}/users/{user}", "top", 401),
    ("OS-INHERIT/domains/{domain}/groups/{group}", "leaf", ["member", "reader"]),
    ("OS-INHERIT/domains/{domain}/users/{user}", "domain", 401),
    ("domains/{domain}/users/{user}", "domain", ["member", "reader"]),
    ("domains/{domain}/groups/{group}", "top", 401),
    ("system/users/{user}", "system", ["member", "reader"]),
    ("system/groups/{group}", "system", ["member", "reader"]),
]


@pytest.mark.parametrize(("path", "where", "expected"), CASES)
def test_where_a_grant_counts(keystone, world, path, where, expected):
    scope = {
        "domain": {"domain": {"id": world["domain"]}},
        "system": {"system": {"all": True}},
    }.get(where) or {"project": {"id": world[where]}}
    assert roles(keystone, world, scope) == 401
    url = grant(keystone, path.format(**world))
    assert roles(keystone, world, scope) == expected
    assert keystone.client.head(url, as_=keystone.admin).status_code == 204
    listing = url.replace("/" + keystone.find("roles", "member"), "")
    assert [role["name"] for role in keystone.client.get(listing, as_=keystone.admin).json["roles"]] == ["member"]
    assert keystone.client.delete(url, as_=keystone.admin).status_code == 204
    assert keystone.client.delete(url, as_=keystone.admin).status_code == 404
    assert roles(keystone, world, scope) == 401


def assignments(keystone, query):
    answer = keystone.client.get(f"/v3/role_assignments?{query}", as_=keystone.admin)
    assert answer.status_code == 200, answer.text
    return answer.json["role_assignments"]


def test_assignments_as_made(keystone, world):
    grant(keystone, f"projects/{world['top']}/groups/{world['group']}")
    grant(keystone, f"OS-INHERIT/domains/{world['domain']}/users/{world['user']}", "reader")
    (found,) = assignments(keystone, f"group.id={world['group']}")
    assert found["group"] == {"id": world["group"]}
    assert found["scope"] == {"project": {"id": world["top"]}}
    assert "/v3/projects/" in found["links"]["assignment"]
    (found,) = assignments(keystone, f"user.id={world['user']}&include_names")
    assert found["scope"]["OS-INHERIT:inherited_to"] == "projects"
    assert found["scope"]["domain"]["name"] == "d"
    assert found["user"] == {"id": world["user"], "name": "u", "domain": {"id": world["domain"], "name": "d"}}
    assert found["role"]["name"] == "reader"
    assert assignments(keystone, f"scope.project.id={world['leaf']}") == []
    tree = assignments(keystone, f"scope.project.id={world['top']}&include_subtree")
    assert len(tree) == 1
    assert len(assignments(keystone, "scope.system=all")) == 1


def test_assignments_that_follow(keystone, world):
    grant(keystone, f"projects/{world['top']}/groups/{world['group']}")
    grant(keystone, f"OS-INHERIT/domains/{world['domain']}/users/{world['user']}", "reader")
    found = assignments(keystone, f"effective&include_names&user.id={world['user']}")
    what = {(item["scope"]["project"]["name"], item["role"]["name"]) for item in found}
    assert what == {("top", "member"), ("top", "reader"), ("leaf", "reader")}
    assert all("group" not in item for item in found)
    assert any("membership" in item["links"] for item in found)
    assert any("prior_role" in item["links"] for item in found)
    only = assignments(keystone, f"effective&scope.project.id={world['leaf']}")
    assert [item["user"]["id"] for item in only] == [world["user"]]
    reader = keystone.find("roles", "reader")
    assert len(assignments(keystone, f"effective&role.id={reader}&user.id={world['user']}")) == 3


@pytest.mark.parametrize(
    "query",
    ["user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "scope.system=all&scope.domain.id=b",
     "effective&group.id=a", "include_subtree"],
)  # fmt: skip
def test_filters_that_make_no_sense(keystone, query):
    assert keystone.client.get(f"/v3/role_assignments?{query}", as_=keystone.admin).status_code == 400


def test_implied_roles(keystone, world):
    prior, implied = keystone.make("role", name="boss")["id"], keystone.find("roles", "reader")
    path = f"/v3/roles/{prior}/implies/{implied}"
    client, admin = keystone.client, keystone.admin
    assert client.get(path, as_=admin).status_code == 404
    made = client.put(path, as_=admin)
    assert made.status_code == 201
    assert made.json["role_inference"]["implies"]["name"] == "reader"
    assert client.head(path, as_=admin).status_code == 204
    grant(keystone, f"projects/{world['top']}/users/{world['user']}", "boss")
    assert roles(keystone, world, {"project": {"id": world["top"]}}) == ["boss", "reader"]
    listed = client.get("/v3/role_inferences", as_=admin).json["role_inferences"]
    assert {"boss", "admin", "manager", "member"} == {item["prior_role"]["name"] for item in listed}
    assert client.get(f"/v3/roles/{prior}/implies", as_=admin).json["role_inference"]["implies"][0]["id"] == implied
    assert client.delete(path, as_=admin).status_code == 204
    assert roles(keystone, world, {"project": {"id": world["top"]}}) == ["boss"]
    to_admin = f"/v3/roles/{prior}/implies/{keystone.find('roles', 'admin')}"
    assert client.put(to_admin, as_=admin).status_code == 403


def test_roles_of_a_domain_stand_for_what_they_imply(keystone, world):
    own = keystone.make("role", name="local", domain_id=world["domain"])["id"]
    reader = keystone.find("roles", "reader")
    keystone.client.put(f"/v3/roles/{own}/implies/{reader}", as_=keystone.admin)
    path = f"/v3/projects/{world['top']}/users/{world['user']}/roles/{own}"
    assert keystone.client.put(path, as_=keystone.admin).status_code == 204
    assert roles(keystone, world, {"project": {"id": world["top"]}}) == ["reader"]
    demo = keystone.find("projects", "demo")
    wrong = f"/v3/projects/{demo}/users/{world['user']}/roles/{own}"
    assert keystone.client.put(wrong, as_=keystone.admin).status_code == 403
    assert keystone.client.get("/v3/roles?name=local", as_=keystone.admin).json["roles"] == []
    listed = keystone.client.get(f"/v3/roles?domain_id={world['domain']}", as_=keystone.admin).json["roles"]
    assert [role["name"] for role in listed] == ["local"]


def test_a_stranger_may_do_nothing(keystone, world):
    demo = keystone.demo
    admin = keystone.find("users", "admin")
    role = keystone.find("roles", "admin")
    own = keystone.find("projects", "demo")
    me = keystone.find("users", "demo")
    denied = [
        ("GET", "/v3/users"), ("GET", "/v3/projects"), ("GET", "/v3/groups"), ("GET", "/v3/roles"),
        ("GET", "/v3/services"), ("GET", "/v3/endpoints"), ("GET", "/v3/role_assignments"), ("GET", "/v3/domains"),
        ("GET", f"/v3/users/{admin}"), ("GET", "/v3/users/none"), ("DELETE", f"/v3/users/{me}"),
        ("PUT", f"/v3/projects/{own}/users/{me}/roles/{role}"), ("PUT", f"/v3/system/users/{me}/roles/{role}"),
        ("GET", f"/v3/projects/{world['top']}"), ("GET", f"/v3/projects/{own}/users/{me}/roles"),
        ("DELETE", f"/v3/projects/{own}"), ("DELETE", "/v3/domains/default"),
        ("GET", f"/v3/users/{admin}/application_credentials"), ("GET", f"/v3/users/{admin}/projects"),
    ]  # fmt: skip
    for method, path in denied:
        answer = keystone.client.request(method, path, as_=demo)
        assert answer.status_code == 403, (method, path, answer.text)
    for path in (f"/v3/users/{me}", f"/v3/projects/{own}", f"/v3/users/{me}/projects", f"/v3/users/{me}/groups",
                 "/v3/regions", "/v3/domains/default"):  # fmt: skip
        assert keystone.client.get(path, as_=demo).status_code == 200, path
    body = {"user": {"enabled": True, "password": "x"}}
    assert keystone.client.patch(f"/v3/users/{me}", as_=demo, json=body).status_code == 403
    assert keystone.client.post("/v3/projects", as_=demo, json={"project": {"name": "x"}}).status_code == 403


def test_the_manager_of_a_domain(keystone, world):
    grant(keystone, f"domains/{world['domain']}/users/{world['user']}", "manager")
    scope = {"domain": {"id": world["domain"]}}
    token = keystone.token("u", "pw", scope, world["domain"])
    client = keystone.client
    project = client.post("/v3/projects", as_=token, json={"project": {"name": "mine", "domain_id": world["domain"]}})
    assert project.status_code == 201
    user = client.post("/v3/users", as_=token, json={"user": {"name": "new", "domain_id": world["domain"]}})
    assert user.status_code == 201
    path = f"/v3/projects/{project.json['project']['id']}/users/{user.json['user']['id']}/roles/"
    assert client.put(path + keystone.find("roles", "member"), as_=token).status_code == 204
    assert client.put(path + keystone.find("roles", "admin"), as_=token).status_code == 403
    listed = client.get("/v3/projects", as_=token).json["projects"]
    assert {item["domain_id"] for item in listed} == {world["domain"]}
    assert {item["domain_id"] for item in client.get("/v3/users", as_=token).json["users"]} == {world["domain"]}
    elsewhere = {"project": {"name": "theirs", "domain_id": "default"}}
    assert client.post("/v3/projects", as_=token, json=elsewhere).status_code == 403
    assert client.get("/v3/services", as_=token).status_code == 403
    seen = client.get("/v3/role_assignments", as_=token).json["role_assignments"]
    assert seen
    assert all("system" not in item["scope"] for item in seen)


def test_an_admin_of_one_domain_is_not_admin_of_the_cloud(keystone, world):
    grant(keystone, f"domains/{world['domain']}/users/{world['user']}", "admin")
    token = keystone.token("u", "pw", {"domain": {"id": world["domain"]}}, world["domain"])
    for method, path in (("POST", "/v3/domains"), ("POST", "/v3/services"), ("POST", "/v3/roles")):
        body = {path.rsplit("/", 1)[1][:-1]: {"name": "x", "type": "x"}}
        assert keystone.client.request(method, path, as_=token, json=body).status_code == 403
    role = keystone.find("roles", "admin")
    assert keystone.client.put(f"/v3/system/users/{world['user']}/roles/{role}", as_=token).status_code == 403


def test_a_reader_of_the_system_sees_everything_and_changes_nothing(keystone, world):
    grant(keystone, f"system/users/{world['user']}", "reader")
    token = keystone.token("u", "pw", {"system": {"all": True}}, world["domain"])
    for plural in ("users", "projects", "domains", "groups", "roles", "services", "endpoints", "role_assignments"):
        assert keystone.client.get(f"/v3/{plural}", as_=token).status_code == 200, plural
    assert keystone.client.post("/v3/users", as_=token, json={"user": {"name": "x"}}).status_code == 403
    assert keystone.client.delete(f"/v3/users/{world['user']}", as_=token).status_code == 403


def test_the_operators_policy_file_comes_first(cloud, client_of):
    directory = cloud.settings.path("policy")
    directory.mkdir()
    (directory / "identity.yaml").write_text('"identity:list_users": "role:member"\n')
    services = service.build(cloud)
    cloud.db.create_all()
    public.bootstrap(cloud, admin_password=ADMIN_PASSWORD, demo_password="x")
    keystone = Keystone(client_of(services["identity"]), cloud)
    token = keystone.token("demo", "x", keystone.on("demo"))
    assert keystone.client.get("/v3/users", as_=token).status_code == 200
    assert keystone.client.get("/v3/projects", as_=token).status_code == 403
