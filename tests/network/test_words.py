"""Refusals and answers in Neutron's words, as the real one gave them."""

from __future__ import annotations

import pytest

from tests.conftest import PROJECT
from tests.network.test_networks import error

OTHER = "9" * 32


@pytest.fixture
def shared(make):
    """A network of the admin's, which everybody may use."""
    network = make.network(as_="admin", shared=True)
    return {"network": network, "subnet": make.subnet(network, as_="admin")}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"mac_address": "fa:16:3e:00:00:09"}, "(rule:create_port and rule:create_port:mac_address)"),
        ({"port_security_enabled": False}, "(rule:create_port and rule:create_port:port_security_enabled)"),
        ({"device_owner": "network:dhcp"}, "(rule:create_port and rule:create_port:device_owner)"),
        ({"binding:host_id": 5}, "(rule:create_port and rule:create_port:binding:host_id)"),
        ({"binding:profile": None}, "(rule:create_port and rule:create_port:binding:profile)"),
        ({"allowed_address_pairs": []}, "(rule:create_port and rule:create_port:allowed_address_pairs)"),
        ({"device_id": "x", "port_security_enabled": False, "fixed_ips": [{"ip_address": "10.0.0.9"}]},
         "(((rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:ip_address))) and "
         "rule:create_port:device_id) and rule:create_port:port_security_enabled)"),
    ],
)  # fmt: skip
def test_a_refusal_shows_the_whole_rule(api, shared, attributes, words):
    body = {"port": {"network_id": shared["network"]["id"], **attributes}}
    found = error(api.post("/v2.0/ports", as_="other", json=body), 403, "PolicyNotAuthorized")
    assert found == f"{words} is disallowed by policy"


def test_refusals_of_changes(api, make, shared):
    path = f"/v2.0/networks/{shared['network']['id']}"
    found = error(api.put(path, json={"network": {"name": "x"}}), 403, "PolicyNotAuthorized")
    assert found == "rule:update_network is disallowed by policy"
    # What would not be seen any more is hidden.
    error(api.put(path, json={"network": {"shared": False}}), 404, "HTTPNotFound")
    own = f"/v2.0/networks/{make.network()['id']}"
    found = error(api.put(own, json={"network": {"shared": True, "mtu": 1400}}), 403, "PolicyNotAuthorized")
    assert found == (
        "((rule:update_network and rule:update_network:shared) and rule:update_network:mtu) is disallowed by policy"
    )
    router = f"/v2.0/routers/{make.router()['id']}"
    gateway = {"network_id": make.public()["id"], "enable_snat": False, "external_fixed_ips": []}
    body = {"router": {"external_gateway_info": gateway}}
    found = error(api.put(router, json=body), 403, "PolicyNotAuthorized")
    assert found == (
        "(rule:update_router and (rule:update_router:external_gateway_info and "
        "(rule:update_router:external_gateway_info:network_id and "
        "rule:update_router:external_gateway_info:external_fixed_ips and "
        "rule:update_router:external_gateway_info:enable_snat))) is disallowed by policy"
    )


