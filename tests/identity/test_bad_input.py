"""Odd requests on every route: always a 4xx in Keystone's form, never a 500, and nothing done by halves."""

from __future__ import annotations

import random

import pytest

from onestack.identity.routes import ROUTES

ODD = [
    None, True, False, 0, -1, 1.5, 2**40, 2**70, "", " ", "x", "default", "x" * 300, "ü☃", "' or 1=1 --", "../..",
    "%s%n", "http://h/%(nothing)s", "http://h/%(project_id)d", "2026-13-45", [], [1], ["a", "a"], {}, {"id": 1},
    {"all": "x"}, "admin", "public", ["a" * 256], "a,b", {"immutable": 3},
]  # fmt: skip
FIELDS = [
    "name", "description", "enabled", "domain_id", "parent_id", "tags", "options", "id", "links", "email", "password",
    "default_project_id", "is_domain", "type", "blob", "user_id", "project_id", "url", "interface", "region",
    "region_id", "service_id", "parent_region_id", "roles", "secret", "expires_at", "unrestricted", "access_rules",
    "identity", "scope", "original_password", "explicit_domain_id",
    "resource_name", "default_limit", "resource_limit", "filters", "ldap",
]  # fmt: skip
KEYS = ["user", "project", "domain", "group", "role", "service", "endpoint", "region", "credential",
        "application_credential", "auth", "tags", "endpoint_group", "policy", "config", "limit", "registered_limit",
        "limits", "registered_limits"]  # fmt: skip
QUERIES = [
    "", "?name=x", "?name__contains=%25", "?name__icontains=A", "?enabled=maybe", "?limit=0", "?limit=x", "?limit=1",
    "?marker=none", "?limit=99999999999999999999", "?domain_id=%00", "?effective&include_names",
    "?user.id=x&group.id=y",
    "?scope.project.id=x&include_subtree", "?password_expires_at=lt:x", "?password_expires_at=xx:2026-01-01",
    "?tags=a,b&not-tags-any=c", "?parents_as_list&parents_as_ids", "?subtree_as_list",
    "?subtree_as_list&include_limits", "?type__icontains=%E2%82%AC", "?is_domain=1", "?%ff=%ff",
]  # fmt: skip


