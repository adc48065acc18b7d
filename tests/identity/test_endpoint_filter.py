"""OS-EP-FILTER: endpoints and endpoint groups of projects, and the catalogs that come of them."""

from __future__ import annotations

import msgspec
import pytest

from tests.identity import personas
from tests.identity.conftest import DEMO_PASSWORD
from tests.identity.test_queries import Counter

BASE = "/v3/OS-EP-FILTER"


@pytest.fixture
def project(keystone):
    return keystone.find("projects", "demo")


@pytest.fixture
def endpoint(keystone):
    """Somebody's own endpoint: of the service `backup`, public, in RegionOne."""
    service = keystone.make("service", type="backup", name="freezer")
    return keystone.make(
        "endpoint", service_id=service["id"], interface="public", region_id="RegionOne", url="http://b/%(project_id)s"
    )


def ask(keystone, method, path, **more):
    return keystone.client.request(method, BASE + path, as_=keystone.admin, **more)


def group(keystone, **values):
    body = {"endpoint_group": {"name": "g", "filters": {"interface": "public"}} | values}
    answer = ask(keystone, "POST", "/endpoint_groups", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json["endpoint_group"]


def catalog(keystone):
    """What demo's tokens show: {type: interfaces}, the same in a new token, an old one and /v3/auth/catalog."""
    new = keystone.login("demo", DEMO_PASSWORD, keystone.on("demo")).json["token"]["catalog"]
    headers = {"X-Subject-Token": keystone.demo}
    old = keystone.client.get("/v3/auth/tokens", as_=keystone.demo, headers=headers).json["token"]["catalog"]
    asked = keystone.client.get("/v3/auth/catalog", as_=keystone.demo).json["catalog"]
    assert new == old == asked
    return {entry["type"]: sorted(row["interface"] for row in entry["endpoints"]) for entry in new}


def test_the_life_of_an_endpoint_group(keystone):
    made = group(keystone, description="d")
    assert made["links"]["self"].endswith(f"{BASE}/endpoint_groups/{made['id']}")
    path = f"/endpoint_groups/{made['id']}"
    assert ask(keystone, "GET", path).json == {"endpoint_group": made}
    assert ask(keystone, "HEAD", path).status_code == 200
    assert ask(keystone, "GET", "/endpoint_groups").json["endpoint_groups"] == [made]
    assert ask(keystone, "GET", "/endpoint_groups?name=other").json["endpoint_groups"] == []
    body = {"endpoint_group": {"name": "h", "filters": {"region_id": "RegionOne"}}}
    assert ask(keystone, "PATCH", path, json=body).json["endpoint_group"] == made | body["endpoint_group"]
    assert ask(keystone, "DELETE", path).status_code == 204
    gone = ask(keystone, "GET", path)
    assert gone.status_code == 404
    assert gone.json["error"]["message"] == f"Could not find Endpoint Group: {made['id']}."


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"filters": {}}, "filters field is required and cannot be empty"),
        ({"filters": {"odd": 1}}, "Expecting to find service_id or region_id or interface in endpoint_group."),
        ({"filters": {"enabled": True}}, "Expecting to find service_id or region_id or interface"),
        ({"filters": {"interface": "odd"}}, "is not one of"),
        ({"filters": {"service_id": 7}}, "is not of type 'string'"),
        ({"filters": []}, "is not of type 'object'"),
        ({"name": ""}, "should be non-empty"),
        ({"colour": "red"}, "Additional properties are not allowed"),
    ],
)
def test_bad_endpoint_groups(keystone, values, words):
    body = {"endpoint_group": {"name": "g", "filters": {"interface": "public"}} | values}
    answer = ask(keystone, "POST", "/endpoint_groups", json=body)
    assert answer.status_code == 400
    assert words in answer.json["error"]["message"]
    made = group(keystone)
    if values != {"filters": {}}:
        path = f"/endpoint_groups/{made['id']}"
        assert ask(keystone, "PATCH", path, json={"endpoint_group": values}).status_code == 400


def test_an_endpoint_of_a_project(keystone, project, endpoint):
    path = f"/projects/{project}/endpoints/{endpoint['id']}"
    missing = ask(keystone, "GET", path)
    assert missing.status_code == 404
    words = f"Endpoint {endpoint['id']} not found in project {project}"
    assert missing.json["error"]["message"] == words
    assert ask(keystone, "PUT", path).status_code == 204
    again = ask(keystone, "PUT", path)
    assert again.status_code == 409
    assert ask(keystone, "GET", path).status_code == 204
    assert ask(keystone, "HEAD", path).status_code == 204
    assert ask(keystone, "GET", f"/projects/{project}/endpoints").json["endpoints"] == [endpoint]
    listed = ask(keystone, "GET", f"/endpoints/{endpoint['id']}/projects").json["projects"]
    assert [item["id"] for item in listed] == [project]
    assert ask(keystone, "DELETE", path).status_code == 204
    assert ask(keystone, "DELETE", path).status_code == 404
    for odd in (f"/projects/none/endpoints/{endpoint['id']}", f"/projects/{project}/endpoints/none"):
        assert ask(keystone, "PUT", odd).status_code == 404


