"""Tokens for requests that were signed with EC2 keys. The examples of signatures are AWS's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from onestack.identity import ec2_signatures
from onestack.identity.ec2_signatures import Signed
from tests.identity.conftest import ADMIN_PASSWORD
from tests.identity.test_access_rules import Demo

# From "Signature Version 4 Test Suite": get-vanilla.
VANILLA = {
    "verb": "GET", "host": "example.amazonaws.com", "path": "/", "params": {},
    "body_hash": hashlib.sha256(b"").hexdigest(),
    "headers": {
        "Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                         "SignedHeaders=host;x-amz-date, Signature=odd",
    },
}  # fmt: skip
VANILLA_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VANILLA_SIGNATURE = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"


def test_version_4_is_that_of_aws_examples():
    assert ec2_signatures.request_matches(VANILLA_SECRET, Signed(**VANILLA), VANILLA_SIGNATURE)
    assert not ec2_signatures.request_matches("other", Signed(**VANILLA), VANILLA_SIGNATURE)
    query = {f"X-Amz-{name}": value for name, value in (
        ("Algorithm", "AWS4-HMAC-SHA256"), ("Credential", "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"),
        ("SignedHeaders", "host;x-amz-date"), ("Date", "20150830T123600Z"),
    )}  # fmt: skip
    headers = {name: value for name, value in VANILLA["headers"].items() if name != "Authorization"}
    assert not ec2_signatures.request_matches(
        VANILLA_SECRET, Signed(**VANILLA | {"params": query, "headers": headers}), VANILLA_SIGNATURE
    )
    # The parameters of a POST are in its body, whose hash is signed: the same request but for its method.
    posted = Signed(**VANILLA | {"verb": "POST", "params": query, "headers": headers})
    signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"  # post-vanilla
    assert ec2_signatures.request_matches(VANILLA_SECRET, posted, signature)


def test_version_2_is_that_of_aws_example():
    """Amazon Elastic MapReduce's example of signature version 2."""
    params = {
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Action": "DescribeJobFlows", "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2", "Timestamp": "2011-10-03T15:19:30", "Version": "2009-03-31",
    }  # fmt: skip
    signed = Signed(verb="GET", host="elasticmapreduce.amazonaws.com", path="/", params=params)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    signature = "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs="
    assert ec2_signatures.request_matches(secret, signed, signature)
    ported = Signed(verb="GET", host="elasticmapreduce.amazonaws.com:443", path="/", params=params)
    assert ec2_signatures.request_matches(secret, ported, signature)


@pytest.mark.parametrize(
    "odd",
    [
        {"params": {"SignatureVersion": "3"}}, {"params": {"SignatureVersion": "0"}}, {"params": {}}, {"host": "a:[b"},
        {"headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=, SignedHeaders="}},
        {"headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "X-Amz-Date": "z"}},
        {"headers": {"Authorization": "AWS4-HMAC-SHA256"}},
    ],
)  # fmt: skip
def test_what_can_not_be_signed_matches_nothing(odd):
    assert not ec2_signatures.request_matches("secret", Signed(**odd), "signature")


@pytest.fixture
def demo(keystone):
    return Demo(keystone)


@pytest.fixture
def key(keystone, demo):
    path = f"/v3/users/{demo.id}/credentials/OS-EC2"
    body = {"tenant_id": keystone.find("projects", "demo")}
    return keystone.client.post(path, as_=keystone.demo, json=body).json["credential"]


def signed(key, **more):
    """Version 1 of some request."""
    params = {"Action": "Describe", "SignatureVersion": "1"} | more
    text = "".join(f"{name}{params[name]}" for name in sorted(params, key=str.lower))
    digest = hmac.new(key["secret"].encode(), text.encode(), hashlib.sha1).digest()
    return {"access": key["access"], "params": params, "signature": base64.b64encode(digest).decode(),
            "host": "h", "verb": "GET", "path": "/"}  # fmt: skip


def ask(keystone, given, as_=None, path="/v3/ec2tokens", name="credentials"):
    return keystone.client.post(path, as_=as_ or keystone.admin, json={name: given})


