"""Tokens over the wire: getting them, what they say, when they end."""

from __future__ import annotations

import pytest

from onestack.identity import public
from onestack.identity.keys import KeyRepository
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD


def subject(token):
    return {"X-Subject-Token": token}


def test_versions(keystone):
    root = keystone.client.get("/", as_=None)
    assert root.status_code == 300
    assert root.json["versions"]["values"][0]["id"] == "v3.14"
    v3 = keystone.client.get("/v3/", as_=None)
    assert v3.json["version"]["links"][0]["href"].endswith("/v3/")


def test_a_project_token_says_who_where_and_what(keystone):
    answer = keystone.login("demo", DEMO_PASSWORD, keystone.on("demo"))
    token = answer.json["token"]
    assert token["user"]["name"] == "demo"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"]["name"] == "demo"
    assert token["is_domain"] is False
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token["methods"] == ["password"]
    assert len(token["audit_ids"]) == 1
    assert token["expires_at"].endswith("Z")
    assert len(answer.headers["x-subject-token"]) < 255


def test_the_catalog_follows_the_settings(keystone):
    catalog = keystone.login("demo", DEMO_PASSWORD, keystone.on("demo")).json["token"]["catalog"]
    by_type = {entry["type"]: entry for entry in catalog}
    urls = {e["interface"]: e["url"] for e in by_type["identity"]["endpoints"]}
    assert urls == {
        "public": "http://127.0.0.1:5000/v3",
        "internal": "http://127.0.0.1:5000/v3",
        "admin": "http://127.0.0.1:35357/v3",
    }
    project = keystone.find("projects", "demo")
    assert by_type["compute"]["endpoints"][0]["url"] == f"http://127.0.0.1:8774/v2.1/{project}"
    assert {"image", "network", "placement"} <= set(by_type)


def test_scopes(keystone):
    system = keystone.login("admin", ADMIN_PASSWORD, {"system": {"all": True}}).json["token"]
    assert system["system"] == {"all": True}
    assert "project" not in system
    compute = next(entry for entry in system["catalog"] if entry["type"] == "compute")
    assert compute["endpoints"] == []
    domain = keystone.login("admin", ADMIN_PASSWORD, {"domain": {"name": "Default"}}).json["token"]
    assert domain["domain"] == {"id": "default", "name": "Default"}
    unscoped = keystone.login("admin", ADMIN_PASSWORD, "unscoped").json["token"]
    assert not {"roles", "catalog", "project", "domain", "system"} & set(unscoped)
    default = keystone.login("admin", ADMIN_PASSWORD).json["token"]
    assert default["project"]["name"] == "admin"


@pytest.mark.parametrize(
    ("name", "password", "scope"),
    [
        ("demo", "wrong", None),
        ("nobody", "wrong", None),
        ("demo", DEMO_PASSWORD, {"project": {"name": "admin", "domain": {"id": "default"}}}),
        ("demo", DEMO_PASSWORD, {"project": {"id": "none"}}),
        ("demo", DEMO_PASSWORD, {"domain": {"id": "default"}}),
        ("demo", DEMO_PASSWORD, {"system": {"all": True}}),
        ("demo", DEMO_PASSWORD, {"OS-TRUST:trust": {"id": "x"}}),
        ("demo", "x" * 5000, None),
    ],
)
def test_every_failure_is_the_same_401(keystone, name, password, scope):
    answer = keystone.login(name, password, scope)
    assert answer.status_code == 401
    assert answer.json["error"]["message"] == "The request you have made requires authentication."


