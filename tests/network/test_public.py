"""What compute calls."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from onestack.core import revision
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.network import public
from onestack.network.public import NicRequest
from tests.conftest import PERSONAS, PROJECT

MEMBER = PERSONAS["member"]


@pytest.fixture
def net(make):
    found = make.network("n")
    make.subnet(found, dns_nameservers=["9.9.9.9"], host_routes=[{"destination": "1.0.0.0/8", "nexthop": "10.0.0.9"}])
    return found


@pytest.fixture
def allocate(cloud):
    def run(server="s1", *nics, ctx=MEMBER, **more):
        with cloud.db.write() as session:
            return public.allocate(session, cloud, ctx, server, nics or [NicRequest()], hostname="vm", **more)

    return run


def refused(kind, error, call):
    with pytest.raises(error) as caught:
        call()
    assert caught.value.kind == kind


def test_a_port_for_a_server(api, net, allocate):
    nic = allocate()[0]
    assert (nic.network_name, nic.mtu, nic.status, nic.of_compute) == ("n", 1442, "DOWN", True)
    fixed = nic.fixed_ips[0]
    assert (fixed.cidr, fixed.gateway, fixed.dns) == ("10.0.0.0/24", "10.0.0.1", ("9.9.9.9",))
    assert fixed.routes == (("1.0.0.0/8", "10.0.0.9"),)
    assert [name for _, name in nic.security_groups] == ["default"]
    port = api.get(f"/v2.0/ports/{nic.port_id}").json["port"]
    assert (port["device_id"], port["device_owner"], port["dns_name"]) == ("s1", "compute:nova", "vm")


def test_which_network(make, net, allocate):
    assert allocate("s0", ctx=PERSONAS["other"]) == []
    second = make.network("second")
    assert len(allocate("s2")) == 1  # a network without subnet isn't usable
    make.subnet(second)
    refused("NetworkAmbiguous", Conflict, allocate)
    nics = allocate("s3", NicRequest(network_id=second["id"], fixed_ip="10.0.0.44"), NicRequest(network_id=net["id"]))
    assert [nic.network_name for nic in nics] == ["second", "n"]
    assert nics[0].fixed_ips[0].address == "10.0.0.44"


def test_refusals(api, make, net, allocate):
    refused("NetworkNotFound", NotFound, lambda: allocate("s", NicRequest(network_id=net["id"]), ctx=PERSONAS["other"]))
    external = make.public()["id"]
    refused("ExternalNetworkAttachForbidden", Forbidden, lambda: allocate("s", NicRequest(network_id=external)))
    bare = make.network()["id"]
    refused("NetworkRequiresSubnet", BadRequest, lambda: allocate("s", NicRequest(network_id=bare)))
    used = make.port(net, device_id="x")["id"]
    refused("PortInUse", Conflict, lambda: allocate("s", NicRequest(port_id=used)))
    refused("PortNotFound", NotFound, lambda: allocate("s", NicRequest(port_id="0" * 32)))
    refused("SecurityGroupNotFound", NotFound, lambda: allocate(security_groups=["nope"]))
    api.put(f"/v2.0/quotas/{PROJECT}", as_="admin", json={"quota": {"port": 0, "force": True}})
    refused("OverQuota", Conflict, allocate)


def test_the_users_port_survives_the_server(api, make, net, allocate, cloud):
    port = make.port(net, name="mine")
    made = allocate("s1", NicRequest(port_id=port["id"]), NicRequest(network_id=net["id"]))
    assert [nic.of_compute for nic in made] == [False, True]
    for _ in range(2):
        with cloud.db.write() as session:
            public.release(session, cloud, "s1")
    found = api.get(f"/v2.0/ports/{port['id']}").json["port"]
    assert (found["device_id"], found["device_owner"], found["fixed_ips"]) == ("", "", port["fixed_ips"])
    assert api.get(f"/v2.0/ports/{made[1].port_id}").status_code == 404


def test_binding_tells_the_hosts(net, allocate, cloud):
    nic = allocate()[0]
    with cloud.db.write() as session:
        public.bind(session, cloud, "s1", "h1")
    with cloud.db.read() as session:
        first = revision.current(session, "host:h1")
        assert first == 1
        hosted = public.networks_on_host(session, "h1")
        assert [(one.id, one.addresses, one.mtu) for one in hosted] == [(net["id"], ["10.0.0.2/24"], 1442)]
        assert public.networks_on_host(session, "h2") == []
        found = public.port_by_address(session, net["id"], nic.fixed_ips[0].address)
        assert found == (nic.port_id, "s1", PROJECT)
        assert public.port_by_address(session, net["id"], "10.0.0.1") is None
    with cloud.db.write() as session:
        public.bind(session, cloud, "s1", "h2")
    with cloud.db.read() as session:
        assert revision.current(session, "host:h1") == first + 1
        assert revision.current(session, "host:h2") == 1
        assert public.networks_on_host(session, "h1") == []


def test_attach_and_detach(net, allocate, cloud):
    allocate()
    with cloud.db.write() as session:
        nic = public.attach(session, cloud, MEMBER, "s1", NicRequest(network_id=net["id"]), host="h1")
        assert nic.host == "h1"
        assert [one.port_id for one in public.info(session, ["s1"])["s1"]][1] == nic.port_id
    with cloud.db.write() as session:
        public.detach(session, cloud, "s1", nic.port_id)
        assert len(public.info(session, ["s1"])["s1"]) == 1
    with cloud.db.write() as session, pytest.raises(NotFound):
        public.detach(session, cloud, "s1", nic.port_id)


def test_security_groups_of_a_server(make, net, allocate, cloud):
    web = make.post("security_group", "security-groups", name="web")
    allocate()
    with cloud.db.write() as session:
        public.set_security_group(session, cloud, MEMBER, "s1", "web", add=True)
        assert [name for _, name in public.security_groups_of(session, ["s1"])["s1"]] == ["default", "web"]
        public.set_security_group(session, cloud, MEMBER, "s1", web["id"], add=False)
        assert [name for _, name in public.security_groups_of(session, ["s1"])["s1"]] == ["default"]
        with pytest.raises(NotFound):
            public.set_security_group(session, cloud, MEMBER, "s1", "web", add=False)


def test_addresses_and_floating_ips(make, api, net, allocate, cloud):
    sub = api.get(f"/v2.0/networks/{net['id']}").json["network"]["subnets"][0]
    make.router({"id": sub}, external=True)
    nic = allocate()[0]
    fip = make.post("floatingip", "floatingips", floating_network_id=make.public()["id"], port_id=nic.port_id)
    with cloud.db.read() as session:
        lines = public.addresses_of(session, ["s1"])["s1"]
        assert [(line.kind, line.address) for line in lines] == [
            ("fixed", nic.fixed_ips[0].address), ("floating", fip["floating_ip_address"]),
        ]  # fmt: skip
        assert public.floating_ip_of(session, "s1") == fip["floating_ip_address"]
        assert public.limits(session, PROJECT)["floatingip"] == (50, 1)
        found = public.info(session, ["s1"])["s1"][0]
        assert found.floating_ips == ((fip["floating_ip_address"], nic.fixed_ips[0].address),)


def test_auto_network(cloud, api, net):
    with cloud.db.write() as session:
        assert public.auto_network(session, cloud, MEMBER) == net["id"]
        made = public.auto_network(session, cloud, PERSONAS["other"])
        assert public.auto_network(session, cloud, PERSONAS["other"]) == made


def test_information_costs_the_same_for_many_servers(net, allocate, cloud):
    statements = []
    for number in range(12):
        allocate(f"s{number}")
    sa.event.listen(cloud.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    counts = []
    for servers in (["s1"], [f"s{number}" for number in range(12)]):
        statements.clear()
        with cloud.db.read() as session:
            assert len(public.info(session, servers)) == len(servers)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 5


def test_the_external_network_is_made_once(cloud, api):
    with cloud.db.write() as session:
        assert public.ensure_external(session, cloud) == public.ensure_external(session, cloud)
    nets = api.get("/v2.0/networks?router:external=True", as_="admin").json["networks"]
    assert [(net["name"], net["provider:network_type"], net["mtu"]) for net in nets] == [("public", "flat", 1500)]
    sub = api.get("/v2.0/subnets").json["subnets"][0]
    assert (sub["gateway_ip"], sub["enable_dhcp"]) == ("172.24.4.1", False)
    assert sub["allocation_pools"] == [{"start": "172.24.4.2", "end": "172.24.4.254"}]
