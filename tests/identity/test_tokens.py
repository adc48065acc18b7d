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


_PW = {"methods": ["password"], "password": {"user": {"id": "f" * 32, "password": "x"}}}
_INPUT = "Invalid input for field"
_SCOPE = "Expecting to find system, project, domain, OS-TRUST:trust or unscoped in scope."


def _user(**values):
    return {"identity": {"methods": ["password"], "password": {"user": {"password": "x"} | values}}}


def _app(**values):
    return {"identity": {"methods": ["application_credential"], "application_credential": values}}


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        (None, "Expecting to find auth in request body."),
        ([], "[] is not of type 'object'"),
        ({}, "'identity' is a required property"),
        ({"identity": {}}, f"{_INPUT} 'identity': 'methods' is a required property"),
        ({"identity": {"methods": "x"}}, f"{_INPUT} 'identity/methods': 'x' is not of type 'array'"),
        ({"identity": {"methods": [5]}}, f"{_INPUT} 'identity/methods/0': 5 is not of type 'string'"),
        ({"identity": {"methods": ["password"]}}, "Expecting to find password in identity."),
        ({"identity": {"methods": ["nothing"]}}, "Expecting to find nothing in identity."),
        ({"identity": {"methods": ["password"], "password": {}}}, "Expecting to find user in None."),
        ({"identity": {"methods": ["totp"], "totp": {}}}, "Expecting to find user in None."),
        ({"identity": {"methods": ["totp"], "totp": "x"}}, "Expecting to find user in None."),
        ({"identity": {"methods": ["totp"], "totp": None}}, "Expecting to find totp in identity."),
        ({"identity": {"methods": ["token"], "token": {}}}, f"{_INPUT} 'identity/token': 'id' is a required property"),
        ({"identity": {"methods": ["token"], "token": {"id": 7}}}, f"{_INPUT} 'identity/token/id': *** is not"),
        (_user(), f"{_INPUT} identity/password/user: id or name must be present."),
        (_user(id=""), "Expecting to find id or name in user."),
        (_user(name="a"), "Expecting to find domain in user."),
        (_user(name="a", domain={}), f"{_INPUT} identity/password/user/domain: id or name must be present."),
        (_user(name="a", domain={"id": ""}), "Expecting to find id or name in domain."),
        (_user(name="a", password=5), f"{_INPUT} 'identity/password/user/password': *** is not of type 'string'"),
        (_app(secret="x"), "Expecting to find name or ID in application credential."),
        (_app(secret="x", name="a"), "Expecting to find user in application credential."),
        (_app(secret="x", name="a", user={"name": "b"}), "Expecting to find domain in user."),
        ({"identity": _PW, "scope": None}, f"{_INPUT} 'scope': None is not of type 'object', 'string'"),
        ({"identity": _PW, "scope": 5}, f"{_INPUT} 'scope': 5 is not of type 'object', 'string'"),
        ({"identity": _PW, "scope": {}}, _SCOPE),
        ({"identity": _PW, "scope": "all"}, _SCOPE),
        ({"identity": _PW, "scope": {"system": {}, "domain": {"id": "x"}}}, _SCOPE),
        ({"identity": _PW, "scope": {"system": "all"}}, f"{_INPUT} 'scope/system': 'all' is not of type 'object'"),
        ({"identity": _PW, "scope": {"system": {"all": 1}}}, f"{_INPUT} 'scope/system/all': 1 is not"),
        ({"identity": _PW, "scope": {"project": {}}}, f"{_INPUT} scope/project: id or name must be present."),
        ({"identity": _PW, "scope": {"project": {"name": "x"}}}, "Expecting to find domain in project."),
        ({"identity": _PW, "scope": {"domain": {}}}, f"{_INPUT} scope/domain: id or name must be present."),
        ({"identity": _PW, "scope": {"OS-TRUST:trust": {}}}, "Expecting to find trust_id in trust."),
    ],
)  # fmt: skip
def test_malformed_requests_are_400(keystone, auth, words):
    answer = keystone.client.post("/v3/auth/tokens", as_=None, json={"auth": auth})
    assert answer.status_code == 400, answer.text
    assert answer.json["error"]["message"].startswith(words)
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("auth", "status", "words", "more"),
    [
        ({"identity": {"methods": []}}, 401, "The request you have made requires authentication.", None),
        (_user(id="f" * 32, password="x"), 401, "The request you have made requires authentication.", None),
        ({"identity": _PW | {"password": {"user": {"id": "f" * 32}}}}, 401, "The request you have made", None),
        ({"identity": {"methods": ["no"], "no": {}}}, 401, "Attempted to authenticate with an unsup", "methods"),
        (_app(id="x") | {"scope": {}}, 401, "Error authenticating with application credential: Application cred", ""),
        (_app(id="f" * 32, secret="x"), 404, f"Could not find Application Credential: {'f' * 32}.", None),
        (_app(name="x", secret="x", user={"id": "f" * 32}), 401, "The request you have made requires authentica", None),
        ({"identity": {"methods": ["token"], "token": {"id": ""}}}, 404, "No token in the request", None),
        ({"identity": {"methods": ["token"], "token": {"id": "no"}}}, 404, "Could not recognize Fernet token", None),
    ],
)  # fmt: skip
def test_who_is_not_let_in_is_told_where_tokens_are(keystone, auth, status, words, more):
    answer = keystone.client.post("/v3/auth/tokens", as_=None, json={"auth": auth})
    assert (answer.status_code, answer.json["error"]["message"][: len(words)]) == (status, words)
    challenge = 'Keystone uri="http://falconframework.org/v3"' if status == 401 else None
    assert answer.headers.get("www-authenticate") == challenge
    assert ("identity" in answer.json["error"]) == (more is not None)
    if more:
        assert "password" in answer.json["error"]["identity"][more]


def test_the_system_is_all_of_it_whatever_is_said(keystone):
    for system in ({}, {"all": False}, {"all": True, "more": 1}):
        shown = keystone.login("admin", ADMIN_PASSWORD, {"system": system}).json["token"]
        assert shown["system"] == {"all": True}
    assert keystone.login("demo", DEMO_PASSWORD, {"system": {}}).status_code == 401


def test_a_name_counts_before_an_id(keystone):
    user = {"id": "none", "name": "demo", "domain": {"id": "none", "name": "Default"}, "password": DEMO_PASSWORD}
    scope = {"project": {"id": "none", "name": "demo", "domain": {"id": "none", "name": "Default"}}}
    answer = keystone.client.post("/v3/auth/tokens", as_=None, json=keystone.body(user, scope))
    assert answer.json["token"]["project"]["name"] == "demo"


def test_no_body_is_an_empty_one(keystone):
    answer = keystone.client.post("/v3/auth/tokens", as_=None)
    assert (answer.status_code, answer.json["error"]["message"][:22]) == (400, "Expecting to find auth")


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
    for word in ("false", "0", "no", "maybe", ""):
        path = f"/v3/auth/tokens?allow_expired={word}"
        assert keystone.client.get(path, as_=admin, headers=subject(keystone.demo)).status_code == 404, word
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
