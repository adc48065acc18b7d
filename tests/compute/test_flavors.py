"""Flavors, their extra specs and who may use them."""

from __future__ import annotations

import pytest

from tests.conftest import PROJECT


def v(number):
    return {"OpenStack-API-Version": f"compute {number}"}


def create(compute, version="2.1", **more):
    body = {"flavor": {"name": "big", "ram": 64, "vcpus": 1, "disk": 0, **more}}
    return compute.post("/v2.1/flavors", as_="admin", json=body, headers=v(version))


def test_defaults_are_listed_and_shown(compute):
    answer = compute.get("/v2.1/flavors")
    assert {"m1.nano", "m1.tiny", "m1.small"} <= {flavor["name"] for flavor in answer.json["flavors"]}
    shown = compute.get("/v2.1/flavors/1").json["flavor"]
    assert (shown["ram"], shown["vcpus"], shown["swap"], shown["OS-FLV-DISABLED:disabled"]) == (512, 1, "", False)
    assert shown["links"][0]["href"].endswith("/v2.1/flavors/1")
    assert shown["links"][1]["href"].endswith("/flavors/1")


def test_forms_by_microversion(compute):
    assert "description" not in compute.get("/v2.1/flavors/1", headers=v("2.54")).json["flavor"]
    assert compute.get("/v2.1/flavors/1", headers=v("2.55")).json["flavor"]["description"] is None
    assert "extra_specs" in compute.get("/v2.1/flavors/1", headers=v("2.61")).json["flavor"]
    assert compute.get("/v2.1/flavors/1", headers=v("2.75")).json["flavor"]["swap"] == 0
    assert "rxtx_factor" not in compute.get("/v2.1/flavors/1", headers=v("latest")).json["flavor"]


def test_create_show_delete(compute):
    made = create(compute, id="auto", swap=512)
    assert made.status_code == 200
    flavor = made.json["flavor"]
    assert (flavor["swap"], flavor["rxtx_factor"]) == (512, 1.0)
    assert create(compute).status_code == 409
    assert create(compute).json["conflictingRequest"]["message"] == "Flavor with name big already exists."
    assert create(compute, name="other", id=flavor["id"]).status_code == 409
    assert compute.delete(f"/v2.1/flavors/{flavor['id']}", as_="admin").status_code == 202
    gone = compute.get(f"/v2.1/flavors/{flavor['id']}")
    assert gone.status_code == 404
    assert gone.json == {"itemNotFound": {"code": 404, "message": f"Flavor {flavor['id']} could not be found."}}


def test_members_manage_nothing(compute):
    body = {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 0}}
    answer = compute.post("/v2.1/flavors", json=body)
    assert answer.status_code == 403
    assert answer.json["forbidden"]["message"] == (
        "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed."
    )
    assert compute.delete("/v2.1/flavors/1").status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"ram": 0}, {"ram": "x"}, {"ram": -1}, {"vcpus": 2**31}, {"disk": 1.5}, {"name": ""}, {"name": " a"},
     {"name": "x" * 256}, {"id": " "}, {"id": "a/b"}, {"swap": -1}, {"rxtx_factor": 0}, {"foo": 1},
     {"os-flavor-access:is_public": "perhaps"}, {"description": "not yet"}],
)  # fmt: skip
def test_bad_flavors_are_refused(compute, wrong):
    answer = create(compute, **wrong)
    assert answer.status_code == 400
    assert answer.json["badRequest"]["message"].startswith(("Invalid input for field/attribute", "An invalid 'name'"))


def test_legacy_ignores_what_it_does_not_know(compute):
    body = {"flavor": {"name": " old ", "ram": 64, "vcpus": 1, "disk": 0, "foo": 1}}
    made = compute.post(f"/v2/{'a' * 32}/flavors", as_="admin", json=body)
    assert made.status_code == 200
    assert made.json["flavor"]["name"] == "old"
    assert "OpenStack-API-Version" not in made.headers
    assert made.json["flavor"]["links"][0]["href"].endswith(f"/v2/{'a' * 32}/flavors/{made.json['flavor']['id']}")


