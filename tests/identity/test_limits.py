"""Unified limits: defaults, what projects and domains have instead, who sees what, and the two-level model."""

from __future__ import annotations

import msgspec
import pytest

from tests.identity import personas
from tests.identity.test_queries import Counter


@pytest.fixture
def service(keystone):
    return keystone.make("service", type="fishing", name="boats")["id"]


def register(keystone, service, *, as_=None, **values):
    value = {"service_id": service, "resource_name": "boats", "default_limit": 5} | values
    return keystone.client.post("/v3/registered_limits", as_=as_ or keystone.admin, json={"registered_limits": [value]})


def registered(keystone, service, **values):
    answer = register(keystone, service, **values)
    assert answer.status_code == 201, answer.text
    return answer.json["registered_limits"][0]


def limit(keystone, service, **values):
    value = {"service_id": service, "resource_name": "boats", "resource_limit": 3} | values
    return keystone.client.post("/v3/limits", as_=keystone.admin, json={"limits": [value]})


def limited(keystone, service, **values):
    answer = limit(keystone, service, **values)
    assert answer.status_code == 201, answer.text
    return answer.json["limits"][0]


def message(answer):
    return answer.json["error"]["message"]


def test_the_life_of_a_registered_limit(keystone, service):
    made = registered(keystone, service, region_id="RegionOne", description="d")
    assert made["links"]["self"].endswith(f"/v3/registered_limits/{made['id']}")
    assert made | {"id": "", "links": {}} == {
        "id": "", "service_id": service, "region_id": "RegionOne", "resource_name": "boats", "default_limit": 5,
        "description": "d", "links": {},
    }  # fmt: skip
    path = f"/v3/registered_limits/{made['id']}"
    assert keystone.client.get(path, as_=keystone.demo).json == {"registered_limit": made}
    body = {"registered_limit": {"default_limit": -1, "region_id": None}}
    changed = keystone.client.patch(path, as_=keystone.admin, json=body)
    assert changed.json["registered_limit"] == made | {"default_limit": -1, "region_id": None}
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204
    gone = keystone.client.get(path, as_=keystone.admin)
    assert (gone.status_code, message(gone)) == (404, f"Could not find registered limit for {made['id']}.")


def test_registered_limits_are_unique_by_service_region_and_name(keystone, service):
    registered(keystone, service)
    registered(keystone, service, region_id="RegionOne")
    other = registered(keystone, service, resource_name="nets")
    again = register(keystone, service)
    assert again.status_code == 409
    assert message(again) == "Conflict occurred attempting to store registered_limit - Duplicate entry."
    body = {"registered_limit": {"resource_name": "boats"}}
    path = f"/v3/registered_limits/{other['id']}"
    assert keystone.client.patch(path, as_=keystone.admin, json=body).status_code == 409
    both = {"service_id": service, "resource_name": "new", "default_limit": 1}
    twice = keystone.client.post("/v3/registered_limits", as_=keystone.admin, json={"registered_limits": [both, both]})
    assert twice.status_code == 409
    found = keystone.client.get("/v3/registered_limits?resource_name=boats&region_id=RegionOne", as_=keystone.demo).json
    assert len(found["registered_limits"]) == 1
    assert len(keystone.client.get("/v3/registered_limits", as_=keystone.demo).json["registered_limits"]) == 3


def test_a_registered_limit_that_projects_differ_from_stays(keystone, service):
    base = registered(keystone, service)
    project = keystone.find("projects", "demo")
    made = limited(keystone, service, project_id=project)
    path = f"/v3/registered_limits/{base['id']}"
    for answer in (
        keystone.client.delete(path, as_=keystone.admin),
        keystone.client.patch(path, as_=keystone.admin, json={"registered_limit": {"description": "x"}}),
    ):
        assert answer.status_code == 403
        assert message(answer) == (
            f"Unable to update or delete registered limit {base['id']} because there are project limits associated "
            "with it."
        )
    refused = keystone.client.delete(f"/v3/services/{service}", as_=keystone.admin)
    assert refused.status_code == 403
    assert keystone.client.delete(f"/v3/limits/{made['id']}", as_=keystone.admin).status_code == 204
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204
    assert keystone.client.delete(f"/v3/services/{service}", as_=keystone.admin).status_code == 204


def test_a_region_with_registered_limits_stays(keystone, service):
    keystone.make("region", id="sea")
    registered(keystone, service, region_id="sea")
    assert keystone.client.delete("/v3/regions/sea", as_=keystone.admin).status_code == 403
    assert keystone.client.get("/v3/regions/sea", as_=keystone.admin).status_code == 200


