"""The admin token of the settings: an admin of identity, of nothing else, and only where it is set."""

from __future__ import annotations

import logging

import msgspec
import pytest

from onestack import config
from onestack.identity import public, service
from tests.identity.conftest import ADMIN_PASSWORD

SECRET = "sesame-open"


@pytest.fixture
def ports(cloud, client_of):
    """`ports(secret)` → clients of both ports."""

    def build(secret):
        settings = msgspec.structs.replace(cloud.settings, identity=config.Identity(admin_token=secret))
        cloud.settings = settings
        built = service.build(cloud)
        cloud.db.create_all()
        public.bootstrap(cloud, admin_password=ADMIN_PASSWORD)
        return client_of(built["identity"]), client_of(built["identity-admin"])

    return build


def test_it_is_an_admin_in_both_versions(ports, caplog):
    caplog.set_level(logging.DEBUG)
    new, old = ports(SECRET)
    assert [tenant["name"] for tenant in old.get("/v2.0/tenants", as_=SECRET).json["tenants"]]
    made = old.post("/v2.0/users", as_=SECRET, json={"user": {"name": "ann", "password": "x"}})
    assert made.status_code == 200
    listed = new.get("/v3/users?name=ann", as_=SECRET).json["users"]
    assert [user["id"] for user in listed] == [made.json["user"]["id"]]
    assert new.get("/v3/domains", as_=SECRET).status_code == 200
    assert SECRET not in caplog.text


@pytest.mark.parametrize("given", ["", "sesame", SECRET + "x", SECRET.upper(), "\N{BULLET}"])
def test_nothing_else_is_taken_for_it(ports, given):
    new, _ = ports(SECRET)
    headers = {"X-Auth-Token": given.encode("utf-8").decode("latin-1")}
    assert new.get("/v3/users", as_=None, headers=headers).status_code == 401


@pytest.mark.parametrize("given", ["", SECRET])
def test_where_none_is_set_none_is_good(ports, given):
    new, old = ports("")
    assert new.get("/v3/users", as_=given).status_code == 401
    assert old.get("/v2.0/tenants", as_=given).status_code == 401


def test_other_services_do_not_know_it(ports, cloud):
    ports(SECRET)
    assert cloud.authenticate(SECRET) is None


def test_it_is_nobody(ports):
    new, _ = ports(SECRET)
    assert new.get("/v3/auth/tokens", as_=SECRET, headers={"X-Subject-Token": SECRET}).status_code == 404
    assert new.get("/v3/auth/projects", as_=SECRET).json["projects"] == []
    assert new.get("/v2.0/tenants", as_=SECRET).json["tenants"] == []
    answer = new.patch(
        "/v2.0/OS-KSCRUD/users/x", as_=SECRET, json={"user": {"password": "a", "original_password": "b"}}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("text", ["a b", "a\\tb", "\\u00e9"])
def test_what_no_header_can_carry_is_refused_at_start(tmp_path, text):
    (tmp_path / "onestack.toml").write_text(f'[identity]\nadmin_token = "{text}"\n')
    with pytest.raises(config.ConfigError, match="admin_token"):
        config.load(str(tmp_path), hypervisor="fake")
