"""OAuth 1: consumers, the three steps to an access token, and tokens that are got with one."""

from __future__ import annotations

import datetime
import urllib.parse

import pytest
from oauthlib import oauth1

BASE = "http://falconframework.org"
PATH = "/v3/OS-OAUTH1"


@pytest.fixture
def consumer(keystone):
    answer = keystone.client.post(f"{PATH}/consumers", as_=keystone.admin, json={"consumer": {"description": "c"}})
    assert answer.status_code == 201, answer.text
    return answer.json["consumer"]


@pytest.fixture
def project(keystone):
    return keystone.find("projects", "admin")


@pytest.fixture
def admin(keystone):
    return keystone.find("users", "admin")


def signed(keystone, path, consumer, **more):
    """The Authorization header of a POST."""
    now = keystone.cloud.clock.now().replace(tzinfo=datetime.UTC).timestamp()
    values = {"client_secret": consumer["secret"], "timestamp": str(int(now)), "callback_uri": None} | more
    _, headers, _ = oauth1.Client(consumer["id"], **values).sign(BASE + path, http_method="POST")
    return headers


def post(keystone, path, headers, **more):
    return keystone.client.post(path, as_=None, headers=headers, **more)


def form(answer):
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(urllib.parse.parse_qsl(answer.text))


def ask(keystone, consumer, project, **more):
    headers = signed(keystone, f"{PATH}/request_token", consumer, **{"callback_uri": "oob"} | more)
    return post(keystone, f"{PATH}/request_token", headers | {"Requested-Project-Id": project})


def authorize(keystone, request, roles, as_=""):
    path = f"{PATH}/authorize/{request['oauth_token']}"
    return keystone.client.put(path, as_=as_ or keystone.admin, json={"roles": roles})


def fetch(keystone, consumer, request, verifier, **more):
    keys = {"resource_owner_key": request["oauth_token"], "resource_owner_secret": request["oauth_token_secret"],
            "verifier": verifier} | more  # fmt: skip
    return post(keystone, f"{PATH}/access_token", signed(keystone, f"{PATH}/access_token", consumer, **keys))


def login(keystone, consumer, access, **more):
    keys = {"resource_owner_key": access["oauth_token"], "resource_owner_secret": access["oauth_token_secret"]} | more
    body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
    return post(keystone, "/v3/auth/tokens", signed(keystone, "/v3/auth/tokens", consumer, **keys), json=body)


@pytest.fixture
def access(keystone, consumer, project):
    """An access token with the role reader."""
    request = form(ask(keystone, consumer, project))
    verifier = authorize(keystone, request, [{"name": "reader"}]).json["token"]["oauth_verifier"]
    return form(fetch(keystone, consumer, request, verifier))


def test_the_life_of_a_consumer(keystone, consumer):
    path = f"{PATH}/consumers/{consumer['id']}"
    shown = keystone.client.get(path, as_=keystone.admin).json["consumer"]
    assert shown == {key: value for key, value in consumer.items() if key != "secret"}
    assert shown["links"]["self"].endswith(path)
    assert keystone.client.get(f"{PATH}/consumers", as_=keystone.admin).json["consumers"] == [shown]
    changed = keystone.client.patch(path, as_=keystone.admin, json={"consumer": {"description": "d", "colour": "red"}})
    assert changed.json["consumer"] == shown | {"description": "d", "colour": "red"}
    for bad in ({}, {"secret": "mine"}, {"id": "other"}, {"description": 5}):
        assert keystone.client.patch(path, as_=keystone.admin, json={"consumer": bad}).status_code == 400, bad
    for method in ("get", "delete"):
        assert getattr(keystone.client, method)(path, as_=keystone.demo).status_code == 403
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204
    gone = keystone.client.get(path, as_=keystone.admin)
    assert (gone.status_code, gone.json["error"]["message"]) == (404, "Consumer not found")
    for file in (keystone.cloud.settings.root / "db").iterdir():
        assert consumer["secret"].encode() not in file.read_bytes()


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"])
def test_three_steps_to_an_access_token(keystone, consumer, project, admin, method):
    request = form(ask(keystone, consumer, project, signature_method=method))
    assert request["oauth_expires_at"] == "2026-01-01T20:00:00.000000Z"
    reader = keystone.find("roles", "reader")
    verifier = authorize(keystone, request, [{"id": reader}]).json["token"]["oauth_verifier"]
    access = form(fetch(keystone, consumer, request, verifier, signature_method=method))
    assert fetch(keystone, consumer, request, verifier).status_code == 404  # good for one
    path = f"/v3/users/{admin}/OS-OAUTH1/access_tokens"
    (listed,) = keystone.client.get(path, as_=keystone.admin).json["access_tokens"]
    assert (listed["id"], listed["expires_at"]) == (access["oauth_token"], access["oauth_expires_at"])
    assert (listed["project_id"], listed["authorizing_user_id"]) == (project, admin)
    one = f"{path}/{listed['id']}"
    assert keystone.client.get(one, as_=keystone.admin).json["access_token"] == listed
    (role,) = keystone.client.get(f"{one}/roles", as_=keystone.admin).json["roles"]
    assert role["id"] == reader
    assert keystone.client.get(f"{one}/roles/{reader}", as_=keystone.admin).json["role"] == role
    assert keystone.client.get(f"{one}/roles/none", as_=keystone.admin).status_code == 404
    demo = keystone.find("users", "demo")
    assert keystone.client.get(one.replace(admin, demo), as_=keystone.admin).status_code == 404
    assert keystone.client.delete(one.replace(admin, demo), as_=keystone.admin).status_code == 401
    assert keystone.client.get(one, as_=keystone.demo).status_code == 403


