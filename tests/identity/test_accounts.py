"""The rules of `[security_compliance]`, as somebody who logs in meets them."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import hmac
import os

import bcrypt
import msgspec
import pytest

from onestack.identity import passwords
from onestack.identity.backends import BACKEND
from tests.identity.conftest import ADMIN_PASSWORD

DAY = 86400
GENERIC = "The request you have made requires authentication."


def rules(keystone, **values):
    settings = keystone.cloud.settings
    new = msgspec.structs.replace(settings.security_compliance, **values)
    keystone.cloud.settings = msgspec.structs.replace(settings, security_compliance=new)


def change(keystone, user, old, new):
    body = {"user": {"original_password": old, "password": new}}
    answer = keystone.client.post(f"/v3/users/{user['id']}/password", as_=None, json=body)
    keystone.cloud.clock.advance(1)  # a token of the very moment of a revocation is revoked
    return answer


def patch(keystone, user, **values):
    admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    answer = keystone.client.patch(f"/v3/users/{user['id']}", as_=admin, json={"user": values})
    assert answer.status_code == 200, answer.text
    keystone.cloud.clock.advance(1)
    return answer.json["user"]


def message(answer):
    return answer.json["error"]["message"]


@pytest.fixture
def ann(keystone):
    return keystone.make("user", name="ann", password="one")


# Lockout


def test_too_many_wrong_passwords_lock_the_account_for_a_while(keystone, ann):
    rules(keystone, lockout_failure_attempts=3, lockout_duration=600)
    for _ in range(3):
        assert keystone.login("ann", "wrong").status_code == 401
    locked = keystone.login("ann", "one")
    assert (locked.status_code, message(locked)) == (401, GENERIC)
    assert change(keystone, ann, "one", "two").status_code == 401
    keystone.cloud.clock.advance(598)
    assert keystone.login("ann", "one").status_code == 401
    keystone.cloud.clock.advance(2)
    # After the lock counting begins again: one more wrong password doesn't lock at once.
    assert keystone.login("ann", "wrong").status_code == 401
    assert keystone.login("ann", "one").status_code == 201


def test_a_right_password_forgets_the_wrong_ones(keystone, ann):
    rules(keystone, lockout_failure_attempts=2)
    for _ in range(3):
        assert keystone.login("ann", "wrong").status_code == 401
        assert keystone.login("ann", "one").status_code == 201


def test_wrong_passwords_of_a_password_change_count_too(keystone, ann):
    rules(keystone, lockout_failure_attempts=2)
    for _ in range(2):
        assert change(keystone, ann, "wrong", "two").status_code == 401
    assert keystone.login("ann", "one").status_code == 401


def test_an_administrator_ends_a_lock_and_exempts(keystone, ann):
    rules(keystone, lockout_failure_attempts=1, lockout_duration=0)
    keystone.login("ann", "wrong")
    keystone.cloud.clock.advance(30 * DAY)
    assert keystone.login("ann", "one").status_code == 401
    patch(keystone, ann, enabled=True)
    assert keystone.login("ann", "one").status_code == 201
    patch(keystone, ann, options={"ignore_lockout_failure_attempts": True})
    keystone.login("ann", "wrong")
    assert keystone.login("ann", "one").status_code == 201


def test_no_wrong_password_of_many_at_once_is_lost(keystone, ann):
    rules(keystone, lockout_failure_attempts=40)

    def fail(_):
        with keystone.cloud.db.write() as session:
            BACKEND.count_failure(session, keystone.cloud, ann["id"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(39)))
    assert keystone.login("ann", "wrong").status_code == 401  # the fortieth
    assert keystone.login("ann", "one").status_code == 401


# Expiry


def test_passwords_expire_and_can_be_changed_then(keystone):
    rules(keystone, password_expires_days=30)
    ann = keystone.make("user", name="ann", password="one")
    assert ann["password_expires_at"] == "2026-01-31T12:00:00.000000"
    keystone.cloud.clock.advance(30 * DAY)
    answer = keystone.login("ann", "one")
    assert answer.status_code == 401
    assert message(answer) == f"The password is expired and needs to be changed for user: {ann['id']}."
    assert message(keystone.login("ann", "wrong")) == GENERIC
    assert change(keystone, ann, "wrong", "two").status_code == 401
    assert change(keystone, ann, "one", "two").status_code == 204
    assert keystone.login("ann", "two").status_code == 201
    keystone.cloud.clock.advance(30 * DAY)
    assert keystone.login("ann", "two").status_code == 401
    patch(keystone, ann, options={"ignore_password_expiry": True})
    assert keystone.login("ann", "two").status_code == 201


def test_a_password_that_an_administrator_chose_is_changed_first(keystone, ann):
    rules(keystone, change_password_upon_first_use=True)
    bob = keystone.make("user", name="bob", password="one")
    assert keystone.login("bob", "one").status_code == 401
    assert change(keystone, bob, "one", "two").status_code == 204
    assert keystone.login("bob", "two").status_code == 201
    assert keystone.login("ann", "one").status_code == 201  # made before the rule
    patch(keystone, ann, password="three")
    assert keystone.login("ann", "three").status_code == 401
    exempt = {"ignore_change_password_upon_first_use": True}
    keystone.make("user", name="cid", password="one", options=exempt)
    assert keystone.login("cid", "one").status_code == 201
    assert keystone.make("user", name="dot")["password_expires_at"] is None


def test_the_list_can_be_asked_for_what_expires(keystone):
    rules(keystone, password_expires_days=10)
    keystone.make("user", name="ann", password="one")
    keystone.cloud.clock.advance(5 * DAY)
    admin = keystone.admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    keystone.make("user", name="bob", password="one")

    def names(value):
        answer = keystone.client.get(f"/v3/users?password_expires_at={value}", as_=admin)
        return [user["name"] for user in answer.json["users"]] if answer.status_code == 200 else answer.status_code

    assert names("lt:2026-01-12T00:00:00Z") == ["ann"]
    assert names("gte:2026-01-11T12:00:00Z") == ["ann", "bob"]
    assert names("gt:2026-01-11T12:00:00Z") == ["bob"]
    assert names("2026-01-11T12:00:00Z") == names("eq:2026-01-11T12:00:00Z") == ["ann"]
    assert names("neq:2026-01-11T14:00:00%2B02:00") == ["bob"]
    assert names("xx:2026-01-11T12:00:00Z") == names("lt:soon") == 400
    group = keystone.client.post("/v3/groups", as_=admin, json={"group": {"name": "g"}}).json["group"]["id"]
    inside = f"/v3/groups/{group}/users"
    bob = keystone.client.get("/v3/users?name=bob", as_=admin).json["users"][0]["id"]
    keystone.client.put(f"{inside}/{bob}", as_=admin)
    answer = keystone.client.get(f"{inside}?password_expires_at=gt:2026-01-01T00:00:00Z", as_=admin)
    assert [user["name"] for user in answer.json["users"]] == ["bob"]
    assert keystone.client.get(f"{inside}?password_expires_at=lt:2026-01-01T00:00:00Z", as_=admin).json["users"] == []


# New passwords


def test_former_passwords_are_refused_to_users_not_to_administrators(keystone, ann):
    rules(keystone, unique_last_password_count=3)
    for old, new in (("one", "two"), ("two", "three")):
        assert change(keystone, ann, old, new).status_code == 204
    for former in ("one", "two", "three"):
        answer = change(keystone, ann, "three", former)
        assert answer.status_code == 400
        assert "cannot be identical to a previous password" in message(answer)
        assert message(answer).endswith("must be unique is 3.")
    assert change(keystone, ann, "three", "four").status_code == 204
    assert change(keystone, ann, "four", "one").status_code == 204
    patch(keystone, ann, password="four")
    assert keystone.login("ann", "four").status_code == 201


def test_a_password_must_be_used_for_a_while(keystone, ann):
    rules(keystone, minimum_password_age=2)
    assert change(keystone, ann, "one", "two").status_code == 204  # an administrator chose the first
    answer = change(keystone, ann, "two", "three")
    assert answer.status_code == 400
    assert "it must be used for 2 day(s) before it can be changed. Please try again in 1 day(s)" in message(answer)
    keystone.cloud.clock.advance(2 * DAY)
    assert change(keystone, ann, "two", "three").status_code == 204


def test_passwords_are_as_the_operator_wants_them(keystone, ann):
    rules(keystone, password_regex="^(?=.*[0-9]).{4,}$", password_regex_description="four characters and a digit")
    words = "The password does not match the requirements: four characters and a digit."
    refused = [
        change(keystone, ann, "one", "long enough"),
        keystone.client.post("/v3/users", as_=keystone.admin, json={"user": {"name": "x", "password": "abc"}}),
        keystone.client.patch(f"/v3/users/{ann['id']}", as_=keystone.admin, json={"user": {"password": "abc"}}),
    ]
    assert [(answer.status_code, message(answer)) for answer in refused] == [(400, words)] * 3
    assert keystone.login("ann", "one").status_code == 201  # what is there stays good
    assert change(keystone, ann, "one", "1234").status_code == 204


def test_a_locked_password_is_the_administrators(keystone, ann):
    patch(keystone, ann, options={"lock_password": True})
    answer = change(keystone, ann, "one", "two")
    assert answer.status_code == 400
    assert "password policy disallowing password changes" in message(answer)
    patch(keystone, ann, options={"lock_password": None})
    assert change(keystone, ann, "one", "two").status_code == 204


def test_a_new_password_ends_the_tokens(keystone, ann):
    token = keystone.token("ann", "one")
    keystone.cloud.clock.advance(1)
    assert change(keystone, ann, "one", "two").status_code == 204
    assert keystone.status(token) == 401


@pytest.mark.parametrize(
    "body",
    [
        {}, {"user": {}}, {"user": {"password": "a"}}, {"user": {"original_password": "one"}}, {"user": "one"},
        {"user": {"original_password": "one", "password": None}},
        {"user": {"original_password": "one", "password": "a", "x": 1}},
    ],
)  # fmt: skip
def test_a_change_needs_both_passwords_and_nothing_else(keystone, ann, body):
    answer = keystone.client.post(f"/v3/users/{ann['id']}/password", as_=None, json=body)
    assert answer.status_code == 400
    assert keystone.login("ann", "one").status_code == 201


def test_strict_lengths(keystone):
    settings = keystone.cloud.settings
    identity = msgspec.structs.replace(settings.identity, max_password_length=10, strict_password_check=True)
    keystone.cloud.settings = msgspec.structs.replace(settings, identity=identity)
    body = {"user": {"name": "x", "password": "x" * 11}}
    answer = keystone.client.post("/v3/users", as_=keystone.admin, json=body)
    assert answer.status_code == 403
    assert message(answer).startswith("The password length must be less than or equal to 10.")


# Activity


def test_who_is_away_too_long_is_disabled(keystone, ann):
    exempt = {"ignore_user_inactivity": True}
    patch(keystone, {"id": keystone.find("users", "admin")}, options=exempt)
    rules(keystone, disable_user_account_days_inactive=10)
    keystone.cloud.clock.advance(9 * DAY)
    token = keystone.token("ann", "one")
    keystone.cloud.clock.advance(9 * DAY)
    assert keystone.login("ann", "one").status_code == 201
    keystone.cloud.clock.advance(10 * DAY)
    answer = keystone.login("ann", "one")
    assert message(answer) == "The request you have made requires authentication."
    assert keystone.status(token) == 401
    admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    assert keystone.client.get(f"/v3/users/{ann['id']}", as_=admin).json["user"]["enabled"] is False
    patch(keystone, ann, enabled=True)
    assert keystone.login("ann", "one").status_code == 201
    keystone.cloud.clock.advance(10 * DAY)
    assert keystone.login("ann", "one").status_code == 401
    patch(keystone, ann, options=exempt, enabled=True)
    keystone.cloud.clock.advance(100 * DAY)
    assert keystone.login("ann", "one").status_code == 201


def test_options_are_checked(keystone, ann):
    good = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"], ["password"]]}
    assert patch(keystone, ann, options=good)["options"] == good
    assert patch(keystone, ann, options={"multi_factor_auth_enabled": None})["options"] == {
        "multi_factor_auth_rules": good["multi_factor_auth_rules"]
    }
    for wrong in ("x", ["password"], [[]], [[1]], [["a", "a"]], [["a"], ["a"]]):
        body = {"user": {"options": {"multi_factor_auth_rules": wrong}}}
        assert keystone.client.patch(f"/v3/users/{ann['id']}", as_=keystone.admin, json=body).status_code == 400
    body = {"user": {"options": {"lock_password": "yes"}}}
    assert keystone.client.patch(f"/v3/users/{ann['id']}", as_=keystone.admin, json=body).status_code == 400


# Hashes of another Keystone


def b64(data):
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def scrypt(password):
    salt = os.urandom(16)
    return f"$scrypt$ln=12,r=8,p=1${b64(salt)}${b64(hashlib.scrypt(password, salt=salt, n=4096, r=8, p=1, dklen=32))}"


def pbkdf2(password):
    salt = os.urandom(16)
    return f"$pbkdf2-sha512$1000${b64(salt)}${b64(hashlib.pbkdf2_hmac('sha512', password, salt, 1000))}"


def bcrypt_sha256(password):
    whole = bcrypt.gensalt(4)
    digest = bcrypt.hashpw(base64.b64encode(hmac.digest(whole[-22:], password, "sha256")), whole).decode()[-31:]
    return f"$bcrypt-sha256$v=2,t=2b,r=4${whole[-22:].decode()}${digest}"


def plain_bcrypt(password):
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize("make", [scrypt, pbkdf2, bcrypt_sha256, plain_bcrypt])
def test_hashes_of_another_keystone_verify(make):
    password = "pässwörd" * 20
    hashed = make(password.encode())
    assert passwords.verify(password, hashed)
    assert not passwords.verify("other", hashed)
    assert not passwords.verify(password, hashed[:-4])


def test_bcrypt_looks_at_72_bytes_only():
    assert passwords.verify("x" * 100, plain_bcrypt(b"x" * 72))


@pytest.mark.parametrize(
    "hashed",
    ["", "$", "$$$", "$2b$", "$scrypt$ln=99,r=8,p=1$aa$bb", "$scrypt$r=8$aa$bb", "$pbkdf2-sha512$x$aa$bb",
     "$pbkdf2-sha512$999999999999$aa$bb", "$bcrypt-sha256$v=1,t=2b,r=4$aa$bb", "$sha1$aa$bb"],
)  # fmt: skip
def test_spoilt_hashes_match_nothing(hashed):
    assert not passwords.verify("", hashed)
