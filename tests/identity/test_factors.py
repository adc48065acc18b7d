"""Second factors: TOTP, the rules of a user, and receipts on the way to a token."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from onestack import config
from onestack.identity.methods import totp
from onestack.identity.payloads import seconds
from tests.identity.conftest import Keystone

SECRET = base64.b32encode(b"12345678901234567890").decode()  # of RFC 6238's test vectors
RECEIPT = "Openstack-Auth-Receipt"


class Ann:
    """A user with a second factor."""

    def __init__(self, keystone: Keystone) -> None:
        self.keystone = keystone
        self.id = keystone.make("user", name="ann", password="pass")["id"]
        self.credential = keystone.make("credential", user_id=self.id, type="totp", blob=SECRET)["id"]

    def code(self, back: int = 0) -> str:
        return totp.code(SECRET, int(seconds(self.keystone.cloud.clock.now())) // 30 - back)

    def rules(self, *rules: list[str], enabled: bool = True) -> None:
        options = {"multi_factor_auth_enabled": enabled, "multi_factor_auth_rules": list(rules)}
        answer = self.keystone.client.patch(
            f"/v3/users/{self.id}", as_=self.keystone.admin, json={"user": {"options": options}}
        )
        assert answer.status_code == 200, answer.text

    def login(self, *, receipt: str | None = None, **factors: Any) -> Any:
        """`login(password="pass", totp="123456")`"""
        names = {"password": "password", "totp": "passcode"}
        identity: dict[str, Any] = {"methods": list(factors)}
        for method, secret in factors.items():
            identity[method] = {"user": {"id": self.id, names[method]: secret}} if method in names else secret
        headers = {} if receipt is None else {RECEIPT: receipt}
        body = {"auth": {"identity": identity}}
        return self.keystone.client.post("/v3/auth/tokens", as_=None, json=body, headers=headers)


@pytest.fixture
def ann(keystone: Keystone) -> Ann:
    return Ann(keystone)


@pytest.mark.parametrize(
    ("when", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_the_vectors_of_rfc_6238(when, code):
    assert totp.code(SECRET, when // 30) == code


def test_a_code_is_good_for_its_interval_and_the_next(ann):
    answer = ann.login(totp=ann.code())
    assert answer.status_code == 201
    assert answer.json["token"]["methods"] == ["totp"]
    assert ann.login(totp=ann.code(1)).status_code == 201
    assert ann.login(totp=ann.code(2)).status_code == 401
    assert ann.login(totp=ann.code(-1)).status_code == 401
    old = ann.code()
    ann.keystone.cloud.clock.advance(60)
    assert ann.login(totp=old).status_code == 401


@pytest.mark.parametrize("passcode", ["000000", "", None, 287082, "28708²", "x" * 10000])
def test_what_is_no_code(ann, passcode):
    assert ann.login(totp=passcode).status_code == 401


def test_any_credential_will_do_and_a_broken_one_does_no_harm(ann):
    for blob in ("not base32!", "", "é"):
        ann.keystone.client.post(
            "/v3/credentials", as_=ann.keystone.admin,
            json={"credential": {"user_id": ann.id, "type": "totp", "blob": blob}},
        )  # fmt: skip
    ann.keystone.make("credential", user_id=ann.id, type="cert", blob=base64.b32encode(b"other").decode())
    assert ann.login(totp=ann.code()).status_code == 201
    foreign = totp.code(base64.b32encode(b"other").decode(), int(seconds(ann.keystone.cloud.clock.now())) // 30)
    assert ann.login(totp=foreign).status_code == 401
    ann.keystone.client.delete(f"/v3/credentials/{ann.credential}", as_=ann.keystone.admin)
    assert ann.login(totp=ann.code()).status_code == 401


def test_a_disabled_user_has_no_codes(ann):
    ann.keystone.client.patch(f"/v3/users/{ann.id}", as_=ann.keystone.admin, json={"user": {"enabled": False}})
    assert ann.login(totp=ann.code()).status_code == 401


class TestSingleUse:
    @pytest.fixture
    def settings(self, settings: config.Settings) -> config.Settings:
        return msgspec.structs.replace(settings, identity=config.Identity(totp_single_use=True))

    def test_a_code_can_be_used_once_and_no_older_one_after_it(self, ann):
        assert ann.login(totp=ann.code(1)).status_code == 201
        assert ann.login(totp=ann.code(1)).status_code == 401
        assert ann.login(totp=ann.code()).status_code == 201
        assert ann.login(totp=ann.code()).status_code == 401
        assert ann.login(totp=ann.code(1)).status_code == 401
        ann.keystone.cloud.clock.advance(30)
        assert ann.login(totp=ann.code(), password="wrong").status_code == 401
        assert ann.login(totp=ann.code()).status_code == 201

    def test_a_receipt_uses_the_code_up(self, ann):
        ann.rules(["password", "totp"])
        assert RECEIPT in ann.login(totp=ann.code()).headers
        assert ann.login(totp=ann.code(), password="pass").status_code == 401


def test_a_rule_wants_all_its_methods(ann):
    ann.rules(["password", "totp"])
    answer = ann.login(password="pass", totp=ann.code())
    assert answer.status_code == 201
    assert answer.json["token"]["methods"] == ["password", "totp"]
    assert ann.login(password="pass", totp="000000").status_code == 401


def test_one_factor_gives_a_receipt_and_the_other_one_the_token(ann):
    ann.rules(["password", "totp"], ["password", "totp", "token"], ["token"])
    answer = ann.login(password="pass")
    assert answer.status_code == 401
    assert "x-subject-token" not in answer.headers
    receipt = answer.json["receipt"]
    assert receipt["methods"] == ["password"]
    assert receipt["user"] == {"id": ann.id, "name": "ann", "domain": {"id": "default", "name": "Default"}}
    assert receipt["expires_at"] == "2026-01-01T12:05:00.000000Z"
    assert answer.json["required_auth_methods"] == [["password", "totp"], ["password", "totp", "token"]]
    ann.keystone.cloud.clock.advance(200)
    text = answer.headers[RECEIPT]
    assert ann.login(receipt=text, totp="000000").status_code == 401
    second = ann.login(receipt=text, totp=ann.code())
    assert second.status_code == 201
    assert set(second.json["token"]["methods"]) == {"password", "totp"}
    # The token says that both were proved, so it can be had again for another scope.
    token = {"id": second.headers["x-subject-token"]}
    assert ann.login(token=token).status_code == 201
    ann.keystone.cloud.clock.advance(101)
    late = ann.login(receipt=text, totp=ann.code())
    assert late.status_code == 401
    assert late.json["error"]["message"] == f"Could not find auth receipt: {text}."


def test_a_receipt_is_of_one_user_and_ends_with_a_new_password(ann):
    ann.rules(["password", "totp"])
    text = ann.login(password="pass").headers[RECEIPT]
    ben = ann.keystone.make("user", name="ben", password="pass")["id"]
    ann.keystone.make("credential", user_id=ben, type="totp", blob=SECRET)
    identity = {"methods": ["totp"], "totp": {"user": {"id": ben, "passcode": ann.code()}}}
    foreign = ann.keystone.client.post(
        "/v3/auth/tokens", as_=None, json={"auth": {"identity": identity}}, headers={RECEIPT: text}
    )
    assert foreign.status_code == 401
    for bad in ("bogus", "é", text[:-4], ann.keystone.demo, "x" * 5000):
        assert ann.login(receipt=bad.encode().decode("latin-1"), totp=ann.code()).status_code == 401
    ann.keystone.client.patch(f"/v3/users/{ann.id}", as_=ann.keystone.admin, json={"user": {"password": "new"}})
    ann.keystone.cloud.clock.advance(1)
    assert ann.login(receipt=text, totp=ann.code()).status_code == 401


def test_a_receipt_is_no_token(ann):
    ann.rules(["password", "totp"])
    assert ann.keystone.status(ann.login(password="pass").headers[RECEIPT]) == 401


@pytest.mark.parametrize("rules", [[["password"]], [["nothing"]], [], [["password", "nothing"]]])
def test_what_a_password_is_enough_for(ann, rules):
    ann.rules(*rules)
    assert ann.login(password="pass").status_code == 201


def test_rules_count_only_while_they_are_enabled(ann):
    ann.rules(["password", "totp"], enabled=False)
    assert ann.login(password="pass").status_code == 201
    ann.rules(["password", "totp"])
    assert ann.login(password="pass").status_code == 401


def test_an_unknown_method_names_those_that_there_are(ann):
    answer = ann.login(saml={})
    assert answer.status_code == 401
    assert {"password", "token", "totp", "application_credential"} <= set(answer.json["error"]["identity"]["methods"])