def test_what_belongs_to_others_is_not_there(api, make):
    subnet = {"network_id": make.network()["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    error(api.post("/v2.0/subnets", as_="other", json={"subnet": subnet}), 404, "NetworkNotFound")
    found = error(api.post("/v2.0/subnets", as_="reader", json={"subnet": subnet}), 403, "PolicyNotAuthorized")
    assert found == "rule:create_subnet is disallowed by policy"
    error(api.post("/v2.0/ports", as_="other", json={"port": {"network_id": subnet["network_id"]}}), 404,
          "NetworkNotFound")  # fmt: skip


@pytest.mark.parametrize("collection", ["routers", "floatingips"])
@pytest.mark.parametrize("items", [[{}], [], None, "x"])
def test_no_bulk(api, collection, items):
    message = error(api.post(f"/v2.0/{collection}", json={collection: items}), 400, "HTTPBadRequest")
    assert message == "Bulk operation not supported"
    assert api.get(f"/v2.0/{collection}").json == {collection: []}


def test_only_groups_may_have_blank_names(api):
    for path, kind, status in (("security-groups", "security_group", 201), ("routers", "router", 400)):
        assert api.post(f"/v2.0/{path}", json={kind: {"name": "  "}}).status_code == status


def test_empty_bodies(api):
    for collection, message in (("networks", "Unable to find 'network' in request body"),
                                ("routers", "Resource body required")):  # fmt: skip
        assert error(api.post(f"/v2.0/{collection}", json={}), 400, "HTTPBadRequest") == message


def test_numbers_of_any_size(api, make):
    """A number that no column holds is wrong in the words of the attribute that it is given for."""
    huge = 1 << 70
    port = f"/v2.0/ports/{make.port(make.network())['id']}"
    for path, body, status in (
        ("/v2.0/networks", {"network": {"provider:network_type": "vlan", "provider:physical_network": "p",
                                        "provider:segmentation_id": huge}}, 400),
        ("/v2.0/networks", {"network": {"mtu": huge}}, 400),
        ("/v2.0/networks", {"network": {"provider:network_type": "geneve", "provider:segmentation_id": huge}}, 400),
        ("/v2.0/networks", {"network": {"provider:network_type": "geneve", "provider:segmentation_id": -huge}}, 409),
    ):  # fmt: skip
        assert api.post(path, as_="admin", json=body).status_code == status, body
    body = {"port": {"binding:profile": {"a": [{"b": huge}]}}}
    assert api.put(port, as_="admin", json=body).status_code == 400
    assert api.get(f"/v2.0/networks?mtu={huge}").json == {"networks": []}


MACS = {
    "FA-16-3E-11-22-33": "fa:16:3e:11:22:33", "fa163e112233": "fa:16:3e:11:22:33", "fa16.3e11.2233":
    "fa:16:3e:11:22:33", "fa:16:3e:1:2:3": "fa:16:3e:01:02:03", "fa:16:3e:11:22": None, " fa:16:3e:11:22:33": None,
    "ff:ff:ff:ff:ff:ff": None, "00:00:00:00:00:00": None,
}  # fmt: skip


@pytest.mark.parametrize(("written", "kept"), MACS.items())
def test_mac_addresses(api, make, written, kept):
    answer = api.post("/v2.0/ports", json={"port": {"network_id": make.network()["id"], "mac_address": written}})
    if kept is None:
        message = error(answer, 400, "HTTPBadRequest")
        assert message == f"Invalid input for mac_address. Reason: '{written}' is not a valid MAC address."
    else:
        assert answer.json["port"]["mac_address"] == kept


@pytest.mark.parametrize(
    ("attributes", "kind", "message"),
    [
        ({"dns_name": None}, "InvalidInput", "Invalid input for operation: Input value None must be string type."),
        ({"dns_name": "a.1"}, "HTTPBadRequest", "Invalid input for dns_name. Reason: 'a.1' not a valid PQDN or FQDN. "
         "Reason: TLD '1' must not be all numeric."),
        ({"dns_name": "-a"}, "HTTPBadRequest", "Invalid input for dns_name. Reason: '-a' not a valid PQDN or FQDN. "
         "Reason: Name '-a' must not start or end with a hyphen."),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, "HTTPBadRequest", "'x' is not a valid IP address"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.0/40"}]}, "HTTPBadRequest",
         "'10.0.0.0/40' is not a valid IP subnet"),
        ({"allowed_address_pairs": [{"ip_address": "192.0.0.0/2"}]}, "HTTPBadRequest",
         "Subnet 192.0.0.0/2 overlaps with multicast range 224.0.0.0/4, which is not supported."),
        ({"allowed_address_pairs": [{"ip_address": "224.0.0.1"}]}, "HTTPBadRequest",
         "IP 224.0.0.1 is a multicast address, which is not supported."),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.1", "mac_address": "01:00:5e:00:00:01"}]}, "HTTPBadRequest",
         "MAC address 01:00:5e:00:00:01 is a multicast address, which is not supported."),
        ({"fixed_ips": [{"ip_address": "010.0.0.1"}]}, "HTTPBadRequest", "Invalid input for fixed_ips. Reason: "
         "'010.0.0.1' is not an accepted IP address, '10.0.0.1' is recommended."),
        ({"fixed_ips": [{"colour": 1}]}, "InvalidInput",
         "Invalid input for operation: IP allocation requires subnet_id or ip_address."),
        ({"extra_dhcp_opts": {}}, "InvalidInput", "Invalid input for operation: '{}' is not a list."),
        ({"binding:vnic_type": "x"}, "HTTPBadRequest",
         "Invalid input for binding:vnic_type. Reason: x is not in valid_values."),
        ({"tags": ["a", "a"]}, "HTTPBadRequest",
         "Invalid input for tags. Reason: Duplicate items in the list: 'a'."),
    ],
)  # fmt: skip
def test_bad_ports(api, make, attributes, kind, message):
    body = {"port": {"network_id": make.network()["id"], **attributes}}
    assert error(api.post("/v2.0/ports", json=body), 400, kind) == message