def test_paging(compute):
    seen, url = [], "/v2.1/flavors?limit=3"
    while url:
        answer = compute.get(url).json
        seen += [flavor["id"] for flavor in answer["flavors"]]
        links = answer.get("flavors_links")
        url = (
            links[0]["href"].partition(":80")[2] or links[0]["href"].partition("falconframework.org")[2]
            if links
            else ""
        )
    assert seen == sorted(seen)
    assert len(seen) == 7
    assert compute.get("/v2.1/flavors?marker=nope").status_code == 400
    assert compute.get("/v2.1/flavors?limit=-1").status_code == 400


def test_filters(compute):
    names = [flavor["name"] for flavor in compute.get("/v2.1/flavors/detail?minRam=4096&minDisk=80").json["flavors"]]
    assert names == ["m1.large", "m1.xlarge"]
    assert compute.get("/v2.1/flavors?minRam=x").status_code == 400
    assert compute.get("/v2.1/flavors?is_public=maybe", as_="admin").status_code == 400
    assert compute.get("/v2.1/flavors?nope=1", headers=v("2.75")).status_code == 400
    assert len(compute.get("/v2.1/flavors?name=m1.tiny", headers=v("2.102")).json["flavors"]) == 1


def test_private_flavors(compute, cloud, monkeypatch):
    from onestack.identity import public as identity

    monkeypatch.setattr(identity, "project_exists", lambda session, project_id: project_id == PROJECT)
    private = create(compute, **{"os-flavor-access:is_public": False, "id": "p"})
    assert private.status_code == 200
    assert compute.get("/v2.1/flavors/p").status_code == 404
    action = {"addTenantAccess": {"tenant": PROJECT}}
    given = compute.post("/v2.1/flavors/p/action", as_="admin", json=action)
    assert given.json == {"flavor_access": [{"flavor_id": "p", "tenant_id": PROJECT}]}
    assert compute.post("/v2.1/flavors/p/action", as_="admin", json=action).status_code == 409
    assert compute.post("/v2.1/flavors/p/action", json=action).status_code == 403
    unknown = {"addTenantAccess": {"tenant": "9" * 32}}
    assert compute.post("/v2.1/flavors/p/action", as_="admin", json=unknown).status_code == 400
    assert compute.get("/v2.1/flavors/p").status_code == 200
    assert compute.get("/v2.1/flavors/p", as_="other").status_code == 404
    assert compute.get("/v2.1/flavors/p/os-flavor-access", as_="admin").status_code == 200
    taken = compute.post("/v2.1/flavors/p/action", as_="admin", json={"removeTenantAccess": {"tenant": PROJECT}})
    assert taken.json == {"flavor_access": []}
    assert compute.get("/v2.1/flavors/1/os-flavor-access", as_="admin").status_code == 404


def test_extra_specs(compute):
    body = {"extra_specs": {"hw:cpu_policy": "shared", "n": 1}}
    assert compute.post("/v2.1/flavors/1/os-extra_specs", as_="admin", json=body).json == {
        "extra_specs": {"hw:cpu_policy": "shared", "n": 1}
    }
    assert compute.get("/v2.1/flavors/1/os-extra_specs/n").json == {"n": "1"}
    assert compute.put("/v2.1/flavors/1/os-extra_specs/n", as_="admin", json={"n": "2"}).json == {"n": "2"}
    assert compute.put("/v2.1/flavors/1/os-extra_specs/n", as_="admin", json={"m": "2"}).status_code == 400
    assert compute.delete("/v2.1/flavors/1/os-extra_specs/n", as_="admin").status_code == 200
    assert compute.get("/v2.1/flavors/1/os-extra_specs/n").status_code == 404
    assert compute.post("/v2.1/flavors/1/os-extra_specs", json=body).status_code == 403
    assert (
        compute.post("/v2.1/flavors/1/os-extra_specs", as_="admin", json={"extra_specs": {"a/b": "c"}}).status_code
        == 400
    )


def test_update_changes_the_description_only(compute):
    body = {"flavor": {"description": "small"}}
    assert compute.put("/v2.1/flavors/1", as_="admin", json=body, headers=v("2.54")).status_code == 404
    assert (
        compute.put("/v2.1/flavors/1", as_="admin", json=body, headers=v("2.55")).json["flavor"]["description"]
        == "small"
    )
    assert (
        compute.put("/v2.1/flavors/1", as_="admin", json={"flavor": {"name": "x"}}, headers=v("2.55")).status_code
        == 400
    )
