"""Credentials and EC2 keys: whose they are, and what tokens of application credentials may do with them."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.identity.test_access_rules import Demo


@pytest.fixture
def demo(keystone):
    return Demo(keystone)


def key(**more):
    return json.dumps({"access": "a1", "secret": "s1"} | more)


def create(keystone, as_, **values):
    return keystone.client.post("/v3/credentials", as_=as_, json={"credential": {"type": "cert", "blob": "b"} | values})


def patch(keystone, as_, credential, **values):
    return keystone.client.patch(f"/v3/credentials/{credential['id']}", as_=as_, json={"credential": values})


def test_an_ec2_key_is_found_by_its_access_key(keystone, demo):
    project = keystone.find("projects", "demo")
    made = create(keystone, keystone.demo, type="ec2", blob=key(), user_id=demo.id, project_id=project)
    assert made.json["credential"]["id"] == hashlib.sha256(b"a1").hexdigest()
    assert (
        create(keystone, keystone.demo, type="ec2", blob=key(), user_id=demo.id, project_id=project).status_code == 409
    )
    shown = keystone.client.get(f"/v3/users/{demo.id}/credentials/OS-EC2/a1", as_=keystone.demo).json["credential"]
    assert (shown["secret"], shown["tenant_id"]) == ("s1", project)
    # Another kind of credential isn't an EC2 key.
    cert = create(keystone, keystone.demo, user_id=demo.id).json["credential"]["id"]
    assert keystone.client.get(f"/v3/users/{demo.id}/credentials/OS-EC2/{cert}", as_=keystone.demo).status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"type": None}, {"type": 5}, {"blob": {"a": 1}}, {"blob": None}, {"user_id": None}, {"user_id": 5},
        {"type": "ec2"}, {"type": "ec2", "project_id": "p", "blob": "{"},
        {"type": "EC2", "project_id": "p", "blob": "[]"}, {"type": "ec2", "project_id": "p", "blob": "{}"},
        {"type": "ec2", "project_id": "p", "blob": '{"access": 5}'},
        {"project_id": 5}, {"type": "x" * 256},
    ],
)  # fmt: skip
def test_odd_ones_are_refused(keystone, demo, values):
    assert create(keystone, keystone.demo, **{"user_id": demo.id} | values).status_code == 400


def test_lists_show_ones_own_and_follow_filters(keystone, demo):
    mine = create(keystone, keystone.demo, user_id=demo.id).json["credential"]
    theirs = create(keystone, keystone.admin, user_id="f" * 32, type="totp").json["credential"]

    def found(as_, query=""):
        return [row["id"] for row in keystone.client.get(f"/v3/credentials{query}", as_=as_).json["credentials"]]

    assert found(keystone.demo) == [mine["id"]]
    assert found(keystone.demo, f"?user_id={'f' * 32}") == []
    assert sorted(found(keystone.admin)) == sorted([mine["id"], theirs["id"]])
    assert found(keystone.admin, "?type=totp") == [theirs["id"]]
    assert found(keystone.admin, f"?user_id={demo.id}") == [mine["id"]]
    assert keystone.client.get(f"/v3/credentials/{theirs['id']}", as_=keystone.demo).status_code == 403


@pytest.mark.parametrize(
    "values", [{}, {"blob": 5}, {"type": "cert"}, {"user_id": "f" * 32, "blob": "c"}, {"project_id": None, "blob": "c"},
               {"id": "x", "blob": "c"}, {"colour": "red", "blob": "c"}],
)  # fmt: skip
def test_only_the_secret_changes(keystone, demo, values):
    mine = create(keystone, keystone.demo, user_id=demo.id).json["credential"]
    assert patch(keystone, keystone.admin, mine, **values).status_code == 400
    assert patch(keystone, keystone.demo, mine, blob="d").json["credential"] == mine | {"blob": "d"}
    assert create(keystone, keystone.demo, user_id="f" * 32).status_code == 403


def test_where_a_key_comes_from_stays_with_it(keystone, demo):
    made, project = demo.make(), keystone.find("projects", "demo")
    blob = key(app_cred_id=made["id"])
    row = create(keystone, keystone.demo, type="ec2", blob=blob, user_id=demo.id, project_id=project).json["credential"]
    for other in (key(), key(app_cred_id="other"), "x", "[]", "{}"):
        assert patch(keystone, keystone.demo, row, blob=other).status_code == 400
    changed = patch(keystone, keystone.demo, row, blob=key(app_cred_id=made["id"], secret="s2"))
    assert json.loads(changed.json["credential"]["blob"])["secret"] == "s2"


def test_an_admin_reaches_a_key_under_any_users_path(keystone, demo):
    project, admin = keystone.find("projects", "demo"), keystone.find("users", "admin")
    path = f"/v3/users/{demo.id}/credentials/OS-EC2"
    made = keystone.client.post(path, as_=keystone.admin, json={"tenant_id": project}).json["credential"]
    elsewhere = f"/v3/users/{admin}/credentials/OS-EC2/{made['access']}"
    assert keystone.client.get(elsewhere, as_=keystone.admin).json["credential"]["user_id"] == demo.id
    assert keystone.client.post(path, as_=keystone.demo, json={"tenant_id": "none"}).status_code == 404
    for body in ({}, {"tenant_id": 5}):
        assert keystone.client.post(path, as_=keystone.demo, json=body).status_code == 404
    assert keystone.client.delete(elsewhere, as_=keystone.admin).status_code == 204
