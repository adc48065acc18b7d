"""What is refused, and in which words: those of Keystone 30, which names the innermost part that is wrong."""

from __future__ import annotations

import pytest

from onestack.identity import checks, dialect

NOT_JSON = "Expecting to find valid JSON in request body."
NOT_TYPE = "Expecting to find application/json in Content-Type header."


def refused(keystone, method, path, **more):
    answer = keystone.client.request(method, f"/v3/{path}", **({"as_": keystone.admin} | more))
    return answer.status_code, answer.json["error"]["message"]


def words(field, value, problem):
    return 400, f"Invalid input for field/attribute {field}. Value: {value}. {problem}"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("projects", {"project": {"name": "a", "tags": ["b", "c,d"]}},
         words(1, "c,d", "'c,d' does not match '^[^,/]*$'")),
        ("projects", {"project": {"name": "a", "tags": [""]}}, words(0, "", "'' should be non-empty")),
        ("projects", {"project": {"name": "a", "tags": ["b"] * 2}},
         words("tags", ["b", "b"], "['b', 'b'] has non-unique elements")),
        ("projects", {"project": {"name": "a", "options": {"immutable": 3}}},
         words("immutable", 3, "3 is not of type 'boolean', 'null'")),
        ("projects", {"project": {"name": "a", "options": {"z": 1, "b": 2}}},
         words("options", {"z": 1, "b": 2}, "Additional properties are not allowed ('b', 'z' were unexpected)")),
        ("projects", {"project": {"name": "a", "enabled": 5}},
         words("enabled", 5, "5 is not of type 'boolean', 'string', 'null'")),
        # The first in the order of the schema, not of the body; what is missing comes last.
        ("projects", {"project": {"enabled": 5, "description": 6}},
         words("description", 6, "6 is not of type 'string', 'null'")),
        ("users", {"user": {"name": "a", "options": {"multi_factor_auth_rules": [["password"], ["password"]]}}},
         words("multi_factor_auth_rules", [["password"], ["password"]],
               "[['password'], ['password']] has non-unique elements")),
        ("users", {"user": {"name": "a", "federated": [{"idp_id": "x", "protocols": [{}]}]}},
         words(0, {}, "'protocol_id' is a required property")),
        ("users", {"user": {"name": "a", "default_project_id": "p" * 65}},
         (400, f"String length exceeded. The length of string '{'p' * 65}' exceeds the limit of column "
               "default_project_id(CHAR(64)).")),
        ("users", {"user": {"name": "a"}, "more": 1},
         (400, "Additional properties are not allowed ('more' was unexpected)")),
        ("regions", {"region": {"description": "d" * 256}},
         words("description", "d" * 256, f"'{'d' * 256}' is too long")),
        ("endpoints", {"endpoint": {"interface": 5}}, words("interface", 5, "5 is not of type 'string'")),
        ("limits", {"limits": [5]}, words(0, 5, "5 is not of type 'object'")),
        ("OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "a", "filters": {"interface": "x"}}},
         words("interface", "x", "'x' is not one of ['admin', 'internal', 'public']")),
        ("policies", {"policy": {"blob": "{}", "type": 5}},
         (400, "Invalid input for field 'type': 5 is not of type 'string'")),
        ("policies", {}, (400, "'blob' is a required property")),
    ],
)  # fmt: skip
def test_the_innermost_part_is_named(keystone, path, body, expected):
    assert refused(keystone, "POST", path, json=body) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("domains?enabled=maybe", "'maybe' is not one of [True, 'True'"),
        ("projects?name=", "'' should be non-empty"),
        ("projects?parent_id=default", "'default' is not a 'uuid'"),
        ("users?domain_id=a_b", "'a_b' does not match '^[a-zA-Z0-9-]+$'"),
        ("groups?sort_dir=up", "'up' is not one of ['asc', 'desc']"),
        ("endpoints?interface=x", "'x' is not one of ['admin', 'internal', 'public']"),
        ("regions?colour=red", "Additional properties are not allowed ('colour' was unexpected)"),
        ("role_assignments?scope.project.id=", "'' should be non-empty"),
        ("limits?service_id=x", "'x' is not a 'uuid'"),
    ],
)
def test_queries_of_lists_are_checked(keystone, query, expected):
    status, message = refused(keystone, "GET", query)
    assert status == 400
    assert expected in message


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "'group' is a required property"),
        ({"body": b"{"}, NOT_JSON),
        ({"body": b"[]"}, NOT_JSON),
        ({"body": b"{}", "headers": {"Content-Type": "text/plain"}}, NOT_TYPE),
        ({"body": b"{}", "headers": {"Content-Type": "application/vnd.api+json"}}, "'group' is a required property"),
        (
            {"body": b'{"group": []}'},
            "Invalid input for field/attribute group. Value: []. [] is not of type 'object'",
        ),
    ],
)
def test_bodies_that_are_none(keystone, more, expected):
    status, message = refused(keystone, "POST", "groups", **more)
    assert status == 400
    assert message.startswith(expected)


def test_without_a_token_one_is_told_where_to_get_one(keystone):
    for answer in (
        keystone.client.get("/v3/users", as_=None), keystone.client.get("/v3/users", as_="none"),
        keystone.login("admin", "wrong"),
    ):  # fmt: skip
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].endswith('/v3"')


def test_secrets_are_hidden_at_every_depth():
    value = {"a": [{"password": "hunter2", "b": {"blob": "hunter2"}}], "secret": ["hunter2"]}
    for fault in (
        dialect.invalid("a", value, "is wrong"), dialect.invalid("password", "hunter2", "is wrong"),
        dialect.invalid_of_old("original_password", "hunter2", "is wrong"),
        dialect.invalid_of_old("", value, "is wrong"),
    ):  # fmt: skip
        assert "hunter2" not in fault.message
        assert "***" in fault.message


def test_a_description_may_be_null(keystone):
    for kind in ("project", "group", "domain"):
        made = keystone.make(kind, name="n", description=None)
        assert made["description"] is None
        path = f"/v3/{kind}s/{made['id']}"
        assert keystone.client.get(path, as_=keystone.admin).json[kind]["description"] is None
        for wanted in ("", None):
            answer = keystone.client.patch(path, as_=keystone.admin, json={kind: {"description": wanted}})
            assert answer.json[kind]["description"] == wanted
        assert keystone.make(kind, name="m")["description"] == ""


def test_short_lists_are_paged_as_well(keystone):
    found, path = [], "/v3/services?limit=2"
    whole = keystone.client.get("/v3/services", as_=keystone.admin).json["services"]
    while path:
        answer = keystone.client.get(path, as_=keystone.admin).json
        assert len(answer["services"]) <= 2
        found += answer["services"]
        path = (answer["links"]["next"] or "").removeprefix("http://falconframework.org")
        assert answer.get("truncated", False) is bool(path)
    assert found == whole
    assert len(whole) > 2


def test_a_list_with_many_equal_elements_is_found_out_quickly():
    assert checks.array(checks.text(), unique=True)(["a"] * 200_000) == "has non-unique elements"
