"""Placement: claims that never overbook, explanations, and the API by its microversions."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from onestack.placement import public, service

HOST = "10000000-0000-4000-8000-000000000001"
SECOND = "10000000-0000-4000-8000-000000000002"
SERVER = "20000000-0000-4000-8000-00000000000%d"
FLAVOR = {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 0}


@pytest.fixture
def placement(cloud, client_of):
    client = client_of(service.build(cloud)["placement"])
    cloud.db.create_all()
    with cloud.db.write() as session:
        for uuid, name, cpus in ((HOST, "host-1", 2), (SECOND, "host-2", 1)):
            public.ensure_provider(session, cloud, uuid, name)
            public.set_inventory(
                session, uuid,
                {"VCPU": {"total": cpus, "allocation_ratio": 2.0, "max_unit": cpus}, "MEMORY_MB": {"total": 2048}},
            )  # fmt: skip
    return client


def api(client, method, path, version="1.39", **more):
    more.setdefault("as_", "admin")
    return client.request(method, path, headers={"OpenStack-API-Version": f"placement {version}"}, **more)


def test_claims_stop_at_capacity_and_a_release_gives_back(cloud, placement):
    with cloud.db.write() as session:
        assert public.claim(session, SERVER % 1, "p", "u", HOST, FLAVOR)
        assert public.claim(session, SERVER % 2, "p", "u", HOST, FLAVOR)
        assert not public.claim(session, SERVER % 3, "p", "u", HOST, FLAVOR)
        assert public.usage(session, [HOST]) == {HOST: {"VCPU": 4, "MEMORY_MB": 1024}}
        assert public.claim(session, SERVER % 2, "p", "u", HOST, FLAVOR), "the same claim again is the same claim"
        public.release(session, SERVER % 1)
        public.release(session, SERVER % 1)
        assert public.claim(session, SERVER % 3, "p", "u", HOST, FLAVOR)


def test_simultaneous_claims_never_overbook(cloud, placement):
    won = []

    def work(number):
        with cloud.db.write() as session:
            won.append(public.claim(session, SERVER % number, "p", "u", HOST, FLAVOR))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 6 + [True] * 2


def test_candidates_take_one_query_and_refusals_say_why(cloud, placement):
    statements = []
    sa.event.listen(cloud.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with cloud.db.read() as session:
        found = public.candidates(session, FLAVOR)
        assert [(uuid, name) for uuid, name, _ in found] == [(HOST, "host-1")]
        assert found[0][2]["VCPU"].free == 4
        assert [text.split()[0] for text in statements] == ["SELECT"]
        reasons = public.refusals(session, {"VCPU": 2, "MEMORY_MB": 4096, "VGPU": 1})
    assert reasons == {
        "host-1": "4096 MEMORY_MB asked, 2048 of 2048 free; it has no VGPU",
        "host-2": "2 VCPU asked, at most 1 for one consumer; 4096 MEMORY_MB asked, 2048 of 2048 free; it has no VGPU",
    }


def test_inventory_refresh_keeps_what_is_used_and_the_generation_when_nothing_changed(cloud, placement):
    before = api(placement, "GET", f"/resource_providers/{HOST}").json["generation"]
    with cloud.db.write() as session:
        public.set_inventory(
            session, HOST,
            {"VCPU": {"total": 2, "allocation_ratio": 2.0, "max_unit": 2}, "MEMORY_MB": {"total": 2048}},
        )  # fmt: skip
    assert api(placement, "GET", f"/resource_providers/{HOST}").json["generation"] == before
    with cloud.db.write() as session:
        public.claim(session, SERVER % 1, "p", "u", HOST, {"VCPU": 1})
        public.set_inventory(session, HOST, {"DISK_GB": {"total": 10}})
    names = api(placement, "GET", f"/resource_providers/{HOST}/inventories").json["inventories"]
    assert set(names) == {"VCPU", "DISK_GB"}


def test_root_and_versions(placement):
    answer = placement.get("/", as_=None)
    assert answer.json["versions"][0]["max_version"] == "1.39"
    assert placement.get("/resource_providers", as_="admin").headers["openstack-api-version"] == "placement 1.0"
    assert api(placement, "GET", "/resource_providers", "latest").headers["openstack-api-version"] == "placement 1.39"
    bad = api(placement, "GET", "/resource_providers", "1.99")
    assert bad.status_code == 406
    assert bad.json["errors"][0]["max_version"] == "1.39"
    assert api(placement, "GET", "/traits", "1.5").status_code == 404


def test_members_are_refused(placement):
    answer = api(placement, "GET", "/resource_providers", as_="member")
    assert answer.status_code == 403
    error = answer.json["errors"][0]
    assert "Policy does not allow placement:resource_providers:list to be performed." in error["detail"]
    assert error["request_id"] == answer.headers["x-openstack-request-id"]
    assert api(placement, "GET", "/resource_providers", as_="service").status_code == 200


def test_provider_life(placement):
    made = api(placement, "POST", "/resource_providers", json={"name": "third"})
    assert made.status_code == 200
    uuid = made.json["uuid"]
    assert made.json["root_provider_uuid"] == uuid
    again = api(placement, "POST", "/resource_providers", json={"name": "third"})
    assert (again.status_code, again.json["errors"][0]["code"]) == (409, "placement.duplicate_name")
    old = api(placement, "POST", "/resource_providers", "1.0", json={"name": "fourth"})
    assert old.status_code == 201
    assert old.headers["location"].endswith(uuid) is False
    assert api(placement, "PUT", f"/resource_providers/{uuid}", json={"name": "3rd"}).json["name"] == "3rd"
    found = api(placement, "GET", "/resource_providers?name=3rd").json["resource_providers"]
    assert [row["uuid"] for row in found] == [uuid]
    assert api(placement, "DELETE", f"/resource_providers/{uuid}").status_code == 204
    assert api(placement, "GET", f"/resource_providers/{uuid}").status_code == 404


def test_inventory_generations(placement):
    path = f"/resource_providers/{HOST}/inventories"
    generation = api(placement, "GET", path).json["resource_provider_generation"]
    body = {"resource_provider_generation": generation, "inventories": {"VCPU": {"total": 8}}}
    assert api(placement, "PUT", path, json=body).json["inventories"]["VCPU"]["total"] == 8
    stale = api(placement, "PUT", path, json=body)
    assert (stale.status_code, stale.json["errors"][0]["code"]) == (409, "placement.concurrent_update")
    assert "code" not in api(placement, "PUT", path, "1.22", json=body).json["errors"][0]
    body = {"total": 4, "resource_provider_generation": generation + 1}
    assert api(placement, "PUT", path + "/VCPU", json=body).json["resource_provider_generation"] == generation + 2
    for bad in ({"total": 0}, {"total": 1, "reserved": 2}, {"total": 1, "allocation_ratio": -1}, {"total": 2**40}):
        body = {"resource_provider_generation": generation + 2, **bad}
        assert api(placement, "PUT", path + "/VCPU", json=body).status_code == 400


def allocation(amount, generation=None, provider=HOST):
    return {
        "allocations": {provider: {"resources": {"VCPU": amount}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": generation, "consumer_type": "INSTANCE",
    }  # fmt: skip


def test_allocations(placement):
    path = "/allocations/" + SERVER % 1
    assert api(placement, "PUT", path, json=allocation(2)).status_code == 204
    shown = api(placement, "GET", path).json
    assert shown["allocations"][HOST]["resources"] == {"VCPU": 2}
    assert shown["consumer_generation"] == 1
    assert api(placement, "PUT", path, json=allocation(1)).status_code == 409, "the consumer exists by now"
    assert api(placement, "PUT", path, json=allocation(1, 1)).status_code == 204
    used = api(placement, "GET", f"/resource_providers/{HOST}/usages").json["usages"]
    assert used == {"MEMORY_MB": 0, "VCPU": 1}
    assert api(placement, "GET", "/usages?project_id=p").json["usages"] == {
        "INSTANCE": {"consumer_count": 1, "VCPU": 1}
    }
    assert api(placement, "DELETE", f"/resource_providers/{HOST}").status_code == 409
    assert api(placement, "DELETE", path).status_code == 204
    assert api(placement, "DELETE", path).status_code == 404
    assert api(placement, "GET", path).json == {"allocations": {}}


def test_allocations_are_all_or_nothing(placement):
    many = {SERVER % number: allocation(2) for number in range(3)}
    answer = api(placement, "POST", "/allocations", json=many)
    assert answer.status_code == 409
    assert "exceed the capacity" in answer.json["errors"][0]["detail"]
    assert api(placement, "GET", f"/resource_providers/{HOST}/usages").json["usages"]["VCPU"] == 0
    del many[SERVER % 0]
    assert api(placement, "POST", "/allocations", json=many).status_code == 204
    assert api(placement, "PUT", "/allocations/" + SERVER % 5, json=allocation(3)).status_code == 409
    assert (
        api(placement, "PUT", "/allocations/" + SERVER % 5, json=allocation(1, provider=SERVER % 9)).status_code == 400
    )


def test_old_allocations_are_lists(placement):
    body = {"allocations": [{"resource_provider": {"uuid": HOST}, "resources": {"VCPU": 1}}]}
    assert api(placement, "PUT", "/allocations/" + SERVER % 1, "1.7", json=body).status_code == 204
    assert api(placement, "PUT", "/allocations/" + SERVER % 2, "1.8", json=body).status_code == 400


def test_candidates_api(placement):
    body = api(placement, "GET", "/allocation_candidates?resources=VCPU:1,MEMORY_MB:64").json
    assert len(body["allocation_requests"]) == 2
    assert body["allocation_requests"][0]["mappings"] == {"": [HOST]}
    assert body["provider_summaries"][HOST]["resources"]["VCPU"] == {"capacity": 4, "used": 0}
    assert (
        len(api(placement, "GET", "/allocation_candidates?resources=VCPU:1&limit=1").json["allocation_requests"]) == 1
    )
    two = "/allocation_candidates?resources1=VCPU:1&resources2=VCPU:1&group_policy="
    assert len(api(placement, "GET", two + "none").json["allocation_requests"]) == 1
    assert not api(placement, "GET", two + "isolate").json["allocation_requests"], "a candidate is of one tree"
    for bad in ("", "?resources=VCPU", "?resources=NOPE:1", "?resources=VCPU:1&limit=0", "?resources=VCPU:1&no=1"):
        assert api(placement, "GET", "/allocation_candidates" + bad).status_code == 400


def test_traits_aggregates_and_classes(placement):
    assert api(placement, "PUT", "/traits/CUSTOM_GOLD").status_code == 201
    assert api(placement, "PUT", "/traits/CUSTOM_GOLD").status_code == 204
    assert api(placement, "PUT", "/traits/gold").status_code == 400
    generation = api(placement, "GET", f"/resource_providers/{HOST}").json["generation"]
    body = {"traits": ["CUSTOM_GOLD"], "resource_provider_generation": generation}
    assert api(placement, "PUT", f"/resource_providers/{HOST}/traits", json=body).status_code == 200
    only = api(placement, "GET", "/allocation_candidates?resources=VCPU:1&required=CUSTOM_GOLD").json
    assert list(only["provider_summaries"]) == [HOST]
    rest = api(placement, "GET", "/resource_providers?required=!CUSTOM_GOLD").json["resource_providers"]
    assert [row["name"] for row in rest] == ["host-2"]
    assert api(placement, "DELETE", "/traits/CUSTOM_GOLD").status_code == 409
    body = {"aggregates": [SERVER % 7], "resource_provider_generation": generation + 1}
    assert api(placement, "PUT", f"/resource_providers/{HOST}/aggregates", json=body).status_code == 200
    members = api(placement, "GET", f"/resource_providers?member_of={SERVER % 7}").json["resource_providers"]
    assert [row["uuid"] for row in members] == [HOST]
    assert api(placement, "PUT", "/resource_classes/CUSTOM_GPU").status_code == 201
    assert api(placement, "GET", "/resource_classes/CUSTOM_GPU").json["name"] == "CUSTOM_GPU"
    assert api(placement, "DELETE", "/resource_classes/VCPU").status_code == 400
    assert api(placement, "DELETE", "/resource_classes/CUSTOM_GPU").status_code == 204


def test_every_standard_trait_is_known(placement):
    names = public.standard_traits()
    assert len(names) == 377
    assert api(placement, "GET", "/traits").json == {"traits": sorted(names)}
    assert api(placement, "GET", "/traits/HW_CPU_X86_AVX512VNNI").status_code == 204
    assert api(placement, "DELETE", "/traits/HW_GPU_API_VULKAN").status_code == 400
    body = {"traits": ["OWNER_NOVA", "HW_NIC_SRIOV"], "resource_provider_generation": 1}
    assert api(placement, "PUT", f"/resource_providers/{HOST}/traits", json=body).status_code == 200


CHILD = "10000000-0000-4000-8000-000000000003"


@pytest.fixture
def nested(placement):
    """host-1 with a child that has its VGPUs."""
    child = {"name": "child", "uuid": CHILD, "parent_provider_uuid": HOST}
    assert api(placement, "POST", "/resource_providers", json=child).status_code == 200
    body = {"resource_provider_generation": 0, "inventories": {"VGPU": {"total": 4}}}
    assert api(placement, "PUT", f"/resource_providers/{CHILD}/inventories", json=body).status_code == 200
    body = {"traits": ["HW_CPU_X86_AVX"], "resource_provider_generation": 1}
    assert api(placement, "PUT", f"/resource_providers/{HOST}/traits", json=body).status_code == 200
    return placement


@pytest.mark.parametrize(
    ("query", "given", "version"),
    [
        ("resources=VCPU:1,VGPU:1", [{HOST, CHILD}], "1.39"),
        ("resources=VCPU:1,VGPU:1", [], "1.28"),
        ("resources=VGPU:1", [{CHILD}], "1.28"),
        ("resources=VCPU:1,VGPU:1&required=HW_CPU_X86_AVX", [{HOST, CHILD}], "1.39"),
        ("resources1=VGPU:1&required1=HW_CPU_X86_AVX", [], "1.39"),
        ("resources=VGPU:1&root_required=HW_CPU_X86_AVX", [{CHILD}], "1.39"),
        ("resources=VCPU:1&root_required=!HW_CPU_X86_AVX", [{SECOND}], "1.39"),
        ("resources_a=VCPU:1&resources_b=VGPU:1&group_policy=isolate", [{HOST, CHILD}], "1.39"),
        ("resources_a=VCPU:1&resources_b=VGPU:1&group_policy=none&same_subtree=_a,_b", [{HOST, CHILD}], "1.39"),
        ("resources_a=VGPU:1&required_b=HW_CPU_X86_AVX&group_policy=none&same_subtree=_a,_b", [{CHILD}], "1.39"),
        ("resources=VGPU:1&in_tree=" + HOST, [{CHILD}], "1.39"),
        ("resources=VGPU:1&in_tree=" + SECOND, [], "1.39"),
    ],
)
def test_candidates_are_of_one_tree(nested, query, given, version):
    body = api(nested, "GET", "/allocation_candidates?" + query, version).json
    assert [set(request["allocations"]) for request in body["allocation_requests"]] == given
    if version == "1.39" and given == [{CHILD}]:
        assert set(body["provider_summaries"]) == {HOST, CHILD}, "the whole tree is told"


@pytest.mark.parametrize(
    ("query", "words", "version"),
    [
        ("resources=", "Got: empty string.", "1.39"),
        ("resources=VCPU", "Got: VCPU.", "1.39"),
        ("resources=VCPU:0", "Requested resource VCPU requires amount >= 1. Got: 0.", "1.39"),
        ("resources=VCPU:x", "Requested resource VCPU expected positive integer amount. Got: x.", "1.39"),
        ("resources=VCPU:1&limit=0", "'0' does not match '^[1-9][0-9]*$'", "1.39"),
        ("resources=VCPU:1&required=!OWNER_NOVA", "Expected 'required' parameter value", "1.21"),
        ("resources=VCPU:1&required=OWNER_NOVA,", "Got an empty trait in: OWNER_NOVA,", "1.39"),
        ("resources=VCPU:1&required=NOPE", "No such trait(s): NOPE.", "1.39"),
        ("resources=VCPU:1&required=OWNER_NOVA,!OWNER_NOVA", "Conflicting required and forbidden traits", "1.39"),
        ("resources=VCPU:1&member_of=x", "to contain valid UUID(s). Got: x", "1.39"),
        ("resources=VCPU:1&member_of=!" + HOST, "are not supported in the specified microversion", "1.31"),
        ("resources1=VCPU:1&resources2=VCPU:1", 'The "group_policy" parameter is required', "1.39"),
        ("resources=VCPU:1&required=NO_B,NO_A", "No such trait(s): NO_A.", "1.39"),
        ("required1=OWNER_NOVA&resources=VCPU:1", "Found the following orphaned traits keys: required1", "1.35"),
        ("resources=VCPU:1&same_subtree=_a", "Real suffixes should be specified in `same_subtree`", "1.39"),
        ("resources=VCPU:1&root_required=OWNER_NOVA&root_required=OWNER_NOVA", "specified only once.", "1.39"),
        ("resources1=VCPU:1", "'resources' is a required property", "1.24"),
    ],
)
def test_bad_candidate_queries_are_refused(placement, query, words, version):
    answer = api(placement, "GET", "/allocation_candidates?" + query, version)
    assert answer.status_code == 400
    assert words in answer.json["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words", "version"),
    [
        ("POST", "/resource_providers", {}, 400, "'name' is a required property", "1.0"),
        ("POST", "/resource_providers", {"name": 1}, 400, "1 is not of type 'string'", "1.0"),
        ("POST", "/resource_providers", {"name": ""}, 400, "name is required", "1.0"),
        ("POST", "/resource_providers", {"name": "x" * 201}, 400, "is too long", "1.0"),
        ("POST", "/resource_providers", {"name": "n", "parent_provider_uuid": None}, 400, "unexpected", "1.13"),
        ("POST", "/resource_providers", {"name": "host-1"}, 409, "name: host-1 already exists", "1.39"),
        ("PUT", "/resource_providers/none", {"x": 1}, 404, "No resource provider with uuid none found", "1.39"),
        ("PUT", "{host}/inventories/VCPU", {"total": 1}, 400, "'resource_provider_generation' is a required", "1.39"),
        ("PUT", "{host}/inventories/NOPE", {"total": 1, "{generation}": 1}, 404, "No such resource class NOPE", "1.39"),
        ("PUT", "{host}/inventories/VGPU", {"total": 1, "{generation}": 1}, 400, "No inventory of class VGPU", "1.39"),
        ("PUT", "{host}/inventories/VCPU", {"total": "1", "{generation}": 1}, 400, "'1' is not of type", "1.39"),
        ("PUT", "{host}/inventories/VCPU", {"total": True, "{generation}": 1}, 400, "True is not of type", "1.39"),
        ("DELETE", "{host}/inventories", None, 405, "is not allowed", "1.4"),
        ("PUT", "{host}/aggregates", [SECOND, SECOND], 400, "has non-unique elements", "1.18"),
        ("PUT", "{host}/aggregates", {"aggregates": [SECOND]}, 400, "is a required property", "1.19"),
        ("PUT", "{host}/traits", {"traits": ["NOPE"], "{generation}": 1}, 400, "No such trait NOPE", "1.39"),
        ("PUT", "{host}/traits", {"traits": [], "{generation}": 9}, 409, "generation already changed", "1.39"),
        ("PUT", "/resource_classes/VCPU", None, 400, "'VCPU' does not match '^CUSTOM_[A-Z0-9_]+$'", "1.39"),
        ("PUT", "/resource_classes/VCPU", {"name": "CUSTOM_A"}, 400, "Cannot update standard resource class", "1.6"),
        ("GET", "/traits?associated=1", None, 400, 'only accepts "true" or "false"', "1.39"),
        ("GET", "/resource_providers?uuid=x", None, 400, "'x' is not a 'uuid'", "1.39"),
        ("GET", "/resource_providers?foo=1", None, 400, "('foo' was unexpected)", "1.39"),
        ("GET", "/usages", None, 400, "'project_id' is a required property", "1.39"),
        ("GET", "/resource_providers/", None, 404, "", "1.39"),
        ("GET", "/reshaper", None, 405, "The method GET is not allowed for this resource.", "1.39"),
        ("POST", "/reshaper", {}, 403, "placement:reshaper:reshape", "1.39"),
        ("GET", "/resource_providers", None, 400, "invalid version string: 1.x", "1.x"),
    ],
)
def test_what_is_refused_and_how(placement, method, path, body, status, words, version):
    if isinstance(body, dict):
        body = {"resource_provider_generation" if key == "{generation}" else key: body[key] for key in body}
    more = {} if body is None else {"json": body}
    answer = api(placement, method, path.replace("{host}", f"/resource_providers/{HOST}"), version, **more)
    assert answer.status_code == status
    assert words in answer.json["errors"][0]["detail"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PATCH", "/traits", 405)])
def test_what_leads_nowhere_has_a_code_and_wants_a_token(placement, method, path, status):
    for version, code in (("1.22", None), ("1.23", "placement.undefined_code")):
        answer = api(placement, method, path, version)
        assert (answer.status_code, answer.json["errors"][0].get("code")) == (status, code)
    assert api(placement, method, path, as_=None).status_code == 401


def test_only_json_is_read_and_spoken(placement):
    headers = {"Content-Type": "text/plain", "OpenStack-API-Version": "placement 1.39"}
    assert placement.request("POST", "/resource_providers", as_="admin", headers=headers, body=b"{}").status_code == 415
    headers = {"Accept": "text/html", "OpenStack-API-Version": "placement 1.39"}
    assert placement.request("GET", "/resource_providers", as_="admin", headers=headers).status_code == 406
    assert placement.request("GET", "/nothing", as_=None).status_code == 401
    dated = api(placement, "GET", "/resource_providers", "1.15").headers
    assert (dated["cache-control"], dated["last-modified"][-3:]) == ("no-cache", "GMT")
    assert "last-modified" not in api(placement, "GET", "/resource_providers", "1.14").headers


def test_reshape_moves_inventory_and_allocations_together(nested):
    assert api(nested, "PUT", "/allocations/" + SERVER % 1, json=allocation(2)).status_code == 204
    hosts = api(nested, "GET", f"/resource_providers/{HOST}").json["generation"]
    body = {
        "inventories": {
            HOST: {"resource_provider_generation": hosts, "inventories": {"MEMORY_MB": {"total": 2048}}},
            CHILD: {"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 2}, "VGPU": {"total": 4}}},
        },
        "allocations": {SERVER % 1: allocation(3, 1, CHILD)},
    }
    refused = api(nested, "POST", "/reshaper", json=body, as_="service")
    assert refused.status_code == 409, "more than there will be"
    assert "VCPU" in api(nested, "GET", f"/resource_providers/{HOST}/inventories").json["inventories"]
    body["allocations"] = {SERVER % 1: allocation(2, 1, CHILD)}
    assert api(nested, "POST", "/reshaper", json=body, as_="service").status_code == 204
    assert set(api(nested, "GET", f"/resource_providers/{HOST}/inventories").json["inventories"]) == {"MEMORY_MB"}
    assert api(nested, "GET", f"/resource_providers/{CHILD}/usages").json["usages"] == {"VCPU": 2, "VGPU": 0}
    assert api(nested, "POST", "/reshaper", json=body, as_="service").status_code == 409, "the generations are old"
