"""Networks and subnets."""

from __future__ import annotations

import pytest

from tests.conftest import OTHER_PROJECT, PROJECT


def error(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.json["NeutronError"]["type"] == kind
    assert set(answer.json["NeutronError"]) == {"type", "message", "detail"}
    return answer.json["NeutronError"]["message"]


def test_a_new_network_is_what_was_asked_for(make):
    net = make.network("a", description="d", admin_state_up="False")
    assert (net["name"], net["description"], net["admin_state_up"]) == ("a", "d", False)
    assert (net["mtu"], net["status"], net["subnets"], net["project_id"]) == (1442, "ACTIVE", [], PROJECT)
    assert net["tenant_id"] == PROJECT
    assert "provider:network_type" not in net


def test_admins_see_the_segment(api, make):
    net = api.get(f"/v2.0/networks/{make.network()['id']}", as_="admin").json["network"]
    assert net["provider:network_type"] == "geneve"
    assert net["provider:segmentation_id"] > 0


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_the_network_of_another_tenant_is_not_there(api, make, method):
    net = make.network()
    more = {"json": {"network": {"name": "x"}}} if method == "put" else {}
    message = error(getattr(api, method)(f"/v2.0/networks/{net['id']}", as_="other", **more), 404, "NetworkNotFound")
    assert message == f"Network {net['id']} could not be found."


def test_readers_may_look_and_no_more(api, make):
    net = make.network()
    assert api.get(f"/v2.0/networks/{net['id']}", as_="reader").status_code == 200
    error(api.post("/v2.0/networks", as_="reader", json={"network": {}}), 403, "PolicyNotAuthorized")
    error(api.delete(f"/v2.0/networks/{net['id']}", as_="reader"), 403, "PolicyNotAuthorized")


@pytest.mark.parametrize("name", ["shared", "router:external", "provider:network_type"])
def test_some_attributes_are_for_admins(api, name):
    body = {"network": {name: "flat" if name.startswith("provider") else True}}
    assert f"create_network:{name}" in error(api.post("/v2.0/networks", json=body), 403, "PolicyNotAuthorized")


def test_a_shared_network_is_everybodys_to_use_but_not_to_change(api, make):
    net = make.post("network", "networks", as_="admin", name="s", shared=True)
    sub = make.post("subnet", "subnets", as_="admin", network_id=net["id"], cidr="10.3.0.0/24", ip_version=4)
    assert api.get(f"/v2.0/subnets/{sub['id']}").status_code == 200
    assert make.port(net)["project_id"] == PROJECT
    error(api.put(f"/v2.0/networks/{net['id']}", json={"network": {"name": "x"}}), 403, "PolicyNotAuthorized")
    answer = api.put(f"/v2.0/networks/{net['id']}", as_="admin", json={"network": {"shared": False}})
    error(answer, 409, "InvalidSharedSetting")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Unable to find 'network' in request body"),
        ({"network": []}, "Object 'network' contains invalid data"),
        ({"network": {"colour": 1}}, "Unrecognized attribute(s) 'colour'"),
        ({"network": {"id": "x"}}, "Attribute 'id' not allowed in POST"),
        ({"network": {"name": 1}}, "Invalid input for name. Reason: '1' is not a valid string."),
        ({"network": {"name": "x" * 256}}, None),
        ({"networks": []}, "Resources required"),
        ({"networks": [1]}, "Body contains invalid data"),
        ({"networks": None}, "Resources required"),
        ({"networks": ["x"]}, "Object 'network' contains invalid data"),
        ({"network": {"name": " x"}}, "Invalid input for name. Reason: ' x' is not a valid string."),
        ({"network": {"name": "x\ty"}}, "Invalid input for name. Reason: 'x\ty' is not a valid string."),
        ({"network": {"mtu": -1}}, "Invalid input for mtu. Reason: '-1' should be non-negative."),
        ({"network": {"dns_domain": "x"}}, "Invalid input for dns_domain. Reason: 'x' is not a FQDN."),
        ({"network": {"dns_domain": "a..b."}}, "Invalid input for dns_domain. Reason: 'a..b.' not a valid PQDN or "
         "FQDN. Reason: Encountered an empty component."),
        ({"network": {"project_id": "x", "tenant_id": "y"}}, "'project_id' and 'tenant_id' do not match"),
        ({"network": {"project_id": None}}, "Specifying 'project_id' other than the authenticated project in request "
         "is not allowed for the current user."),
        ({"network": {"name": 1 << 70}}, f"Invalid input for name. Reason: '{1 << 70}' is not a valid string."),
        # What may not be given at all is named before what is wrong with a value.
        ({"network": {"name": 1, "status": "x"}}, "Attribute 'status' not allowed in POST"),
    ],
)  # fmt: skip
def test_bad_bodies(api, body, message):
    found = error(api.post("/v2.0/networks", json=body), 400, "HTTPBadRequest")
    assert message in (None, found)