def test_the_life_of_a_limit(keystone, service):
    registered(keystone, service, region_id="RegionOne")
    project = keystone.find("projects", "demo")
    made = limited(keystone, service, project_id=project, region_id="RegionOne")
    assert made | {"id": "", "links": {}} == {
        "id": "", "service_id": service, "region_id": "RegionOne", "resource_name": "boats", "resource_limit": 3,
        "description": None, "project_id": project, "domain_id": None, "links": {},
    }  # fmt: skip
    path = f"/v3/limits/{made['id']}"
    assert keystone.client.get(path, as_=keystone.demo).json == {"limit": made}
    body = {"limit": {"resource_limit": 0, "description": "none"}}
    changed = keystone.client.patch(path, as_=keystone.admin, json=body).json["limit"]
    assert changed == made | body["limit"]
    again = limit(keystone, service, project_id=project, region_id="RegionOne")
    assert (again.status_code, message(again)) == (
        409, "Conflict occurred attempting to store limit - Duplicate entry."
    )  # fmt: skip
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204
    gone = keystone.client.get(path, as_=keystone.admin)
    assert (gone.status_code, message(gone)) == (404, f"Could not find limit for {made['id']}.")


def test_a_limit_needs_a_registered_one(keystone, service):
    registered(keystone, service, region_id="RegionOne")
    answer = limit(keystone, service, project_id=keystone.find("projects", "demo"))
    assert answer.status_code == 403
    assert message(answer) == "Unable to create a limit that has no corresponding registered limit."


def test_a_domain_named_as_a_project_gets_a_domains_limit(keystone, service):
    registered(keystone, service)
    made = limited(keystone, service, project_id="default")
    assert (made["project_id"], made["domain_id"]) == (None, "default")
    listed = keystone.client.get("/v3/limits?domain_id=default", as_=keystone.admin).json["limits"]
    assert listed == [made]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"service_id": "none"}, "'none' is not a 'uuid'"),
        ({"service_id": "f" * 32}, "Expecting to find service_id in limit."),
        ({"region_id": "none"}, "Expecting to find region_id in limit."),
        ({"project_id": "none"}, "Expecting to find project_id in limit."),
        ({"resource_limit": -2}, "-2 is less than the minimum of -1"),
        ({"resource_limit": 2**31}, "is greater than the maximum of 2147483647"),
        ({"resource_limit": True}, "True is not of type 'integer'"),
        ({"resource_limit": "3"}, "'3' is not of type 'integer'"),
        ({"domain_id": "default"}, "is valid under each of"),
        ({"project_id": None}, "is not valid under any of the given schemas"),
        ({"colour": "red"}, "Additional properties are not allowed ('colour' was unexpected)"),
    ],
)
def test_bad_limits(keystone, service, values, words):
    registered(keystone, service)
    answer = limit(keystone, service, **({"project_id": keystone.find("projects", "demo")} | values))
    assert answer.status_code == 400
    assert words in message(answer)
    assert keystone.client.get("/v3/limits", as_=keystone.admin).json["limits"] == []


@pytest.mark.parametrize("value", [None, {}, [], "x", [[]], [{}], [None]])
def test_bad_lists(keystone, value):
    for plural in ("limits", "registered_limits"):
        answer = keystone.client.post(f"/v3/{plural}", as_=keystone.admin, json={plural: value})
        assert answer.status_code == 400


def test_what_a_limit_is_of_cannot_be_changed(keystone, service):
    registered(keystone, service)
    made = limited(keystone, service, project_id=keystone.find("projects", "demo"))
    body = {"limit": {"resource_name": "nets"}}
    assert keystone.client.patch(f"/v3/limits/{made['id']}", as_=keystone.admin, json=body).status_code == 400


def test_limits_go_with_their_project(keystone, service):
    registered(keystone, service)
    project = keystone.make("project", name="short")["id"]
    made = limited(keystone, service, project_id=project)
    assert keystone.client.delete(f"/v3/projects/{project}", as_=keystone.admin).status_code == 204
    assert keystone.client.get(f"/v3/limits/{made['id']}", as_=keystone.admin).status_code == 404


def test_who_sees_which_limits(keystone, service):
    found = personas.make(keystone)
    registered(keystone, service)
    limits = {
        "own": limited(keystone, service, project_id=found.project),
        "domain": limited(keystone, service, domain_id=found.domain),
        "other": limited(keystone, service, project_id=keystone.find("projects", "demo")),
    }
    everything = set(limits)
    for name, token in found.tokens.items():
        if name.startswith("system") or name.endswith("admin"):
            listed, shown = everything, everything
        elif name.startswith("domain"):
            listed, shown = {"own", "domain"}, {"own", "domain"}
        else:
            listed, shown = {"own"}, {"own"}
        if name == "domain_admin":
            shown = everything
        answer = keystone.client.get("/v3/limits", as_=token)
        ids = {item["id"] for item in answer.json["limits"]}
        assert {key for key, value in limits.items() if value["id"] in ids} == listed, name
        assert {
            key for key, value in limits.items()
            if keystone.client.get(f"/v3/limits/{value['id']}", as_=token).status_code == 200
        } == shown, name  # fmt: skip
        unknown = keystone.client.get("/v3/limits/none", as_=token).status_code
        assert unknown == (404 if shown == everything else 403), name
    unscoped = keystone.token("reader", "pw", "unscoped", found.domain)
    assert keystone.client.get("/v3/limits", as_=unscoped).json["limits"] == []
    # A filter doesn't widen what is seen.
    other = limits["other"]["project_id"]
    path = f"/v3/limits?project_id={other}"
    assert keystone.client.get(path, as_=found.tokens["project_reader"]).json["limits"] == []