def test_routers_and_networks_in_use(api, make):
    net = make.network()
    router = make.router(make.subnet(net))
    (interface,) = api.get(f"/v2.0/ports?device_id={router['id']}").json["ports"]
    message = error(api.delete(f"/v2.0/routers/{router['id']}"), 409, "RouterInUse")
    assert message == f"Router {router['id']} has ports still attached: {interface['id']}"
    message = error(api.delete(f"/v2.0/networks/{net['id']}"), 409, "NetworkInUse")
    assert message == (
        f"Unable to complete operation on network {net['id']}. There are one or more ports still in use on the "
        f"network, id for these ports is: {interface['id']}."
    )
    for action in ("add", "remove"):
        path = f"/v2.0/routers/{router['id']}/{action}_router_interface"
        for name in ("subnet_id", "port_id"):
            assert error(api.put(path, json={name: None}), 400, "BadRequest") == (
                "Bad router request: 'None' is not a valid UUID."
            )
        assert error(api.put(path, json={"x": 1}), 400, "BadRequest") == (
            "Bad router request: Either subnet_id or port_id must be specified."
        )


def test_an_empty_change_sets_a_floating_ip_free(api, make):
    net = make.network()
    make.router(make.subnet(net), external=True)
    port = make.port(net)
    made = make.post("floatingip", "floatingips", floating_network_id=make.public()["id"], port_id=port["id"])
    path = f"/v2.0/floatingips/{made['id']}"
    kept = api.put(path, json={"floatingip": {"description": "d"}}).json["floatingip"]
    assert (kept["port_id"], kept["description"]) == (port["id"], "d")
    freed = api.put(path, json={"floatingip": {}}).json["floatingip"]
    assert (freed["port_id"], freed["router_id"], freed["description"]) == (None, None, "d")


def test_a_shared_subnet_is_not_for_everybodys_router(api, make, shared):
    path = f"/v2.0/routers/{make.router()['id']}/add_router_interface"
    error(api.put(path, json={"subnet_id": shared["subnet"]["id"]}), 400, "BadRequest")


def test_revisions(api, make):
    net = make.network()
    sub, port, group = make.subnet(net), make.port(net), make.post("security_group", "security-groups", name="g")
    floating = make.post("floatingip", "floatingips", floating_network_id=make.public()["id"])
    rules = {rule["revision_number"] for rule in group["security_group_rules"]}
    assert [one["revision_number"] for one in (net, sub, port, group, floating)] == [1, 0, 1, 1, 0]
    assert rules == {0}
    path = f"/v2.0/ports/{port['id']}"
    for body, revision in (({"name": "q"}, 2), ({"name": "q"}, 2), ({}, 2), ({"security_groups": []}, 3),
                           ({"security_groups": []}, 3), ({"fixed_ips": port["fixed_ips"]}, 3),
                           ({"fixed_ips": []}, 4)):  # fmt: skip
        assert api.put(path, json={"port": body}).json["port"]["revision_number"] == revision, body


def test_provider_attributes_may_be_said_again(api, make):
    made = make.network(as_="admin", **{"provider:network_type": "geneve", "provider:segmentation_id": 77})
    path = f"/v2.0/networks/{made['id']}"
    same = {"provider:network_type": "geneve", "provider:segmentation_id": 77, "name": "x"}
    assert api.put(path, as_="admin", json={"network": same}).json["network"]["name"] == "x"
    for body, words in (
        ({"provider:segmentation_id": 78}, "Only VLAN type networks can be updated."),
        ({"provider:network_type": "vlan"}, "Plugin does not support updating the following provider network "
         "attributes: provider:network_type, provider:physical_network"),
    ):  # fmt: skip
        message = error(api.put(path, as_="admin", json={"network": body}), 400, "InvalidInput")
        assert message == f"Invalid input for operation: {words}."


