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
    patch(keystone, keystone.demo, made.json["credential"], type="cert")
    assert keystone.client.get(f"/v3/users/{demo.id}/credentials/OS-EC2/a1", as_=keystone.demo).status_code == 401
    assert patch(keystone, keystone.demo, made.json["credential"], type="ec2", project_id=None).status_code == 400


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


def test_one_can_not_be_given_away(keystone, demo):
    mine = create(keystone, keystone.demo, user_id=demo.id).json["credential"]
    assert create(keystone, keystone.demo, user_id="f" * 32).status_code == 403
    assert patch(keystone, keystone.demo, mine, user_id="f" * 32, blob="new").status_code == 403
    shown = keystone.client.get(f"/v3/credentials/{mine['id']}", as_=keystone.demo).json["credential"]
    assert (shown["user_id"], shown["blob"]) == (demo.id, "b")
    assert patch(keystone, keystone.admin, mine, user_id="f" * 32).json["credential"]["user_id"] == "f" * 32


def test_a_restricted_application_credential_makes_no_keys(keystone, demo):
    token = demo.token(demo.make())
    project = keystone.find("projects", "demo")
    refused = create(keystone, token, type="ec2", blob=key(), user_id=demo.id, project_id=project)
    assert refused.status_code == 403
    assert "is not allowed for managing additional credentials" in refused.json["error"]["message"]
    path = f"/v3/users/{demo.id}/credentials/OS-EC2"
    assert keystone.client.post(path, as_=token, json={"tenant_id": project}).status_code == 403
    assert create(keystone, token, user_id=demo.id, project_id=project).status_code == 201


def test_a_program_reaches_the_secrets_of_its_project_only(keystone, demo):
    token = demo.token(demo.make(unrestricted=True))
    project = keystone.find("projects", "demo")
    seed = create(keystone, keystone.demo, user_id=demo.id, type="totp").json["credential"]
    other = create(keystone, keystone.demo, user_id=demo.id, project_id="p" * 32).json["credential"]
    own = create(keystone, keystone.demo, user_id=demo.id, project_id=project).json["credential"]
    listed = keystone.client.get("/v3/credentials", as_=token).json["credentials"]
    assert [row["id"] for row in listed] == [own["id"]]
    for row in (seed, other):
        path = f"/v3/credentials/{row['id']}"
        assert keystone.client.get(path, as_=token).status_code == 403
        assert keystone.client.delete(path, as_=token).status_code == 403
        assert patch(keystone, token, row, blob="x").status_code == 403
    assert patch(keystone, token, own, project_id=None).status_code == 403
    assert create(keystone, token, user_id=demo.id).status_code == 403
    path = f"/v3/users/{demo.id}/credentials/OS-EC2"
    elsewhere = keystone.make("project", name="elsewhere")["id"]
    assert keystone.client.post(path, as_=token, json={"tenant_id": elsewhere}).status_code == 403
    far = keystone.client.post(path, as_=keystone.admin, json={"tenant_id": elsewhere}).json["credential"]
    assert keystone.client.get(f"{path}/{far['access']}", as_=token).status_code == 403
    assert keystone.client.get(path, as_=token).json["credentials"] == []


def test_where_a_key_comes_from_stays_with_it(keystone, demo):
    made = demo.make(unrestricted=True)
    token, project = demo.token(made), keystone.find("projects", "demo")
    row = create(keystone, token, type="ec2", blob=key(), user_id=demo.id, project_id=project).json["credential"]
    assert json.loads(row["blob"]) == {"access": "a1", "secret": "s1", "app_cred_id": made["id"]}
    assert patch(keystone, keystone.demo, row, blob=key()).status_code == 400
    assert patch(keystone, keystone.demo, row, blob=key(app_cred_id="other")).status_code == 400
    changed = patch(keystone, keystone.demo, row, blob=key(app_cred_id=made["id"], secret="s2"))
    assert json.loads(changed.json["credential"]["blob"])["secret"] == "s2"
    forged = create(
        keystone, token, type="ec2", blob=key(access="a2", app_cred_id="other"), user_id=demo.id, project_id=project
    )
    assert json.loads(forged.json["credential"]["blob"])["app_cred_id"] == made["id"]


def test_a_key_forgets_nothing_while_it_is_of_another_type(keystone, demo):
    made = demo.make(unrestricted=True)
    token, project = demo.token(made), keystone.find("projects", "demo")
    row = create(keystone, token, type="ec2", blob=key(), user_id=demo.id, project_id=project).json["credential"]
    assert patch(keystone, token, row, type="cert").status_code == 200
    for blob in (key(), key(access="a2"), "x", "[]"):
        assert patch(keystone, token, row, blob=blob).status_code == 400
    assert patch(keystone, token, row, blob=key(app_cred_id=made["id"], secret="s2")).status_code == 200
    assert patch(keystone, token, row, type="ec2").status_code == 200
    plain = create(keystone, keystone.demo, user_id=demo.id, blob=key(app_cred_id="x")).json["credential"]
    assert patch(keystone, keystone.demo, plain, blob="y").status_code == 200


def test_an_admin_reaches_a_key_under_any_users_path(keystone, demo):
    project, admin = keystone.find("projects", "demo"), keystone.find("users", "admin")
    path = f"/v3/users/{demo.id}/credentials/OS-EC2"
    made = keystone.client.post(path, as_=keystone.admin, json={"tenant_id": project}).json["credential"]
    elsewhere = f"/v3/users/{admin}/credentials/OS-EC2/{made['access']}"
    assert keystone.client.get(elsewhere, as_=keystone.admin).json["credential"]["user_id"] == demo.id
    assert keystone.client.post(path, as_=keystone.demo, json={"tenant_id": "none"}).status_code == 404
    for body in ({}, {"tenant_id": 5}):
        assert keystone.client.post(path, as_=keystone.demo, json=body).status_code == 400
    assert keystone.client.delete(elsewhere, as_=keystone.admin).status_code == 204