def test_words_of_conversion(api):
    message = error(api.post("/v2.0/networks", json={"network": {"admin_state_up": "maybe"}}), 400, "InvalidInput")
    assert message == "Invalid input for operation: 'maybe' cannot be converted to boolean."


def test_tenants_make_nothing_for_others(api, make):
    error(api.post("/v2.0/networks", json={"network": {"project_id": OTHER_PROJECT}}), 400, "HTTPBadRequest")
    assert make.post("network", "networks", as_="admin", tenant_id=PROJECT)["project_id"] == PROJECT


def test_bulk_is_all_or_nothing(api, make):
    answer = api.post("/v2.0/networks", json={"networks": [{"name": "a"}, {"name": "b"}]})
    assert [net["name"] for net in answer.json["networks"]] == ["a", "b"]
    net = answer.json["networks"][0]
    wanted = [{"network_id": net["id"], "ip_version": 4, "cidr": f"10.0.0.0/{length}"} for length in (24, 25)]
    error(api.post("/v2.0/subnets", json={"subnets": wanted}), 400, "InvalidInput")
    assert api.get(f"/v2.0/networks/{net['id']}").json["network"]["subnets"] == []


def test_delete_takes_the_subnets_with_it_unless_a_port_is_there(api, make):
    net = make.network()
    sub = make.subnet(net)
    port = make.port(net)
    error(api.delete(f"/v2.0/networks/{net['id']}"), 409, "NetworkInUse")
    error(api.delete(f"/v2.0/subnets/{sub['id']}"), 409, "SubnetInUse")
    assert api.delete(f"/v2.0/ports/{port['id']}").status_code == 204
    assert api.delete(f"/v2.0/networks/{net['id']}").status_code == 204
    assert api.get(f"/v2.0/subnets/{sub['id']}").status_code == 404
    assert api.get("/v2.0/ports").json == {"ports": []}