def test_packets_must_fit_the_subnets(api, make):
    tiny = make.network(mtu=67)
    subnet = {"network_id": tiny["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    message = error(api.post("/v2.0/subnets", json={"subnet": subnet}), 409, "NetworkMTUSubnetConflict")
    assert message == f"MTU of {tiny['id']} is not valid, subnet requires a minimum of 68"
    net = make.network()
    make.subnet(net, "fd00::/64")
    body = {"network": {"mtu": 1279}}
    error(api.put(f"/v2.0/networks/{net['id']}", as_="admin", json=body), 409, "NetworkMTUSubnetConflict")
    assert (
        api.put(f"/v2.0/networks/{tiny['id']}", as_="admin", json={"network": {"mtu": 0}}).json["network"]["mtu"] > 67
    )


def test_quotas(api, make):
    make.network()
    path = f"/v2.0/quotas/{PROJECT}"
    assert api.get(path).json["quota"]["network"] == 100
    assert api.get(f"{path}/details").json["quota"]["network"]["used"] == 1
    error(api.get(f"/v2.0/quotas/{OTHER}"), 403, "PolicyNotAuthorized")
    error(api.get(f"/v2.0/quotas/{OTHER}/details"), 403, "AdminRequired")
    assert api.get("/v2.0/quotas/project").json == {"project": {"project_id": PROJECT}}
    assert api.get("/v2.0/quotas/tenant").json == {"tenant": {"tenant_id": PROJECT}}
    error(api.post("/v2.0/quotas", json={"quota": {}}), 501, "HTTPNotImplemented")
    error(api.delete(path, as_="admin"), 404, "TenantQuotaNotFound")
    for values, kind, message in (
        ({"network": 0}, "HTTPBadRequest",
         "Quota limit 0 for network must be greater than or equal to already used 1"),
        ({"network": -2}, "HTTPBadRequest", "Invalid input for network. Reason: '-2' is too small - must be at least "
         "'-1'."),
        ({"network": 1 << 31}, "HTTPBadRequest", "Invalid input for network. Reason: '2147483648' is too large - must "
         "be no larger than '2147483647'."),
        ({"network": None}, "InvalidInput", "Invalid input for operation: 'None' is not an integer."),
        ({"project_id": PROJECT}, "HTTPBadRequest", "Unrecognized attribute(s) 'tenant_id, project_id'"),
    ):  # fmt: skip
        assert error(api.put(path, as_="admin", json={"quota": values}), 400, kind) == message
    forced = api.put(path, as_="admin", json={"quota": {"network": 0, "force": True}})
    assert forced.json["quota"]["network"] == 0
    error(api.post("/v2.0/networks", json={"network": {}}), 409, "OverQuota")
    assert api.delete(path, as_="admin").status_code == 204


def test_tags(api, make):
    net = make.network()
    path = f"/v2.0/networks/{net['id']}/tags"
    assert api.post(path, json={"tags": ["b", "a"]}).json == {"tags": ["b", "a"]}
    assert api.post(path, json={"tags": ["c", "a"]}).status_code == 200
    added = api.put(f"{path}/d")
    assert (added.status_code, added.text) == (201, "null")
    assert api.get(path).json == {"tags": ["a", "b", "c", "d"]}
    for body, message in (({}, "Invalid tags body"), ({"tags": "x"}, "'x' is not a list"),
                          ({"tags": [1]}, "'1' is not a valid string"),
                          ({"tags": ["a", "a"]}, "Duplicate items in the list: 'a'")):  # fmt: skip
        for method in (api.post, api.put):
            found = error(method(path, json=body), 400, "InvalidInput")
            assert found == f"Invalid input for operation: {message}."
    many = {"tags": [f"t{number}" for number in range(50)]}
    message = error(api.post(path, json=many), 400, "BadRequest")
    assert message == "Bad networks request: The number of tags exceed the per-resource limit of 50."
    assert api.put(path, json=many).status_code == 200
    error(api.put(f"{path}/e"), 400, "BadRequest")
    assert make.port(net, tags=["y", "x"])["tags"] == ["x", "y"]
