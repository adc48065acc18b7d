"""Policies, and which of them is an endpoint's (OS-ENDPOINT-POLICY)."""

from __future__ import annotations

import pytest


def ask(keystone, method, path, **more):
    return keystone.client.request(method, f"/v3/{path}", as_=keystone.admin, **more)


def policy(keystone, **values):
    body = {"policy": {"blob": "{}", "type": "application/json"} | values}
    answer = ask(keystone, "POST", "policies", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json["policy"]


@pytest.fixture
def endpoint(keystone):
    """In the region `low`, which is in `middle`, which is in `top`."""
    for name, parent in (("top", None), ("middle", "top"), ("low", "middle")):
        keystone.make("region", id=name, parent_region_id=parent)
    service = keystone.make("service", type="t")["id"]
    return keystone.make("endpoint", service_id=service, interface="public", url="http://x", region_id="low")


def test_the_life_of_a_policy(keystone):
    made = policy(keystone, colour="red")
    assert made["links"]["self"].endswith(f"/v3/policies/{made['id']}")
    assert made["colour"] == "red"
    path = f"policies/{made['id']}"
    assert ask(keystone, "GET", path).json == {"policy": made}
    assert ask(keystone, "HEAD", path).status_code == 200
    other = policy(keystone, type="text/plain")
    assert ask(keystone, "GET", "policies?type=text/plain").json["policies"] == [other]
    assert len(ask(keystone, "GET", "policies").json["policies"]) == 2
    changed = ask(keystone, "PATCH", path, json={"policy": {"blob": "x"}}).json["policy"]
    assert changed == made | {"blob": "x"}
    assert ask(keystone, "DELETE", path).status_code == 204
    gone = ask(keystone, "GET", path)
    assert (gone.status_code, gone.json["error"]["message"]) == (404, f"Could not find policy: {made['id']}.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"blob": {"a": 1}}, "is not of type 'string'"),
        ({"type": "x" * 256}, "is too long"),
        ({"type": None}, "is not of type 'string'"),
    ],
)
def test_bad_policies(keystone, values, words):
    body = {"policy": {"blob": "{}", "type": "t"} | values}
    answer = ask(keystone, "POST", "policies", json=body)
    assert answer.status_code == 400
    assert words in answer.json["error"]["message"]
    made = policy(keystone)
    for change in (values, {}, {"id": "other"}):
        assert ask(keystone, "PATCH", f"policies/{made['id']}", json={"policy": change}).status_code == 400


def places(endpoint):
    service = endpoint["service_id"]
    return {
        "endpoint": f"endpoints/{endpoint['id']}",
        "region": f"services/{service}/regions/low",
        "above": f"services/{service}/regions/top",
        "service": f"services/{service}",
    }


@pytest.mark.parametrize("place", ["endpoint", "region", "above", "service"])
def test_an_association(keystone, endpoint, place):
    one, two = policy(keystone), policy(keystone)
    tail = f"OS-ENDPOINT-POLICY/{places(endpoint)[place]}"
    effective = f"endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    none = ask(keystone, "GET", f"policies/{one['id']}/{tail}")
    assert (none.status_code, none.json["error"]["message"]) == (404, "Could not find policy association.")
    none = ask(keystone, "GET", effective)
    assert none.json["error"]["message"] == f"No policy is associated with endpoint {endpoint['id']}."
    for _ in range(2):
        assert ask(keystone, "PUT", f"policies/{one['id']}/{tail}").status_code == 204
    assert ask(keystone, "GET", f"policies/{one['id']}/{tail}").status_code == 204
    assert ask(keystone, "HEAD", f"policies/{one['id']}/{tail}").status_code == 204
    assert ask(keystone, "GET", effective).json == {"policy": one}
    assert ask(keystone, "HEAD", effective).status_code == 200
    listed = ask(keystone, "GET", f"policies/{one['id']}/OS-ENDPOINT-POLICY/endpoints").json["endpoints"]
    assert listed == [{key: value for key, value in endpoint.items() if key != "region"}]
    # One policy for each place: another takes it.
    assert ask(keystone, "PUT", f"policies/{two['id']}/{tail}").status_code == 204
    assert ask(keystone, "GET", f"policies/{one['id']}/{tail}").status_code == 404
    assert ask(keystone, "DELETE", f"policies/{one['id']}/{tail}").status_code == 204
    assert ask(keystone, "GET", effective).json == {"policy": two}
    assert ask(keystone, "DELETE", f"policies/{two['id']}/{tail}").status_code == 204
    assert ask(keystone, "GET", effective).status_code == 404


