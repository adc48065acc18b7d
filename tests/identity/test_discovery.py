"""What clients find at `/` and `/v3`, and what they are told about paths and methods that there aren't."""

from __future__ import annotations

import pytest

from onestack.identity import json_home
from onestack.identity.routes import ROUTES

_RELATION = "https://docs.openstack.org/api/openstack-identity/3/rel/"
_FILTER = "https://docs.openstack.org/api/openstack-identity/3/ext/OS-EP-FILTER/1.0/"
# Keystone names neither of these in its own document.
_UNNAMED = {
    "/projects/{project_id}/tags",
    "/OS-INHERIT/projects/{project_id}/users/{actor_id}/roles/inherited_to_projects",
    "/OS-INHERIT/projects/{project_id}/groups/{actor_id}/roles/inherited_to_projects",
}


def home(keystone, path="/v3", accept="application/json-home"):
    return keystone.client.get(path, as_=None, headers={"Accept": accept})


def test_versions(keystone):
    several = keystone.client.get("/", as_=None)
    assert several.status_code == 300
    one = several.json["versions"]["values"][0]
    assert (one["id"], one["status"]) == ("v3.14", "stable")
    assert several.headers["location"] == one["links"][0]["href"]
    for path in ("/v3", "/v3/"):
        assert keystone.client.get(path, as_=None).json == {"version": one}
    assert keystone.client.head("/v3", as_=None).status_code == 200


def test_the_home_document(keystone):
    answer = home(keystone)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json-home"
    resources = answer.json["resources"]
    assert resources[_RELATION + "users"] == {"href": "/users"}
    assert resources[_RELATION + "user"] == {
        "href-template": "/users/{user_id}",
        "href-vars": {"user_id": "https://docs.openstack.org/api/openstack-identity/3/param/user_id"},
    }
    assert resources[_RELATION + "limit_model"] == {"href": "/limits/model", "hints": {"status": "experimental"}}
    assert resources[_RELATION + "domain_config_option"]["href-vars"]["option"].endswith("/3/param/config_option")
    assert resources[_FILTER + "rel/endpoint_group"] == {
        "href-template": "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}",
        "href-vars": {"endpoint_group_id": _FILTER + "param/endpoint_group_id"},
    }


def test_hrefs_of_the_root_begin_with_the_version(keystone):
    below, root = home(keystone).json["resources"], home(keystone, "/").json["resources"]
    assert home(keystone, "/").status_code == 200
    assert below.keys() == root.keys()
    for relation, resource in root.items():
        for key in ("href", "href-template"):
            if key in resource:
                assert resource[key] == "/v3" + below[relation][key]


def test_every_route_is_in_it_and_nothing_else(keystone):
    assert json_home.unnamed(ROUTES) <= _UNNAMED
    listed = home(keystone).json["resources"].values()
    shapes = {json_home._shape(resource.get("href") or resource["href-template"]) for resource in listed}
    assert shapes <= {json_home._shape(route.path.removeprefix("/v3")) for route in ROUTES}
    assert json_home.document([]) == {"resources": {}}


@pytest.mark.parametrize(
    ("accept", "is_home"),
    [
        ("application/json-home", True),
        ("application/json-home, application/json;q=0.5", True),
        ("application/json, application/json-home;q=0.5", False),
        ("application/json, application/json-home", False),
        ("*/*", False),
        ("text/html", False),
        ("application/json-home;q=0", False),
        ("application/json-home;q=x", False),
        ("", False),
    ],
)
def test_what_the_client_would_rather_have(keystone, accept, is_home):
    assert ("resources" in home(keystone, accept=accept).json) is is_home


def test_certificates_are_gone(keystone):
    for name in ("ca", "certificates"):
        answer = keystone.client.get(f"/v3/OS-SIMPLE-CERT/{name}", as_=None)
        assert answer.status_code == 410
        assert answer.json["error"]["title"] == "Gone"
        assert "PKI tokens" in answer.json["error"]["message"]


def test_methods_and_paths_that_there_are_not(keystone):
    answer = keystone.client.put("/v3/limits", as_=keystone.admin, json={})
    assert answer.status_code == 405
    assert answer.json == {"message": "The method is not allowed for the requested URL."}
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))
    options = keystone.client.request("OPTIONS", "/v3/limits", as_=None)
    assert options.status_code == 200
    assert {"GET", "HEAD", "POST"} <= set(options.headers["allow"].replace(" ", "").split(","))
    assert options.headers["content-type"] == "text/html; charset=utf-8"
    assert options.headers["vary"] == "X-Auth-Token"
    for path in ("/v3/nothing", "/v4", "/v3/limits/a/b"):
        answer = keystone.client.get(path, as_=keystone.admin)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<h1>Not Found</h1>" in answer.text
    for path in ("/v2.0/nothing", "/v3/domains/config"):
        answer = keystone.client.get(path, as_=keystone.admin)
        assert answer.status_code == 404, path
        assert answer.json["error"]["code"] == 404
