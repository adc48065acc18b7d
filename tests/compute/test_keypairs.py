"""Key pairs belong to users."""

from __future__ import annotations

import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Qw0m4Zl3lq6mX6D9qf0v0mJm2rM3v7l0m2d0qk3vB ann@home"


def v(number):
    return {"OpenStack-API-Version": f"compute {number}"}


def add(compute, name="k", version="2.1", as_="member", **more):
    return compute.post(
        "/v2.1/os-keypairs", as_=as_, json={"keypair": {"name": name, "public_key": KEY, **more}}, headers=v(version)
    )


def test_import_show_delete(compute):
    made = add(compute)
    assert made.status_code == 200
    assert set(made.json["keypair"]) == {"name", "public_key", "fingerprint", "user_id"}
    shown = compute.get("/v2.1/os-keypairs/k", headers=v("2.2")).json["keypair"]
    assert shown["type"] == "ssh"
    assert len(shown["fingerprint"].split(":")) == 16
    assert add(compute).status_code == 409
    assert compute.get("/v2.1/os-keypairs/k", as_="other").status_code == 404
    assert compute.delete("/v2.1/os-keypairs/k").status_code == 202
    missing = compute.delete("/v2.1/os-keypairs/k", headers=v("2.2"))
    assert missing.status_code == 404
    assert missing.json["itemNotFound"]["message"] == f"Keypair k not found for user {'b0' * 16}"


def test_generated_keys_are_shown_once(compute):
    made = compute.post("/v2.1/os-keypairs", json={"keypair": {"name": "g"}}, headers=v("2.2"))
    assert made.status_code == 201
    assert made.json["keypair"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert made.json["keypair"]["public_key"].startswith("ssh-rsa ")
    assert "private_key" not in compute.get("/v2.1/os-keypairs/g").json["keypair"]


def test_no_generation_from_2_92(compute):
    answer = compute.post("/v2.1/os-keypairs", json={"keypair": {"name": "g"}}, headers=v("2.92"))
    assert answer.status_code == 400
    assert "'public_key' is a required property" in answer.json["badRequest"]["message"]
    assert add(compute, name="ann@home.org", version="2.92").status_code == 201
    assert add(compute, name="ann@home.com", version="2.91").status_code == 400


@pytest.mark.parametrize("key", ["", "ssh-rsa", "ssh-rsa xxxx", "hello world", "ssh-ed25519 AAAA", "é é"])
def test_bad_public_keys(compute, key):
    answer = add(compute, public_key=key)
    assert answer.status_code == 400
    assert "failed to generate fingerprint" in answer.json["badRequest"]["message"]


def test_paging_from_2_35(compute):
    for name in ("a", "b", "c"):
        assert add(compute, name=name).status_code == 200
    page = compute.get("/v2.1/os-keypairs?limit=2", headers=v("2.35")).json
    assert [entry["keypair"]["name"] for entry in page["keypairs"]] == ["a", "b"]
    assert "marker=b" in page["keypairs_links"][0]["href"]
    rest = compute.get("/v2.1/os-keypairs?limit=2&marker=b", headers=v("2.35")).json
    assert [entry["keypair"]["name"] for entry in rest["keypairs"]] == ["c"]
    assert compute.get("/v2.1/os-keypairs?marker=zz", headers=v("2.35")).status_code == 400
    assert len(compute.get("/v2.1/os-keypairs?limit=1").json["keypairs"]) == 3


def test_admins_manage_those_of_others(compute):
    user = "b0" * 16
    assert add(compute, as_="admin", version="2.10", user_id=user).status_code == 201
    assert len(compute.get("/v2.1/os-keypairs").json["keypairs"]) == 1
    assert compute.get(f"/v2.1/os-keypairs?user_id={user}", as_="other", headers=v("2.10")).status_code == 403
    assert len(compute.get(f"/v2.1/os-keypairs?user_id={user}", as_="admin", headers=v("2.10")).json["keypairs"]) == 1


def test_quota(compute, cloud):
    from onestack.core import quota
    from tests.conftest import PROJECT

    with cloud.db.write() as session:
        quota.set_limits(session, "compute", PROJECT, {"key_pairs": 1})
    assert add(compute, name="a").status_code == 200
    refused = add(compute, name="b")
    assert refused.status_code == 403
    assert refused.json["forbidden"]["message"] == "Quota exceeded, too many key pairs."


@pytest.mark.parametrize(
    ("form", "status"),
    [("{} {}", 201), ("{} {}\n", 201), ("{} {} a comment", 201), ("{}\t{}", 400), ("  {} {}", 400), ("{}  {}", 400)],
)
def test_one_space_comes_before_a_key(compute, form, status):
    public = form.format(*KEY.split(" ")[:2])
    answer = compute.post(
        "/v2.1/os-keypairs", json={"keypair": {"name": "spaced", "public_key": public}},
        headers={"OpenStack-API-Version": "compute 2.2"},
    )  # fmt: skip
    assert answer.status_code == status, answer.text