def test_a_token_of_an_access_token_has_its_project_and_roles(keystone, consumer, access, project, admin):
    answer = login(keystone, consumer, access)
    assert answer.status_code == 201, answer.text
    shown, token = answer.json["token"], answer.headers["x-subject-token"]
    assert (shown["user"]["id"], shown["project"]["id"], shown["methods"]) == (admin, project, ["oauth1"])
    assert [role["name"] for role in shown["roles"]] == ["reader"]
    assert shown["OS-OAUTH1"] == {"access_token_id": access["oauth_token"], "consumer_id": consumer["id"]}
    assert keystone.status(token) == 200
    # It makes neither other tokens nor what outlives it.
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    assert keystone.client.post("/v3/auth/tokens", as_=None, json=again).status_code == 403
    path = f"/v3/users/{admin}/application_credentials"
    body = {"application_credential": {"name": "a"}}
    assert keystone.client.post(path, as_=token, json=body).status_code == 403
    assert keystone.client.get(path, as_=token).status_code == 403
    gone = f"/v3/users/{admin}/OS-OAUTH1/access_tokens/{access['oauth_token']}"
    assert keystone.client.delete(gone, as_=token).status_code == 403
    assert keystone.client.delete(gone, as_=keystone.admin).status_code == 204
    assert keystone.status(token) == 401
    assert login(keystone, consumer, access).status_code == 404


def test_a_consumer_takes_its_tokens_with_it(keystone, consumer, access):
    token = login(keystone, consumer, access).headers["x-subject-token"]
    assert keystone.client.delete(f"{PATH}/consumers/{consumer['id']}", as_=keystone.admin).status_code == 204
    assert keystone.status(token) == 401
    assert login(keystone, consumer, access).status_code == 404


def test_a_request_must_be_signed_a_moment_ago_by_its_consumer(keystone, consumer, project):
    old = str(int(keystone.cloud.clock.now().replace(tzinfo=datetime.UTC).timestamp()) - 601)
    for bad in (
        {"client_secret": "other"}, {"timestamp": old}, {"timestamp": "soon soon "},
        {"signature_method": oauth1.SIGNATURE_PLAINTEXT},
    ):  # fmt: skip
        assert ask(keystone, consumer, project, **bad).status_code == 401, bad
    for bad, words in (
        ({"timestamp": "soon"}, "Invalid timestamp size."),
        ({"callback_uri": None}, "Missing callback URI."),
    ):
        answer = ask(keystone, consumer, project, **bad)
        assert (answer.status_code, words in answer.json["error"]["message"]) == (400, True), bad
    assert ask(keystone, consumer | {"id": "none"}, project).status_code == 404
    assert ask(keystone, consumer, "none").status_code == 404
    headers = signed(keystone, f"{PATH}/request_token", consumer)
    assert post(keystone, f"{PATH}/request_token", headers).status_code == 400
    for header in ("", "Basic abc", "OAuth odd", "OAuth", 'OAuth oauth_consumer_key=""'):
        headers = {"Authorization": header, "Requested-Project-Id": project}
        assert post(keystone, f"{PATH}/request_token", headers).status_code == 400, header
    elsewhere = signed(keystone, f"{PATH}/access_token", consumer, callback_uri="oob")
    assert post(keystone, f"{PATH}/request_token", elsewhere | {"Requested-Project-Id": project}).status_code == 401


def test_only_what_one_has_can_be_granted(keystone, consumer, project):
    request = form(ask(keystone, consumer, project))
    extra = keystone.make("role", name="extra")["id"]
    assert authorize(keystone, request, [{"id": extra}]).status_code == 401
    assert authorize(keystone, request, [{"name": "none"}]).status_code == 404
    for roles in (5, [5], [{}], [{"id": extra, "name": "extra"}]):
        assert authorize(keystone, request, roles).status_code == 400
    assert authorize(keystone, {"oauth_token": "none"}, []).status_code == 404
    assert authorize(keystone, request, [], keystone.demo).status_code == 403
    assert fetch(keystone, consumer, request, "guessed1").status_code == 401
    keystone.cloud.clock.advance(8 * 3600 + 1)
    admin = keystone.token("admin", "correct horse", keystone.on("admin"))
    assert authorize(keystone, request, [], admin).status_code == 401


def test_an_access_token_needs_verifier_secret_and_consumer(keystone, consumer, project):
    request = form(ask(keystone, consumer, project))
    verifier = authorize(keystone, request, [{"name": "reader"}]).json["token"]["oauth_verifier"]
    assert fetch(keystone, consumer, request, "wrong123").status_code == 401
    assert fetch(keystone, consumer, request, verifier, resource_owner_secret="x").status_code == 401
    assert fetch(keystone, consumer | {"id": "none"}, request, verifier).status_code == 401
    assert fetch(keystone, consumer, request, "").status_code == 400
    assert fetch(keystone, consumer, request, "x").status_code == 400
    access = form(fetch(keystone, consumer, request, verifier))
    assert login(keystone, consumer, access, resource_owner_secret="x").status_code == 401
    assert login(keystone, consumer, {"oauth_token": "none", "oauth_token_secret": "x"}).status_code == 404
    keystone.cloud.clock.advance(24 * 3600 + 1)
    assert login(keystone, consumer, access).status_code == 401