def test_the_nearest_policy_counts(keystone, endpoint):
    effective = f"endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    made = {name: policy(keystone) for name in ("service", "above", "region", "endpoint")}
    for name, one in made.items():
        ask(keystone, "PUT", f"policies/{one['id']}/OS-ENDPOINT-POLICY/{places(endpoint)[name]}")
        assert ask(keystone, "GET", effective).json["policy"]["id"] == one["id"]
    for name in ("endpoint", "region", "above"):
        ask(keystone, "DELETE", f"policies/{made[name]['id']}")
    assert ask(keystone, "GET", effective).json["policy"]["id"] == made["service"]["id"]


def test_other_services_of_the_region_are_not_meant(keystone, endpoint):
    one = policy(keystone)
    other = keystone.make("service", type="other")["id"]
    ask(keystone, "PUT", f"policies/{one['id']}/OS-ENDPOINT-POLICY/services/{other}/regions/low")
    assert ask(keystone, "GET", f"endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy").status_code == 404
    assert ask(keystone, "GET", f"policies/{one['id']}/OS-ENDPOINT-POLICY/endpoints").json["endpoints"] == []


def test_the_clouds_own_endpoints_have_policies_too(keystone):
    one = policy(keystone)
    nova = keystone.client.get("/v3/services?type=compute", as_=keystone.admin).json["services"][0]["id"]
    assert ask(keystone, "PUT", f"policies/{one['id']}/OS-ENDPOINT-POLICY/services/{nova}").status_code == 204
    listed = ask(keystone, "GET", f"policies/{one['id']}/OS-ENDPOINT-POLICY/endpoints").json["endpoints"]
    assert {item["service_id"] for item in listed} == {nova}
    assert len(listed) == 3


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("endpoints/none", "Could not find endpoint: none."),
        ("services/none", "Could not find service: none."),
        ("services/{service}/regions/none", "Could not find region: none."),
    ],
)
def test_what_is_associated_must_be_there(keystone, endpoint, tail, words):
    one = policy(keystone)
    path = f"policies/{one['id']}/OS-ENDPOINT-POLICY/{tail.format(service=endpoint['service_id'])}"
    for method in ("GET", "PUT", "DELETE"):
        answer = ask(keystone, method, path)
        assert (answer.status_code, answer.json["error"]["message"]) == (404, words)
    gone = ask(keystone, "PUT", f"policies/none/OS-ENDPOINT-POLICY/services/{endpoint['service_id']}")
    assert gone.json["error"]["message"] == "Could not find policy: none."


def test_associations_go_with_what_they_name(keystone, endpoint):
    one = policy(keystone)
    for place in places(endpoint).values():
        ask(keystone, "PUT", f"policies/{one['id']}/OS-ENDPOINT-POLICY/{place}")
    ask(keystone, "DELETE", f"services/{endpoint['service_id']}")
    assert ask(keystone, "DELETE", "regions/top").status_code == 204
    assert ask(keystone, "GET", f"policies/{one['id']}/OS-ENDPOINT-POLICY/endpoints").json["endpoints"] == []
    with keystone.cloud.db.engine.connect() as connection:
        query = "SELECT count(*) FROM identity_policy_associations"
        assert connection.exec_driver_sql(query).scalar() == 0