def test_a_new_subnet_has_a_gateway_and_the_rest_as_pool(make):
    sub = make.subnet(make.network(), "10.0.0.7/24")
    assert (sub["cidr"], sub["gateway_ip"]) == ("10.0.0.0/24", "10.0.0.1")
    assert sub["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    sub = make.subnet(make.network(), gateway_ip=None)
    assert sub["gateway_ip"] is None
    assert sub["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.254"}]
    sub = make.subnet(make.network(), gateway_ip="10.0.0.9")
    assert [pool["start"] for pool in sub["allocation_pools"]] == ["10.0.0.1", "10.0.0.10"]
    sub = make.subnet(make.network(), "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    assert (sub["gateway_ip"], sub["ip_version"]) == ("fd00::", 6)


def test_what_a_subnet_may_leave_open(api, make):
    net = make.network()["id"]
    values = {"network_id": net, "cidr": "10.0.0.0/24", "allocation_pools": None, "service_types": None}
    error(api.post("/v2.0/subnets", json={"subnet": values}), 400, "HTTPBadRequest")  # ip_version
    sub = api.post("/v2.0/subnets", json={"subnet": values | {"ip_version": 4}}).json["subnet"]
    assert (sub["service_types"], len(sub["allocation_pools"])) == ([], 1)
    path = f"/v2.0/subnets/{sub['id']}"
    changed = api.put(path, json={"subnet": {"allocation_pools": None, "name": "n"}}).json["subnet"]
    assert (changed["name"], changed["allocation_pools"]) == ("n", [])
    assert make.subnet({"id": net}, "fd00::/64", gateway_ip="fd00::")["gateway_ip"] == "fd00::"


def test_a_subnet_of_one_service_has_metadata_too(api, make):
    net = make.network()
    values = {"network_id": net["id"], "ip_version": 4, "cidr": "10.0.0.0/24", "service_types": ["compute:nova"]}
    sub = api.post("/v2.0/subnets", as_="admin", json={"subnet": values}).json["subnet"]
    assert sub["service_types"] == ["compute:nova"]
    (port,) = api.get(f"/v2.0/ports?network_id={net['id']}&device_owner=network:distributed", as_="admin").json["ports"]
    assert [fixed["subnet_id"] for fixed in port["fixed_ips"]] == [sub["id"]]


@pytest.mark.parametrize("kind", ["network", "router"])
def test_availability_zone_hints(api, kind):
    def post(hints):
        return api.post(f"/v2.0/{kind}s", json={kind: {"name": "z", "availability_zone_hints": hints}})

    made = post(["nova"]).json[kind]
    assert made["availability_zone_hints"] == ["nova"]
    assert api.get(f"/v2.0/{kind}s/{made['id']}").json[kind]["availability_zone_hints"] == ["nova"]
    error(post(["elsewhere"]), 404, "AvailabilityZoneNotFound")
    for hints in ("nova", None, {}, 0, [1], ["nova", "nova"]):
        error(post(hints), 400, "HTTPBadRequest")
    error(post(["x" * 256]), 400, "InvalidInput")


@pytest.mark.parametrize("name", ["network_type", "physical_network"])
def test_the_provider_s_side_is_said_or_left_out(api, name):
    body = {"network": {"name": "p", f"provider:{name}": None}}
    error(api.post("/v2.0/networks", as_="admin", json=body), 400, "HTTPBadRequest")
    body["network"] = {"name": "p", "provider:segmentation_id": 0}
    error(api.post("/v2.0/networks", as_="admin", json=body), 400, "InvalidInput")


POOL = {"start": "10.0.0.10", "end": "10.0.0.20"}


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"cidr": "10.0.0.0/33"}, 400, "InvalidInput"),
        ({"cidr": "hello"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0"}, 400, "InvalidInput"),
        ({"cidr": 5}, 400, "InvalidInput"),
        ({"dns_nameservers": "x"}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["::1"]}, 400, "InvalidInput"),
        ({"prefixlen": -1}, 400, "HTTPBadRequest"),
        ({"host_routes": [{"destination": "127.0.0.0/8", "nexthop": "10.0.0.9"}]}, 400, "HTTPBadRequest"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/32"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": None}, 400, "BadRequest"),
        ({"ip_version": 5}, 400, "HTTPBadRequest"),
        ({"network_id": "x"}, 400, "HTTPBadRequest"),
        ({"gateway_ip": "10.0.0.255"}, 400, "InvalidInput"),
        ({"gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.0.0.15", "allocation_pools": [POOL]}, 409, "GatewayConflictWithAllocationPools"),
        ({"allocation_pools": [{"start": "10.0.1.1", "end": "10.0.1.9"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, 400, "InvalidAllocationPool"),
        ({"allocation_pools": [POOL, POOL]}, 409, "OverlappingAllocationPools"),
        ({"allocation_pools": [1]}, 400, "InvalidInput"),
        ({"dns_nameservers": ["x"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": [f"8.8.8.{n}" for n in range(9)]}, 400, "DNSNameServersExhausted"),
        ({"host_routes": [{"destination": "1.0.0.0/8"}]}, 400, "HTTPBadRequest"),
        ({"host_routes": [{"destination": "1.2.3.4/24", "nexthop": "10.0.0.9"}]}, 400, "HTTPBadRequest"),
        ({"ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"subnetpool_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}, 404, "SubnetPoolNotFound"),
    ],
)
def test_bad_subnets(api, make, values, status, kind):
    body = {"network_id": make.network()["id"], "cidr": "10.0.0.0/24", "ip_version": 4, **values}
    error(api.post("/v2.0/subnets", json={"subnet": body}), status, kind)


def test_bad_cidr_in_neutrons_words(api, make):
    body = {"network_id": make.network()["id"], "cidr": "10.0.0.0.0/24", "ip_version": 4}
    message = error(api.post("/v2.0/subnets", json={"subnet": body}), 400, "InvalidInput")
    assert message == "Invalid input for operation: 10.0.0.0.0/24 is not in a CIDR format."


def test_overlap_within_a_network_only(api, make):
    net = make.network()
    make.subnet(net)
    body = {"subnet": {"network_id": net["id"], "cidr": "10.0.0.128/25", "ip_version": "4"}}
    error(api.post("/v2.0/subnets", json=body), 400, "InvalidInput")
    make.subnet(make.network(), "10.0.0.128/25")


def test_a_network_with_dhcp_has_a_metadata_port(api, make):
    net = make.network()
    sub = make.subnet(net)
    ports = api.get("/v2.0/ports?device_owner=network:distributed").json["ports"]
    assert [port["fixed_ips"][0]["ip_address"] for port in ports] == ["10.0.0.2"]
    assert api.put(f"/v2.0/subnets/{sub['id']}", json={"subnet": {"enable_dhcp": "False"}}).status_code == 200
    assert api.get("/v2.0/ports").json["ports"] == []
    assert api.put(f"/v2.0/subnets/{sub['id']}", json={"subnet": {"enable_dhcp": True}}).status_code == 200
    assert len(api.get("/v2.0/ports").json["ports"]) == 1


def test_subnet_updates(api, make):
    sub = make.subnet(make.network())
    wanted = {"name": "n", "dns_nameservers": ["1.1.1.1"], "gateway_ip": None, "allocation_pools": [POOL]}
    found = api.put(f"/v2.0/subnets/{sub['id']}", json={"subnet": wanted}).json["subnet"]
    assert {name: found[name] for name in wanted} == wanted
    assert found["revision_number"] == sub["revision_number"] + 1
    answer = api.put(f"/v2.0/subnets/{sub['id']}", json={"subnet": {"cidr": "10.0.0.0/25"}})
    assert error(answer, 400, "HTTPBadRequest") == "Cannot update read-only attribute cidr"


def test_if_match(api, make):
    net = make.network()
    path, body = f"/v2.0/networks/{net['id']}", {"network": {"name": "b"}}
    stale = api.put(path, json=body, headers={"If-Match": "revision_number=" + "7" * 5000})
    error(stale, 412, "RevisionNumberConstraintFailed")
    current = {"If-Match": f"revision_number={net['revision_number']}"}
    assert api.put(path, json=body, headers=current).status_code == 200


def test_flat_and_vlan_segments_are_unique(api, make):
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    error(api.post("/v2.0/networks", as_="admin", json={"network": flat}), 409, "FlatNetworkInUse")
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": "7"}
    assert make.post("network", "networks", as_="admin", **vlan)["provider:segmentation_id"] == 7
    error(api.post("/v2.0/networks", as_="admin", json={"network": vlan}), 409, "VlanIdInUse")


def test_quota(api, make):
    path = f"/v2.0/quotas/{PROJECT}"
    answer = api.put(path, as_="admin", json={"quota": {"network": "1"}})
    assert answer.json["quota"]["network"] == 1
    make.network()
    assert error(api.post("/v2.0/networks", json={"network": {}}), 409, "OverQuota") == (
        "Quota exceeded for resources: ['network']."
    )
    details = api.get(f"{path}/details", as_="admin").json["quota"]["network"]
    assert details == {"limit": 1, "used": 1, "reserved": 0}
    assert api.delete(path, as_="admin").status_code == 204
    make.network()
    error(api.put(path, json={"quota": {"network": 9}}), 403, "PolicyNotAuthorized")
    error(api.put(path, as_="admin", json={"quota": {"colour": 9}}), 400, "HTTPBadRequest")
    assert api.get(f"{path}/default", as_="admin").json["quota"]["network"] == 100


def test_tags(api, make):
    base = f"/v2.0/networks/{make.network()['id']}/tags"
    assert api.put(f"{base}/red").status_code == 201
    assert api.put(base, json={"tags": ["blue", "red"]}).json == {"tags": ["blue", "red"]}
    assert api.get(f"{base}/blue").status_code == 204
    assert api.get(f"{base}/green").status_code == 404
    make.network("other")
    assert len(api.get("/v2.0/networks?tags=red,blue").json["networks"]) == 1
    assert len(api.get("/v2.0/networks?tags-any=red,green").json["networks"]) == 1
    assert len(api.get("/v2.0/networks?not-tags=red").json["networks"]) == 2
    assert api.delete(f"{base}/blue").status_code == 204
    assert api.get(base).json == {"tags": ["red"]}
    assert api.put(f"{base}/x", as_="other").status_code == 404
    assert api.put(f"{base}/x", as_="reader").status_code == 403


def test_versions_and_extensions(api):
    assert api.get("/", as_=None).json["versions"][0]["id"] == "v2.0"
    assert api.get("/v2.0/", as_=None).status_code == 200
    assert {"router", "security-group"} <= {one["alias"] for one in api.get("/v2.0/extensions").json["extensions"]}
    assert api.get("/v2.0/extensions/router.json").json["extension"]["alias"] == "router"
    assert api.get("/v2.0/extensions/lbaas").status_code == 404
    error(api.get("/v2.0/nothing"), 404, "HTTPNotFound")
    assert api.get("/v2.0/networks", as_=None).status_code == 401


def test_auto_allocated_topology(api, make):
    path = f"/v2.0/auto-allocated-topology/{PROJECT}"
    assert api.get(f"{path}?fields=dry-run").json["auto_allocated_topology"]["id"] == "dry-run=pass"
    assert api.get("/v2.0/routers").json["routers"] == []
    made = api.get(path).json["auto_allocated_topology"]["id"]
    assert api.get(path).json["auto_allocated_topology"]["id"] == made
    assert len(api.get("/v2.0/routers").json["routers"]) == 1
    error(api.get(path, as_="other"), 403, "NotAuthorized")
    assert api.delete(path).status_code == 204
    assert api.get(f"/v2.0/networks/{made}").status_code == 404


def test_idle_floating_ips_go_with_their_network(api, make):
    outside = make.network(as_="admin", **{"router:external": True})
    make.subnet(outside, "198.51.100.0/24", as_="admin")
    floating = make.post("floatingip", "floatingips", floating_network_id=outside["id"])
    assert api.delete(f"/v2.0/networks/{outside['id']}", as_="admin").status_code == 204
    assert api.get(f"/v2.0/floatingips/{floating['id']}").status_code == 404


def test_a_floating_ip_in_use_keeps_its_network(api, make):
    outside = make.network(as_="admin", **{"router:external": True})
    make.subnet(outside, "198.51.100.0/24", as_="admin")
    inside = make.network()
    subnet = make.subnet(inside)
    make.router(subnet, external_gateway_info={"network_id": outside["id"]})
    port = make.port(inside)
    floating = make.post("floatingip", "floatingips", floating_network_id=outside["id"], port_id=port["id"])
    error(api.delete(f"/v2.0/networks/{outside['id']}", as_="admin"), 409, "NetworkInUse")
    assert api.get(f"/v2.0/floatingips/{floating['id']}").status_code == 200


def test_the_resources_of_the_api(api):
    names = [one["name"] for one in api.get("/v2.0/").json["resources"]]
    assert {"network", "subnet", "port", "security-group"} <= set(names)