def path(template: str, ids: list[str], chance: random.Random) -> str:
    parts = [chance.choice(ids) if part.startswith("{") else part for part in template.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize("seed", range(6))
def test_no_odd_request_breaks_anything(keystone, seed):
    chance = random.Random(seed)
    client, admin = keystone.client, keystone.admin
    ids = ["none", "x" * 100, "%C3%BC", "default", "RegionOne"]
    for plural in ("projects", "users", "groups", "roles", "services", "endpoints"):
        ids += [item["id"] for item in client.get(f"/v3/{plural}", as_=admin).json[plural]][:2]
    spare = client.get("/v3/auth/tokens", as_=admin, headers={"X-Subject-Token": admin}).json["token"]
    safe = {spare["user"]["id"], spare["project"]["id"]}  # what the caller stands on
    for route in ROUTES:
        usable = [key for key in ids if key not in safe] if route.method in ("PATCH", "DELETE") else ids
        for _ in range(3):
            more = {}
            if route.body is not None:
                value = {name: chance.choice(ODD) for name in chance.sample(FIELDS, chance.randint(0, 8))}
                if chance.random() < 0.5:
                    value["name"] = f"n{chance.random()}"
                keys = [key for key in KEYS if f"/{key}s" in route.path] or KEYS
                odd = chance.choice([value, value, value, [value], [value, value], chance.choice(ODD)])
                more["json"] = {chance.choice(keys): odd}
            url = path(route.path, usable, chance) + chance.choice(QUERIES)
            answer = client.request(route.method, url, as_=admin, **more)
            assert answer.status_code < 500, (route.method, url, more, answer.text)
            if answer.status_code >= 400 and route.method != "HEAD":
                assert answer.json["error"]["code"] == answer.status_code
    assert keystone.status(admin) == 200


@pytest.mark.parametrize(
    ("plural", "body", "words"),
    [
        ("projects", {}, "'project' is a required property"),
        (
            "projects", {"project": {"a": "b"}},
            "Invalid input for field/attribute project. Value: {'a': 'b'}. 'name' is a required property",
        ),
        (
            "projects", {"project": []},
            "Invalid input for field/attribute project. Value: []. [] is not of type 'object'",
        ),
        (
            "projects", {"project": {"name": ""}},
            "Invalid input for field/attribute name. Value: . '' should be non-empty",
        ),
        (
            "projects", {"project": {"name": "a", "description": 5}},
            "Invalid input for field/attribute description. Value: 5. 5 is not of type 'string', 'null'",
        ),
        ("projects", {"project": {"name": "x" * 65}}, "is too long"),
        ("projects", {"project": {"name": "a", "enabled": "yes"}}, "is not of type 'boolean'"),
        ("projects", {"project": {"name": "a", "domain_id": "none"}}, "Could not find domain: none."),
        ("projects", {"project": {"name": "a", "parent_id": "none"}}, "Could not find project: none."),
        ("users", {"user": {"name": 5}}, "5 is not of type 'string'"),
        (
            "users",
            {"user": {"name": "a", "options": {"odd": 1}}},
            "('odd' was unexpected)",
        ),
        ("endpoints", {"endpoint": {"service_id": "x", "interface": "odd", "url": "http://x"}}, "is not one of"),
        ("endpoints", {"endpoint": {"service_id": "x", "interface": "public", "url": "http://x"}}, "service table"),
        ("credentials", {"credential": {"type": "ec2", "blob": "x"}}, "'user_id' is a required property"),
        (
            "credentials", {"credential": {"type": "ec2", "blob": "x", "user_id": "u", "project_id": "p"}},
            "Invalid blob in credential",
        ),
    ],
)  # fmt: skip
def test_the_message_names_the_field(keystone, plural, body, words):
    answer = keystone.client.post(f"/v3/{plural}", as_=keystone.admin, json=body)
    assert answer.status_code == 400
    assert words in answer.json["error"]["message"]


def test_a_password_is_never_repeated_in_an_answer(keystone):
    body = {"user": {"name": "a", "password": ["hunter2"]}}
    answer = keystone.client.post("/v3/users", as_=keystone.admin, json=body)
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
    answer = keystone.client.post("/v3/users", as_=keystone.admin, json={"user": {"password": "hunter2"}})
    assert answer.status_code == 400
    assert "Value: {'password': '***'}. 'name' is a required property" in answer.text


def test_a_password_that_is_too_long(keystone):
    """What is beyond the maximum doesn't count, neither when it is set nor when it is asked for."""
    body = {"user": {"name": "a", "password": "x" * 5000}}
    assert keystone.client.post("/v3/users", as_=keystone.admin, json=body).status_code == 201
    assert keystone.login("a", "x" * 4096).status_code == 201
    assert keystone.login("a", "x" * 4095).status_code == 401


def test_numbers_without_end_are_refused_by_their_schema(keystone):
    answer = keystone.client.post("/v3/projects", as_=keystone.admin, json={"project": {"name": 2**70}})
    assert answer.status_code == 400
    assert answer.json["error"]["message"].endswith(f"{2**70} is not of type 'string'")


def test_a_mark_before_json_is_skipped(keystone):
    headers = {"Content-Type": "application/json"}
    for content, status in ((b'\xef\xbb\xbf{"project": {"name": "marked"}}', 201), (b"\xef\xbb\xbf", 400)):
        answer = keystone.client.request("POST", "/v3/projects", as_=keystone.admin, body=content, headers=headers)
        assert answer.status_code == status, answer.text


def test_of_two_values_the_first_counts(keystone):
    keystone.make("project", name="first")
    found = keystone.client.get("/v3/projects?name=first&name=second", as_=keystone.admin).json["projects"]
    assert [project["name"] for project in found] == ["first"]


@pytest.mark.parametrize("as_", ["admin", "nobody", "none"])
@pytest.mark.parametrize(("content", "kind", "words"), [
    (b"{", "application/json", "Expecting to find valid JSON in request body."),
    (b"[]", "application/json", "Expecting to find valid JSON in request body."),
    (b"{}", "text/plain", "Expecting to find application/json in Content-Type header."),
])  # fmt: skip
@pytest.mark.parametrize("request_", [
    "GET /v3/projects", "POST /v3/projects", "PUT /v3/projects", "GET /v3/nothing", "GET /v3", "HEAD /v3/users",
])  # fmt: skip
def test_what_is_no_json_is_refused_before_anything_else(keystone, as_, content, kind, words, request_):
    method, path = request_.split()
    token = {"admin": keystone.admin, "nobody": "x"}.get(as_)
    answer = keystone.client.request(method, path, as_=token, body=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert method == "HEAD" or answer.json["error"]["message"].startswith(words)
    answer = keystone.client.request(method, path, as_=token, body=b"{}", headers={"Content-Type": "application/json"})
    assert answer.status_code != 400 or method == "POST"


def test_descriptions_of_consumers_are_short(keystone):
    path, long, words = "/v3/OS-OAUTH1/consumers", {"consumer": {"description": "x" * 65}}, "String length exceeded."
    answer = keystone.client.post(path, as_=keystone.admin, json=long)
    assert (answer.status_code, answer.json["error"]["message"][:23]) == (400, words)
    made = keystone.client.post(path, as_=keystone.admin, json={"consumer": {"description": "x" * 64}})
    answer = keystone.client.patch(f"{path}/{made.json['consumer']['id']}", as_=keystone.admin, json=long)
    assert (answer.status_code, answer.json["error"]["message"][:23]) == (400, words)