@pytest.mark.parametrize("name", ["credentials", "credential", "ec2Credentials"])
def test_a_service_gets_a_token_of_the_keys_owner(keystone, demo, key, name):
    service = keystone.make("user", name="ec2-api", password="pw")["id"]
    project, role = keystone.find("projects", "service"), keystone.find("roles", "service")
    keystone.client.put(f"/v3/projects/{project}/users/{service}/roles/{role}", as_=keystone.admin)
    token = keystone.token("ec2-api", "pw", keystone.on("service"))
    answer = ask(keystone, signed(key), token, name=name)
    assert answer.status_code == 200, answer.text
    shown = answer.json["token"]
    assert (shown["user"]["name"], shown["project"]["name"], shown["methods"]) == ("demo", "demo", ["ec2credential"])
    assert [role["name"] for role in shown["roles"]] == ["member", "reader"]
    issued = answer.headers["x-subject-token"]
    assert keystone.cloud.authenticate(issued).user_id == demo.id
    # Other services may use it for the request that was signed; here it opens nothing, and can't be exchanged.
    assert keystone.client.get(demo.path, as_=issued).status_code == 403
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": issued}}, "scope": keystone.on("demo")}}
    assert keystone.client.post("/v3/auth/tokens", as_=None, json=again).status_code == 403


@pytest.mark.parametrize("path", ["/v3/ec2tokens", "/v3/s3tokens"])
def test_only_services_and_admins_may_ask(keystone, key, path):
    assert ask(keystone, signed(key), keystone.demo, path).status_code == 403
    assert keystone.client.post(path, as_=None, json={"credentials": signed(key)}).status_code == 401
    assert keystone.client.get(path, as_=keystone.admin).status_code == 405


def test_a_service_can_not_hand_such_a_token_on_to_identity(keystone, demo, key):
    service = keystone.make("user", name="nova", password="pw")["id"]
    project = keystone.find("projects", "service")
    grant = f"/v3/projects/{project}/users/{service}/roles/{keystone.find('roles', 'service')}"
    assert keystone.client.put(grant, as_=keystone.admin).status_code == 204
    headers = {"X-Service-Token": keystone.token("nova", "pw", keystone.on("service"))}
    issued = ask(keystone, signed(key)).headers["x-subject-token"]
    for path in (demo.path, "/v3/auth/projects", "/v2.0/tenants", "/v3"):
        assert keystone.client.get(path, as_=keystone.demo, headers=headers).status_code == 200, path
        assert keystone.client.get(path, as_=issued, headers=headers).status_code == 403, path


def test_s3_signatures(keystone, key):
    text = b"GET\n\n\nThu, 01 Jan 2026 12:00:00 +0000\n/bucket"
    digest = hmac.new(key["secret"].encode(), text, hashlib.sha1).digest()
    given = {"access": key["access"], "token": base64.urlsafe_b64encode(text).decode(),
             "signature": base64.b64encode(digest).decode()}  # fmt: skip
    answer = ask(keystone, given, path="/v3/s3tokens")
    assert answer.status_code == 200, answer.text
    assert answer.json["token"]["user"]["name"] == "demo"
    assert "x-subject-token" not in answer.headers
    assert ask(keystone, given | {"signature": "x"}, path="/v3/s3tokens").status_code == 401
    derived = f"AWS4{key['secret']}".encode()
    for part in ("20260101", "RegionOne", "s3", "aws4_request"):
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    for scope, status in (("20260101/RegionOne/s3/aws4_request", 200), ("20260101/RegionOne/ec2/aws4_request", 401)):
        text = f"AWS4-HMAC-SHA256\n20260101T120000Z\n{scope}\n{'0' * 64}".encode()
        signature = hmac.new(derived, text, hashlib.sha256).hexdigest()
        given = {"access": key["access"], "token": base64.b64encode(text).decode(), "signature": signature}
        assert ask(keystone, given, path="/v3/s3tokens").status_code == status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"signature": "x"}, 401), ({"signature": None}, 401), ({"signature": 5}, 401), ({"access": "none"}, 404),
        ({"access": 5}, 401), ({"params": 5}, 401), ({"headers": [1]}, 401), ({"host": 5}, 401), ({"params": {}}, 401),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_nothing(keystone, key, change, status):
    answer = ask(keystone, signed(key) | change)
    assert answer.status_code == status
    assert key["secret"] not in answer.text


