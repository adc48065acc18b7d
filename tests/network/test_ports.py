"""Ports, routers and floating IPs."""

from __future__ import annotations

import concurrent.futures

import pytest

from onestack.core.errors import Conflict
from onestack.network import addresses, attributes, objects, ports
from tests.conftest import PERSONAS, PROJECT
from tests.network.test_networks import error


def address(port):
    return port["fixed_ips"][0]["ip_address"]


def test_a_new_port(api, make):
    net = make.network()
    sub = make.subnet(net)
    port = make.port(net, name="p", fixed_ips=[{"subnet_id": sub["id"], "ip_address": "10.0.0.50"}])
    assert port["fixed_ips"] == [{"subnet_id": sub["id"], "ip_address": "10.0.0.50"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert (port["status"], port["port_security_enabled"], port["project_id"]) == ("DOWN", True, PROJECT)
    group = api.get("/v2.0/security-groups").json["security_groups"][0]
    assert port["security_groups"] == [group["id"]]
    assert "binding:host_id" not in port
    assert api.get(f"/v2.0/ports/{port['id']}", as_="admin").json["port"]["binding:vif_type"] == "unbound"


def test_ports_without_subnets_have_no_addresses(make):
    assert make.port(make.network())["fixed_ips"] == []


def test_ipv6_addresses_follow_the_mac(make):
    net = make.network()
    make.subnet(net, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    make.subnet(net)
    port = make.post("port", "ports", network_id=net["id"], mac_address="FA-16-3E-00-00-01")
    assert sorted(fixed["ip_address"] for fixed in port["fixed_ips"])[1] == "fd00::f816:3eff:fe00:1"


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.2"}]}, 409, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.9.0.2"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "x"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"subnet_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}]}, 404, "SubnetNotFound"),
        ({"fixed_ips": None}, 400, "HTTPBadRequest"), ({"device_id": None}, 400, "HTTPBadRequest"),
        ({"security_groups": ""}, 400, "HTTPBadRequest"), ({"fixed_ips": 7}, 400, "HTTPBadRequest"),
        ({"mac_address": "01:00:00:00:00:01"}, 400, "HTTPBadRequest"),
        ({"mac_address": "fa:16"}, 400, "HTTPBadRequest"),
        ({"security_groups": ["8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"]}, 404, "SecurityGroupNotFound"),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, 400, "AllowedAddressPairsMissingIP"),
        ({"allowed_address_pairs": [{"ip_address": "1.1.1.1"}], "port_security_enabled": False}, 409,
         "AddressPairAndPortSecurityRequired"),
        ({"network_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}, 404, "NetworkNotFound"),
        ({"binding:host_id": "h"}, 403, "PolicyNotAuthorized"),
    ],
)  # fmt: skip
def test_bad_ports(api, make, values, status, kind):
    net = make.network()
    make.subnet(net)
    error(api.post("/v2.0/ports", json={"port": {"network_id": net["id"], **values}}), status, kind)


def test_tenants_put_no_ports_on_the_external_network(api, make):
    public = make.public()
    error(api.post("/v2.0/ports", json={"port": {"network_id": public["id"]}}), 403, "PolicyNotAuthorized")
    assert make.post("port", "ports", as_="admin", network_id=public["id"])["fixed_ips"]


def test_a_mac_is_used_once_in_a_network(api, make):
    net = make.network()
    make.port(net, mac_address="fa:16:3e:00:00:01")
    body = {"port": {"network_id": net["id"], "mac_address": "fa:16:3e:00:00:01"}}
    error(api.post("/v2.0/ports", json=body), 409, "MacAddressInUse")


def test_the_pool_runs_dry(api, make):
    net = make.network()
    make.subnet(net, "10.0.0.0/29")
    found = {address(make.port(net)) for _ in range(4)}  # .1 is the gateway's, .2 metadata's
    assert found == {"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}
    answer = api.post("/v2.0/ports", json={"port": {"network_id": net["id"]}})
    error(answer, 409, "IpAddressGenerationFailure")


def test_simultaneous_requests_get_different_addresses(api, make, cloud):
    net = make.network()
    make.subnet(net, "10.0.0.0/27", enable_dhcp=False)
    values = attributes.read(ports.ATTRIBUTES, {"network_id": net["id"]}, creating=True)

    def create(_number):
        try:
            with cloud.db.write() as session:
                network = objects.get(session, "network", net["id"])
                port = ports.create(session, cloud, PERSONAS["member"], network, PROJECT, dict(values))
                return addresses.of_port(session, port.id)[0][1]
        except Conflict as full:
            return full.kind

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(create, range(35)))
    assert found.count("IpAddressGenerationFailure") == 6
    assert len(set(found)) == 29 + 1


def test_port_updates(api, make):
    net = make.network()
    sub = make.subnet(net)
    port = make.port(net)
    path = f"/v2.0/ports/{port['id']}"
    values = {"name": "n", "admin_state_up": False, "security_groups": [], "allowed_address_pairs": [
        {"ip_address": "10.0.0.0/28"}], "fixed_ips": [*port["fixed_ips"], {"subnet_id": sub["id"]}]}  # fmt: skip
    found = api.put(path, json={"port": values}).json["port"]
    assert found["fixed_ips"][0] == port["fixed_ips"][0]
    assert len({fixed["ip_address"] for fixed in found["fixed_ips"]}) == 2
    pair = {"mac_address": port["mac_address"], "ip_address": "10.0.0.0/28"}
    assert (found["name"], found["security_groups"], found["allowed_address_pairs"]) == ("n", [], [pair])
    error(api.put(path, json={"port": {"port_security_enabled": False}}), 409, "AddressPairAndPortSecurityRequired")
    answer = api.put(path, json={"port": {"port_security_enabled": False, "allowed_address_pairs": []}})
    assert answer.json["port"]["port_security_enabled"] is False


def test_security_groups_of_a_secured_port_only(api, make):
    net = make.network()
    make.subnet(net)
    port = make.port(net)
    answer = api.put(f"/v2.0/ports/{port['id']}", json={"port": {"port_security_enabled": False}})
    error(answer, 409, "PortSecurityPortHasSecurityGroup")


def gateway(router):
    return router["external_gateway_info"]


def test_a_router_with_a_gateway(api, make):
    net = make.network()
    sub = make.subnet(net)
    router = make.router(sub, external=True)
    assert gateway(router)["enable_snat"] is True
    assert gateway(router)["external_fixed_ips"][0]["ip_address"].startswith("172.24.4.")
    ports = api.get(f"/v2.0/ports?device_id={router['id']}").json["ports"]
    assert [(address(port), port["device_owner"], port["status"]) for port in ports] == [
        ("10.0.0.1", "network:router_interface", "ACTIVE")
    ]
    error(api.delete(f"/v2.0/ports/{ports[0]['id']}"), 409, "ServicePortInUse")
    error(api.delete(f"/v2.0/routers/{router['id']}"), 409, "RouterInUse")
    error(api.delete(f"/v2.0/networks/{net['id']}"), 409, "NetworkInUse")
    path = f"/v2.0/routers/{router['id']}"
    answer = api.put(f"{path}/remove_router_interface", json={"subnet_id": sub["id"]})
    assert answer.json["subnet_ids"] == [sub["id"]]
    error(api.put(f"{path}/remove_router_interface", json={"subnet_id": sub["id"]}), 404,
          "RouterInterfaceNotFoundForSubnet")  # fmt: skip
    assert api.delete(path).status_code == 204


def test_bad_interfaces(api, make):
    net = make.network()
    sub, lone = make.subnet(net), make.subnet(make.network(), gateway_ip=None)
    router = make.router(sub)
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    port = make.port(net, device_id="x")
    overlapping = make.subnet(make.network())
    for body, status, kind in (
        ({}, 400, "BadRequest"),
        ({"subnet_id": "x"}, 400, "BadRequest"),
        ({"subnet_id": sub["id"], "port_id": port["id"]}, 400, "BadRequest"),
        ({"subnet_id": sub["id"]}, 400, "BadRequest"),
        ({"subnet_id": lone["id"]}, 400, "BadRequest"),
        ({"subnet_id": overlapping["id"]}, 400, "BadRequest"),
        ({"port_id": port["id"]}, 409, "PortInUse"),
        ({"subnet_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}, 404, "SubnetNotFound"),
    ):
        error(api.put(path, json=body), status, kind)
    assert api.put(path, as_="other", json={"subnet_id": sub["id"]}).status_code == 404


def test_snat_and_gateway_addresses_are_for_admins(api, make):
    router = make.router()
    public = make.public()
    info = {"network_id": public["id"], "enable_snat": False}
    path, body = f"/v2.0/routers/{router['id']}", {"router": {"external_gateway_info": info}}
    error(api.put(path, json=body), 403, "PolicyNotAuthorized")
    assert gateway(api.put(path, as_="admin", json=body).json["router"])["enable_snat"] is False
    body["router"]["external_gateway_info"] = {
        "network_id": public["id"], "external_fixed_ips": [{"ip_address": "172.24.4.77"}],
    }  # fmt: skip
    found = gateway(api.put(path, as_="admin", json=body).json["router"])
    assert found["external_fixed_ips"][0]["ip_address"] == "172.24.4.77"
    assert api.put(path, json={"router": {"external_gateway_info": {}}}).json["router"]["external_gateway_info"] is None


def test_a_tenant_network_is_no_gateway(api, make):
    body = {"router": {"external_gateway_info": {"network_id": make.network()["id"]}}}
    error(api.post("/v2.0/routers", json=body), 400, "BadRequest")


def test_an_interface_keeps_an_address(api, make):
    router = make.router(make.subnet(make.network()))
    (port,) = api.get(f"/v2.0/ports?device_id={router['id']}").json["ports"]
    error(api.put(f"/v2.0/ports/{port['id']}", json={"port": {"fixed_ips": []}}), 409, "ServicePortInUse")


def test_a_null_mac_address_says_nothing(api, make):
    net = make.network()
    port = api.post("/v2.0/ports", json={"port": {"network_id": net["id"], "mac_address": None}}).json["port"]
    assert port["mac_address"].startswith("fa:16:3e:")
    body = {"port": {"mac_address": None, "name": "n"}}
    changed = api.put(f"/v2.0/ports/{port['id']}", as_="admin", json=body).json["port"]
    assert (changed["mac_address"], changed["name"]) == (port["mac_address"], "n")


def test_extra_routes(api, make):
    sub = make.subnet(make.network())
    router = make.router(sub)
    path = f"/v2.0/routers/{router['id']}"
    routes = [{"destination": "192.168.0.0/16", "nexthop": "10.0.0.9"}]
    assert api.put(path, json={"router": {"routes": routes}}).json["router"]["routes"] == routes
    bad = [{"destination": "192.168.0.0/16", "nexthop": "10.7.0.9"}]
    error(api.put(path, json={"router": {"routes": bad}}), 400, "InvalidRoutes")
    answer = api.put(f"{path}/remove_router_interface", json={"subnet_id": sub["id"]})
    error(answer, 409, "RouterInterfaceInUseByRoute")
    host_bits = [{"destination": "192.168.0.1/16", "nexthop": "10.0.0.9"}]
    error(api.put(path, json={"router": {"routes": host_bits}}), 400, "HTTPBadRequest")
    many = [{"destination": f"192.0.{number}.0/24", "nexthop": "10.0.0.9"} for number in range(31)]
    error(api.put(path, json={"router": {"routes": many}}), 409, "OverQuota")
    more = [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.8"}]
    answer = api.put(f"{path}/add_extraroutes", json={"router": {"routes": more}})
    assert answer.json["router"]["routes"] == routes + more
    answer = api.put(f"{path}/remove_extraroutes", json={"router": {"routes": routes}})
    assert answer.json["router"]["routes"] == more


def floating(make, **values):
    return make.post("floatingip", "floatingips", floating_network_id=make.public()["id"], **values)


def test_floating_ips(api, make):
    net = make.network()
    sub = make.subnet(net)
    router = make.router(sub, external=True)
    port = make.port(net)
    fip = floating(make, port_id=port["id"])
    assert (fip["router_id"], fip["fixed_ip_address"], fip["status"]) == (router["id"], address(port), "ACTIVE")
    second = floating(make)
    path = f"/v2.0/floatingips/{second['id']}"
    error(api.put(path, json={"floatingip": {"port_id": port["id"]}}), 409, "FloatingIPPortAlreadyAssociated")
    answer = api.put(f"/v2.0/routers/{router['id']}/remove_router_interface", json={"subnet_id": sub["id"]})
    error(answer, 409, "RouterInterfaceInUseByFloatingIP")
    answer = api.put(f"/v2.0/routers/{router['id']}", json={"router": {"external_gateway_info": {}}})
    error(answer, 409, "RouterExternalGatewayInUseByFloatingIp")
    answer = api.put(f"/v2.0/floatingips/{fip['id']}", json={"floatingip": {"port_id": None}})
    assert (answer.json["floatingip"]["port_id"], answer.json["floatingip"]["status"]) == (None, "DOWN")
    assert api.put(path, json={"floatingip": {"port_id": port["id"]}}).json["floatingip"]["status"] == "ACTIVE"
    assert api.delete(f"/v2.0/ports/{port['id']}").status_code == 204
    assert api.get(path).json["floatingip"]["port_id"] is None
    assert api.delete(path).status_code == 204
    assert api.get(path, as_="other").status_code == 404


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"floating_network_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}, 404, "NetworkNotFound"),
        ({"fixed_ip_address": "10.0.0.9"}, 400, "BadRequest"),
        ({"port_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"}, 404, "PortNotFound"),
        ({"floating_ip_address": "172.24.4.9"}, 403, "PolicyNotAuthorized"),
        ({"tenant_id": 5}, 400, "HTTPBadRequest"),
    ],
)
def test_bad_floating_ips(api, make, values, status, kind):
    body = {"floating_network_id": make.public()["id"], **values}
    error(api.post("/v2.0/floatingips", json={"floatingip": body}), status, kind)


def test_a_port_that_no_router_reaches(api, make):
    net = make.network()
    make.subnet(net)
    body = {"floating_network_id": make.public()["id"], "port_id": make.port(net)["id"]}
    error(api.post("/v2.0/floatingips", json={"floatingip": body}), 404, "ExternalGatewayForFloatingIPNotFound")
    assert api.get("/v2.0/floatingips").json["floatingips"] == []