@pytest.mark.parametrize(
    "auth",
    [
        None, [], {}, {"identity": {}}, {"identity": {"methods": []}}, {"identity": {"methods": ["password"]}},
        {"identity": {"methods": ["password"], "password": {}}},
        {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": 5}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "a", "password": "x"}}}, "scope": {}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "a", "password": "x"}}}, "scope": 5},
        {"identity": {"methods": ["token"], "token": {"id": 7}}},
    ],
)  # fmt: skip
def test_malformed_requests_are_400(keystone, auth):
    answer = keystone.client.post("/v3/auth/tokens", as_=None, json={"auth": auth})
    assert answer.status_code == 400, answer.text
    assert answer.json["error"]["code"] == 400


def test_validation_shows_the_token_and_revocation_ends_it(keystone):
    token = keystone.token("demo", DEMO_PASSWORD, keystone.on("demo"))
    shown = keystone.client.get("/v3/auth/tokens", as_=keystone.admin, headers=subject(token))
    assert shown.status_code == 200
    assert shown.headers["x-subject-token"] == token
    assert "catalog" in shown.json["token"]
    short = keystone.client.get("/v3/auth/tokens?nocatalog", as_=keystone.admin, headers=subject(token))
    assert "catalog" not in short.json["token"]
    assert keystone.client.head("/v3/auth/tokens", as_=token, headers=subject(token)).status_code == 200
    assert keystone.client.delete("/v3/auth/tokens", as_=token, headers=subject(token)).status_code == 204
    assert keystone.status(token) == 401
    gone = keystone.client.get("/v3/auth/tokens", as_=keystone.admin, headers=subject(token))
    assert gone.status_code == 404


def test_only_the_owner_and_the_privileged_may_look_at_a_token(keystone):
    answer = keystone.client.get("/v3/auth/tokens", as_=keystone.demo, headers=subject(keystone.admin))
    assert answer.status_code == 403
    assert answer.json["error"]["message"] == (
        "You are not authorized to perform the requested action: identity:validate_token."
    )
    assert keystone.client.get("/v3/auth/tokens", as_=None, headers=subject(keystone.admin)).status_code == 401
    assert keystone.client.get("/v3/auth/tokens", as_=keystone.admin).status_code == 404
    assert keystone.client.get("/v3/auth/tokens", as_=keystone.admin, headers=subject("x")).status_code == 404


def test_a_token_for_a_token(keystone):
    first = keystone.login("admin", ADMIN_PASSWORD, "unscoped")
    keystone.cloud.clock.advance(600)
    identity = {"methods": ["token"], "token": {"id": first.headers["x-subject-token"]}}
    body = {"auth": {"identity": identity, "scope": keystone.on("admin")}}
    second = keystone.client.post("/v3/auth/tokens", as_=None, json=body).json["token"]
    assert second["methods"] == ["token", "password"]
    assert second["expires_at"] == first.json["token"]["expires_at"]
    assert second["audit_ids"][1] == first.json["token"]["audit_ids"][0]
    assert second["audit_ids"][0] != first.json["token"]["audit_ids"][0]


def test_tokens_expire_but_services_may_finish_what_was_begun(keystone):
    keystone.cloud.clock.advance(3601)
    assert keystone.status(keystone.demo) == 401
    admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    plain = keystone.client.get("/v3/auth/tokens", as_=admin, headers=subject(keystone.demo))
    assert plain.status_code == 404
    late = keystone.client.get("/v3/auth/tokens?allow_expired=1", as_=admin, headers=subject(keystone.demo))
    assert late.status_code == 200
    assert keystone.status(keystone.demo) == 401


def test_forged_tokens_are_nothing(keystone):
    token = keystone.demo
    for forged in (token[:-4] + "AAAA", "A" + token[1:], "", "a" * 5000, token + "==", "ü"):
        assert keystone.cloud.authenticate(forged) is None or forged == token + "=="


def change_password(keystone, user_id):
    keystone.client.patch(f"/v3/users/{user_id}", as_=keystone.admin, json={"user": {"password": "new"}})


def disable_user(keystone, user_id):
    keystone.client.patch(f"/v3/users/{user_id}", as_=keystone.admin, json={"user": {"enabled": False}})
    keystone.client.patch(f"/v3/users/{user_id}", as_=keystone.admin, json={"user": {"enabled": True}})


def delete_user(keystone, user_id):
    keystone.client.delete(f"/v3/users/{user_id}", as_=keystone.admin)


def disable_project(keystone, user_id):
    project = keystone.find("projects", "demo")
    keystone.client.patch(f"/v3/projects/{project}", as_=keystone.admin, json={"project": {"enabled": False}})


def delete_project(keystone, user_id):
    keystone.client.delete(f"/v3/projects/{keystone.find('projects', 'demo')}", as_=keystone.admin)


def take_role(keystone, user_id):
    project, role = keystone.find("projects", "demo"), keystone.find("roles", "member")
    path = f"/v3/projects/{project}/users/{user_id}/roles/{role}"
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204


@pytest.mark.parametrize(
    "act", [change_password, disable_user, delete_user, disable_project, delete_project, take_role]
)
def test_what_ends_a_token_ends_it_at_once(keystone, act):
    assert keystone.status(keystone.demo) == 200
    keystone.cloud.clock.advance(1)
    act(keystone, keystone.find("users", "demo"))
    assert keystone.status(keystone.demo) == 401
    assert keystone.status(keystone.admin) == 200


def test_a_revocation_is_in_force_in_another_process_too(keystone):
    other = public.authenticator(keystone.cloud)
    assert other(keystone.demo).project_name == "demo"
    keystone.client.delete("/v3/auth/tokens", as_=keystone.demo, headers=subject(keystone.demo))
    assert other(keystone.demo) is None


def test_new_roles_count_for_old_tokens(keystone):
    assert not keystone.cloud.authenticate(keystone.demo).is_admin
    project, user = keystone.find("projects", "demo"), keystone.find("users", "demo")
    role = keystone.find("roles", "admin")
    keystone.client.put(f"/v3/projects/{project}/users/{user}/roles/{role}", as_=keystone.admin)
    assert keystone.cloud.authenticate(keystone.demo).roles == ["admin", "manager", "member", "reader"]


def test_a_password_change_by_its_owner(keystone):
    user = keystone.find("users", "demo")
    keystone.cloud.clock.advance(1)
    path = f"/v3/users/{user}/password"
    wrong = {"user": {"original_password": "no", "password": "new"}}
    assert keystone.client.post(path, as_=None, json=wrong).status_code == 401
    right = {"user": {"original_password": DEMO_PASSWORD, "password": "new"}}
    assert keystone.client.post(path, as_=None, json=right).status_code == 204
    assert keystone.status(keystone.demo) == 401
    keystone.cloud.clock.advance(1)
    assert keystone.status(keystone.token("demo", "new", keystone.on("demo"))) == 200


def test_tokens_survive_two_key_rotations(keystone):
    repository = KeyRepository(keystone.cloud.settings.path("keys", "fernet"))
    assert repository.numbers() == [0, 1]
    repository.rotate()
    fresh = public.authenticator(keystone.cloud)
    assert fresh(keystone.demo) is not None
    newer = keystone.token("demo", DEMO_PASSWORD)
    repository.rotate()
    assert public.authenticator(keystone.cloud)(newer) is not None
    assert repository.numbers() == [0, 2, 3]
    assert public.authenticator(keystone.cloud)(keystone.demo) is None
    modes = {oct(file.stat().st_mode & 0o777) for file in repository.directory.iterdir()}
    assert modes == {"0o600"}


def test_what_the_token_lets_see(keystone):
    client = keystone.client
    assert [p["name"] for p in client.get("/v3/auth/projects", as_=keystone.demo).json["projects"]] == ["demo"]
    assert client.get("/v3/auth/domains", as_=keystone.demo).json["domains"] == []
    assert client.get("/v3/auth/system", as_=keystone.admin).json["system"] == [{"all": True}]
    assert client.get("/v3/auth/system", as_=keystone.demo).json["system"] == []
    assert client.get("/v3/auth/catalog", as_=keystone.demo).json["catalog"]
    unscoped = keystone.token("admin", ADMIN_PASSWORD, "unscoped")
    assert client.get("/v3/auth/catalog", as_=unscoped).status_code == 403


def test_bootstrap_again_changes_nothing(keystone):
    before = keystone.client.get("/v3/role_assignments", as_=keystone.admin).json["role_assignments"]
    public.bootstrap(keystone.cloud, admin_password="other", demo_password="other")
    assert keystone.status(keystone.admin) == 200
    after = keystone.client.get("/v3/role_assignments", as_=keystone.admin).json["role_assignments"]
    assert before == after
    assert keystone.login("admin", ADMIN_PASSWORD).status_code == 201
    public.bootstrap(keystone.cloud, admin_password="other", reset_passwords=True)
    keystone.cloud.clock.advance(1)
    assert keystone.login("admin", "other").status_code == 201