@pytest.mark.parametrize("body", [{}, {"credentials": {}}, {"credentials": 5}, {"other": 1}])
def test_odd_bodies(keystone, body):
    assert keystone.client.post("/v3/ec2tokens", as_=keystone.admin, json=body).status_code in (400, 401)


def test_a_signature_holds_for_a_quarter_of_an_hour(keystone, key):
    fresh = signed(key, Timestamp="2026-01-01T11:50:00Z")
    assert ask(keystone, fresh).status_code == 200
    assert ask(keystone, signed(key, Timestamp="soon")).status_code == 401
    keystone.cloud.clock.advance(301)
    assert ask(keystone, fresh).status_code == 401
    assert ask(keystone, signed(key) | {"headers": {"x-amz-date": "20260101T114500Z"}}).status_code == 401


def disable_user(keystone, demo):
    keystone.client.patch(f"/v3/users/{demo.id}", as_=keystone.admin, json={"user": {"enabled": False}})


def disable_project(keystone, demo):
    path = f"/v3/projects/{keystone.find('projects', 'demo')}"
    keystone.client.patch(path, as_=keystone.admin, json={"project": {"enabled": False}})


def take_role(keystone, demo):
    path = f"/v3/projects/{keystone.find('projects', 'demo')}/users/{demo.id}/roles/{keystone.find('roles', 'member')}"
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204


@pytest.mark.parametrize("act", [disable_user, disable_project, take_role])
def test_what_ends_a_key(keystone, demo, key, act):
    act(keystone, demo)
    assert ask(keystone, signed(key)).status_code == 401


def test_a_key_is_worth_no_more_than_what_it_was_made_with(keystone, demo):
    made = demo.make(unrestricted=True, roles=[{"name": "reader"}], expires_at="2026-01-01T12:20:00Z")
    project = keystone.find("projects", "demo")
    blob = json.dumps({"access": "a1", "secret": "s1", "app_cred_id": made["id"]})
    body = {"credential": {"type": "ec2", "blob": blob, "user_id": demo.id, "project_id": project}}
    assert keystone.client.post("/v3/credentials", as_=keystone.demo, json=body).status_code == 201
    answer = ask(keystone, signed({"access": "a1", "secret": "s1"}))
    assert [role["name"] for role in answer.json["token"]["roles"]] == ["reader"]
    assert answer.json["token"]["application_credential"]["id"] == made["id"]
    assert answer.json["token"]["expires_at"].startswith("2026-01-01T12:20")
    keystone.client.delete(f"{demo.path}/{made['id']}", as_=keystone.demo)
    assert ask(keystone, signed({"access": "a1", "secret": "s1"})).status_code == 404


def test_a_key_names_only_a_trust_of_its_owner(keystone, demo):
    """Whoever knows the id of a trust between two others gets nothing out of it."""
    project, admin = keystone.find("projects", "demo"), keystone.find("users", "admin")
    ann, ben = (keystone.make("user", name=name, password=name)["id"] for name in ("ann", "ben"))
    trust = {"trustor_user_id": demo.id, "trustee_user_id": ann, "impersonation": True, "project_id": project,
             "roles": [{"name": "member"}]}  # fmt: skip
    made = keystone.client.post("/v3/OS-TRUST/trusts", as_=keystone.demo, json={"trust": trust}).json["trust"]
    for access, user, status in (("a1", demo.id, 200), ("a2", ann, 401), ("a3", ben, 401), ("a4", admin, 401)):
        blob = json.dumps({"access": access, "secret": "s1", "trust_id": made["id"]})
        body = {"credential": {"type": "ec2", "blob": blob, "user_id": user, "project_id": project}}
        assert keystone.client.post("/v3/credentials", as_=keystone.admin, json=body).status_code == 201
        assert ask(keystone, signed({"access": access, "secret": "s1"})).status_code == status, access


def test_the_rule_is_for_every_scope(keystone, key):
    token = keystone.token("admin", ADMIN_PASSWORD, {"domain": {"id": "default"}})
    assert ask(keystone, signed(key), token).status_code == 200
