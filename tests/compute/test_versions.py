"""Version documents, microversions and project ids in paths."""

from __future__ import annotations

import pytest

from tests.conftest import OTHER_PROJECT, PROJECT


def test_version_documents_need_no_token(compute):
    listed = compute.get("/", as_=None).json["versions"]
    assert [entry["id"] for entry in listed] == ["v2.0", "v2.1"]
    for path in ("/v2.1", "/v2.1/"):
        version = compute.get(path, as_=None).json["version"]
        assert (version["version"], version["min_version"]) == ("2.104", "2.1")
    assert compute.get(f"/v2.1/{PROJECT}/", as_=None).status_code == 401
    assert compute.get(f"/v2.1/{PROJECT}/").json["version"]["version"] == "2.104"
    assert compute.get(f"/v2.1/{PROJECT}").status_code == 404
    assert compute.get("/v2/", as_=None).json["version"]["id"] == "v2.0"


@pytest.mark.parametrize(
    ("headers", "shown"),
    [({}, "2.1"), ({"OpenStack-API-Version": "compute 2.53"}, "2.53"),
     ({"OpenStack-API-Version": "volume 3.4, compute 2.53"}, "2.53"),
     ({"X-OpenStack-Nova-API-Version": "2.6"}, "2.6"), ({"OpenStack-API-Version": "compute latest"}, "2.104")],
)  # fmt: skip
def test_microversions_are_negotiated(compute, headers, shown):
    answer = compute.get("/v2.1/flavors", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {shown}"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == shown
    assert "OpenStack-API-Version" in answer.headers["Vary"]
    assert answer.headers["x-compute-request-id"].startswith("req-")


def test_unknown_microversions(compute):
    answer = compute.get("/v2.1/flavors", headers={"OpenStack-API-Version": "compute 2.999"})
    assert answer.status_code == 406
    assert answer.json["computeFault"]["message"] == (
        "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104."
    )
    assert compute.get("/v2.1/flavors", headers={"OpenStack-API-Version": "compute x"}).status_code == 400


def test_project_in_the_path_must_be_the_tokens(compute):
    assert compute.get(f"/v2.1/{PROJECT}/flavors").status_code == 200
    answer = compute.get(f"/v2.1/{OTHER_PROJECT}/flavors")
    assert answer.status_code == 400
    assert answer.json["badRequest"]["message"] == (
        f"Malformed request URL: URL's project_id '{OTHER_PROJECT}' doesn't match Context's project_id '{PROJECT}'"
    )
    assert compute.get(f"/v2.1/{OTHER_PROJECT}/flavors", as_=None).status_code == 401


def test_legacy_has_no_microversions(compute):
    answer = compute.get(f"/v2/{PROJECT}/flavors", headers={"OpenStack-API-Version": "compute 2.61"})
    assert answer.status_code == 200
    assert "description" not in answer.json["flavors"][0]
    assert "OpenStack-API-Version" not in answer.headers