def test_an_endpoint_group_of_a_project(keystone, project, endpoint):
    made = group(keystone, filters={"service_id": endpoint["service_id"]})
    path = f"/endpoint_groups/{made['id']}/projects/{project}"
    missing = ask(keystone, "GET", path)
    assert missing.json["error"]["message"] == "Endpoint Group Project Association not found"
    assert ask(keystone, "PUT", path).status_code == 204
    assert ask(keystone, "PUT", path).status_code == 409
    shown = ask(keystone, "GET", path).json["project_endpoint_group"]
    assert (shown["endpoint_group_id"], shown["project_id"]) == (made["id"], project)
    assert ask(keystone, "HEAD", path).status_code == 200
    assert ask(keystone, "GET", f"/projects/{project}/endpoint_groups").json["endpoint_groups"] == [made]
    listed = ask(keystone, "GET", f"/endpoint_groups/{made['id']}/projects").json["projects"]
    assert [item["id"] for item in listed] == [project]
    assert ask(keystone, "GET", f"/endpoint_groups/{made['id']}/endpoints").json["endpoints"] == [endpoint]
    assert ask(keystone, "GET", f"/projects/{project}/endpoints").json["endpoints"] == [endpoint]
    assert ask(keystone, "DELETE", path).status_code == 204
    assert ask(keystone, "DELETE", path).status_code == 404
    assert ask(keystone, "PUT", f"/endpoint_groups/none/projects/{project}").status_code == 404
    assert ask(keystone, "PUT", f"/endpoint_groups/{made['id']}/projects/none").status_code == 404
    assert ask(keystone, "GET", "/projects/none/endpoint_groups").status_code == 404


def test_a_catalog_has_what_the_project_was_given(keystone, project, endpoint):
    full = catalog(keystone)
    assert full["backup"] == ["public"]
    assert full["compute"] == ["admin", "internal", "public"]
    single = f"/projects/{project}/endpoints/{endpoint['id']}"
    ask(keystone, "PUT", single)
    assert catalog(keystone) == {"backup": ["public"]}
    # The cloud's own endpoints can be given as well.
    nova = keystone.client.get("/v3/services?type=compute", as_=keystone.admin).json["services"][0]["id"]
    made = group(keystone, filters={"service_id": nova, "interface": "internal"})
    ask(keystone, "PUT", f"/endpoint_groups/{made['id']}/projects/{project}")
    assert catalog(keystone) == {"backup": ["public"], "compute": ["internal"]}
    body = {"endpoint_group": {"filters": {"service_id": nova}}}
    ask(keystone, "PATCH", f"/endpoint_groups/{made['id']}", json=body)
    assert catalog(keystone) == {"backup": ["public"], "compute": ["admin", "internal", "public"]}
    ask(keystone, "DELETE", f"/endpoint_groups/{made['id']}")
    assert catalog(keystone) == {"backup": ["public"]}
    # Other projects are not touched.
    others = keystone.client.get("/v3/auth/catalog", as_=keystone.admin).json["catalog"]
    assert len(others) == len(full)
    # What is disabled is not shown, and a filter that leaves nothing is one still.
    change = {"endpoint": {"enabled": False}}
    keystone.client.patch(f"/v3/endpoints/{endpoint['id']}", as_=keystone.admin, json=change)
    assert catalog(keystone) == {}
    ask(keystone, "DELETE", single)
    assert catalog(keystone) == full | {"backup": []}


def test_a_removed_endpoint_filters_no_more(keystone, project, endpoint):
    full = catalog(keystone)
    ask(keystone, "PUT", f"/projects/{project}/endpoints/{endpoint['id']}")
    assert keystone.client.delete(f"/v3/services/{endpoint['service_id']}", as_=keystone.admin).status_code == 204
    assert catalog(keystone) == {kind: rows for kind, rows in full.items() if kind != "backup"}
    assert ask(keystone, "GET", f"/projects/{project}/endpoints").json["endpoints"] == []


def test_an_empty_catalog_without_filters_is_the_operators_choice(keystone, project, endpoint):
    identity = msgspec.structs.replace(keystone.cloud.settings.identity, return_all_endpoints_if_no_filter=False)
    keystone.cloud.settings = msgspec.structs.replace(keystone.cloud.settings, identity=identity)
    assert catalog(keystone) == {}
    ask(keystone, "PUT", f"/projects/{project}/endpoints/{endpoint['id']}")
    assert catalog(keystone) == {"backup": ["public"]}


def test_associations_go_with_their_project(keystone, endpoint):
    short = keystone.make("project", name="short")["id"]
    made = group(keystone)
    ask(keystone, "PUT", f"/projects/{short}/endpoints/{endpoint['id']}")
    ask(keystone, "PUT", f"/endpoint_groups/{made['id']}/projects/{short}")
    assert keystone.client.delete(f"/v3/projects/{short}", as_=keystone.admin).status_code == 204
    assert ask(keystone, "GET", f"/endpoints/{endpoint['id']}/projects").json["projects"] == []
    assert ask(keystone, "GET", f"/endpoint_groups/{made['id']}/projects").json["projects"] == []


def test_filters_cost_a_known_token_nothing(keystone, project, endpoint):
    ask(keystone, "PUT", f"/projects/{project}/endpoints/{endpoint['id']}")
    headers = {"X-Subject-Token": keystone.demo}
    keystone.client.get("/v3/auth/tokens", as_=keystone.demo, headers=headers)
    counter = Counter(keystone.cloud)
    shown = keystone.client.get("/v3/auth/tokens", as_=keystone.demo, headers=headers).json["token"]
    assert [entry["type"] for entry in shown["catalog"]] == ["backup"]
    assert keystone.cloud.authenticate(keystone.demo) is not None
    assert counter.statements == []


def test_a_domains_token_sees_all(keystone, endpoint):
    found = personas.make(keystone)
    ask(keystone, "PUT", f"/projects/{found.project}/endpoints/{endpoint['id']}")

    def types(name):
        headers = {"X-Subject-Token": found.tokens[name]}
        answer = keystone.client.get("/v3/auth/tokens", as_=keystone.admin, headers=headers)
        return {entry["type"] for entry in answer.json["token"]["catalog"]}

    assert types("project_member") == {"backup"}
    assert {"backup", "compute", "identity"} <= types("domain_member")
    assert {"backup", "compute", "identity"} <= types("system_member")