def test_limits_in_the_tree_of_a_project(keystone, service):
    registered(keystone, service)
    top = keystone.make("project", name="top")["id"]
    below = keystone.make("project", name="below", parent_id=top)["id"]
    admin, role = keystone.find("users", "admin"), keystone.find("roles", "admin")
    for project in (top, below):
        keystone.client.put(f"/v3/projects/{project}/users/{admin}/roles/{role}", as_=keystone.admin)
    made = limited(keystone, service, project_id=below)
    shown = keystone.client.get(f"/v3/projects/{top}?subtree_as_list&include_limits", as_=keystone.admin).json
    assert shown["project"]["subtree"][0]["project"]["limits"] == [made]
    shown = keystone.client.get(f"/v3/projects/{below}?parents_as_list&include_limits", as_=keystone.admin).json
    assert shown["project"]["parents"][0]["project"]["limits"] == []
    shown = keystone.client.get(f"/v3/projects/{top}?subtree_as_list", as_=keystone.admin).json
    assert "limits" not in shown["project"]["subtree"][0]["project"]


def test_the_model(keystone):
    shown = keystone.client.get("/v3/limits/model", as_=keystone.demo).json["model"]
    assert shown == {
        "name": "flat",
        "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
    }


@pytest.fixture
def strict(keystone):
    identity = msgspec.structs.replace(keystone.cloud.settings.identity, limit_enforcement_model="strict_two_level")
    keystone.cloud.settings = msgspec.structs.replace(keystone.cloud.settings, identity=identity)
    return keystone


def test_two_levels(strict, service):
    assert strict.client.get("/v3/limits/model", as_=strict.demo).json["model"]["name"] == "strict_two_level"
    registered(strict, service, default_limit=10)
    domain = strict.make("domain", name="d")["id"]
    one, two = (strict.make("project", name=name, domain_id=domain)["id"] for name in ("one", "two"))
    refused = limit(strict, service, project_id=one, resource_limit=11)
    assert refused.status_code == 403
    assert message(refused) == (
        f"Invalid resource limit: The resource limit (project_id: {one}, resource_name: boats, resource_limit: 11, "
        f"service_id: {service}, region_id: None) doesn't satisfy current hierarchy model.."
    )
    limited(strict, service, project_id=one, resource_limit=10)
    refused = limit(strict, service, domain_id=domain, resource_limit=9)
    assert refused.status_code == 403
    assert f"(domain_id: {domain}, resource_name: boats, resource_limit: 9" in message(refused)
    above = limited(strict, service, domain_id=domain, resource_limit=20)
    below = limited(strict, service, project_id=two, resource_limit=15)

    def change(made, value):
        body = {"limit": {"resource_limit": value}}
        return strict.client.patch(f"/v3/limits/{made['id']}", as_=strict.admin, json=body).status_code

    assert change(below, 21) == 403
    assert change(below, 20) == 200
    assert change(above, 19) == 403
    assert change(above, 20) == 200


def test_two_levels_in_one_request(strict, service):
    registered(strict, service, default_limit=1)
    domain = strict.make("domain", name="d")["id"]
    project = strict.make("project", name="p", domain_id=domain)["id"]
    base = {"service_id": service, "resource_name": "boats"}

    def both(upper, lower):
        values = [
            base | {"domain_id": domain, "resource_limit": upper},
            base | {"project_id": project, "resource_limit": lower},
        ]
        return strict.client.post("/v3/limits", as_=strict.admin, json={"limits": values}).status_code

    assert both(5, 6) == 403
    assert both(5, 5) == 201


def test_two_levels_bound_the_depth_of_projects(strict):
    parent = strict.make("project", name="one")["id"]
    parent = strict.make("project", name="two", parent_id=parent)["id"]
    body = {"project": {"name": "three", "parent_id": parent}}
    answer = strict.client.post("/v3/projects", as_=strict.admin, json=body)
    assert (answer.status_code, message(answer)) == (403, f"Max hierarchy depth reached for {parent} branch.")


@pytest.mark.parametrize("plural", ["limits", "registered_limits"])
def test_a_list_costs_the_same_however_long_it_is(keystone, service, plural):
    project = keystone.find("projects", "demo")

    def make(name):
        registered(keystone, service, resource_name=name)
        limited(keystone, service, resource_name=name, project_id=project)

    make("first")
    path = f"/v3/{plural}"
    keystone.client.get(path, as_=keystone.admin)
    counter = Counter(keystone.cloud)
    keystone.client.get(path, as_=keystone.admin)
    few = len(counter.statements)
    for position in range(20):
        make(f"n{position}")
    counter.statements.clear()
    assert len(keystone.client.get(path, as_=keystone.admin).json[plural]) == 21
    assert 0 < len(counter.statements) <= few
