"""Images and networks through compute, as clients before 2.36 know them."""

from __future__ import annotations

import pytest

from onestack.network import public as network
from tests.compute.conftest import IMAGE

MISSING = "11111111-2222-4333-8444-555555555555"


def message(answer):
    (fault,) = answer.json.values()
    return fault["message"]


@pytest.fixture
def member(compute):
    from tests.compute.admin.conftest import Operator

    return Operator(compute, "member")


@pytest.fixture
def external(cloud, built):
    """The network `public`, 172.24.4.0/24."""
    with cloud.db.write() as session:
        return network.ensure_external(session, cloud)


def test_images(member):
    brief = member.get("images").json["images"]
    assert set(brief[0]) == {"id", "name", "links"}
    assert [link["rel"] for link in brief[0]["links"]] == ["self", "bookmark", "alternate"]
    assert len(brief) == 2
    shown = member.get(f"images/{IMAGE}").json["image"]
    assert (shown["status"], shown["progress"], shown["minDisk"]) == ("ACTIVE", 100, 0)
    assert shown["OS-EXT-IMG-SIZE:size"] == 1000
    assert len(member.get("images/detail?status=ACTIVE&name=tiny&minRam=0").json["images"]) == 2
    assert member.get("images/detail?status=SAVING").json["images"] == []
    assert member.get("images?changes-since=2030-01-01T00:00:00Z").json["images"] == []
    page = member.get("images?limit=1").json
    assert len(page["images"]) == 1
    assert "marker=" in page["images_links"][0]["href"]
    rest = member.get(f"images?marker={page['images'][0]['id']}").json["images"]
    assert [one["id"] for one in rest] != [page["images"][0]["id"]]
    assert message(member.get(f"images/{MISSING}")) == "Image not found."
    for wrong in ("changes-since=x", "minDisk=x", "marker=nope", "limit=-1"):
        assert member.get(f"images?{wrong}").status_code == 400
    assert member.get("images", "2.36").status_code == 404


def test_image_metadata(member, operator):
    path = f"images/{IMAGE}/metadata"
    assert member.post(path, {"metadata": {"a": "1"}}).status_code == 403
    assert operator.post(path, {"metadata": {"a": "1", "b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert member.get(path, "2.38").json == {"metadata": {"a": "1", "b": "2"}}
    assert operator.put(f"{path}/a", {"meta": {"a": "3"}}).json == {"meta": {"a": "3"}}
    assert operator.put(f"{path}/a", {"meta": {"b": "3"}}).status_code == 400
    assert member.get(f"{path}/a").json == {"meta": {"a": "3"}}
    assert len(member.get("images?property-a=3").json["images"]) == 1
    assert operator.delete(f"{path}/a").status_code == 204
    assert operator.delete(f"{path}/a").status_code == 404
    assert operator.put(path, {"metadata": {"c": "4"}}).json == {"metadata": {"c": "4"}}
    for wrong in ({}, {"metadata": 1}, {"metadata": {"x": 1}}, {"metadata": {"": "x"}}):
        assert operator.post(path, wrong).status_code == 400
    assert operator.post(path, {"metadata": {"id": "x"}}).status_code == 403
    assert operator.post(path, {"metadata": {f"k{n}": "v" for n in range(129)}}).status_code == 403
    assert member.get(path, "2.39").status_code == 404


def test_image_delete(member, operator, compute):
    assert member.delete(f"images/{IMAGE}").status_code == 403
    assert compute.delete(f"/v2.1/images/{IMAGE}", as_="reader").status_code == 403
    assert operator.delete(f"images/{IMAGE}").status_code == 204
    assert operator.delete(f"images/{IMAGE}").status_code == 404


def test_security_groups(member, operator):
    (default,) = member.get("os-security-groups").json["security_groups"]
    assert (default["name"], default["tenant_id"]) == ("default", "1" * 32)
    assert default["rules"][0]["group"] == {"name": "default", "tenant_id": "1" * 32}
    made = member.post("os-security-groups", {"security_group": {"name": "web", "description": "d"}})
    assert made.status_code == 200
    group = made.json["security_group"]
    assert (group["name"], group["description"], group["rules"]) == ("web", "d", [])
    path = f"os-security-groups/{group['id']}"
    changed = member.put(path, {"security_group": {"name": "www", "description": "e"}}).json["security_group"]
    assert (changed["name"], changed["description"]) == ("www", "e")
    assert len(operator.get("os-security-groups?all_tenants=1").json["security_groups"]) >= 2
    assert member.get(path, as_="other").status_code == 404
    assert member.get(path, "2.36").status_code == 404
    assert member.get("os-security-groups/x").status_code == 400
    assert member.delete(path).status_code == 202
    assert member.delete(path).status_code == 404
    assert member.post("os-security-groups", {}).status_code == 400
    for wrong in ({}, {"name": ""}, {"name": "x" * 256}):
        assert member.post("os-security-groups", {"security_group": wrong}).status_code == 400


def test_security_group_rules(member):
    wanted = {"security_group": {"name": "w", "description": ""}}
    group = member.post("os-security-groups", wanted).json["security_group"]

    def add(**values):
        body = {"security_group_rule": {"parent_group_id": group["id"], **values}}
        return member.post("os-security-group-rules", body)

    made = add(ip_protocol="tcp", from_port="22", to_port=22, cidr="10.0.0.0/24")
    rule = made.json["security_group_rule"]
    assert rule == {
        "id": rule["id"], "parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22,
        "group": {}, "ip_range": {"cidr": "10.0.0.0/24"},
    }  # fmt: skip
    assert add(ip_protocol="tcp", from_port=22, to_port=22, cidr="10.0.0.0/24").status_code == 400
    ping = add(ip_protocol="icmp", from_port=-1, to_port=-1).json["security_group_rule"]
    assert (ping["from_port"], ping["to_port"], ping["ip_range"]) == (-1, -1, {"cidr": "0.0.0.0/0"})
    inside = add(group_id=group["id"]).json["security_group_rule"]
    assert (inside["group"]["name"], inside["ip_range"], inside["ip_protocol"]) == ("w", {}, None)
    for wrong in (
        {}, {"ip_protocol": "tcp"}, {"ip_protocol": "x", "from_port": 1, "to_port": 2},
        {"ip_protocol": "tcp", "from_port": 5, "to_port": 2}, {"ip_protocol": "tcp", "from_port": -1, "to_port": -1},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 65536},
        {"ip_protocol": "icmp", "from_port": 256, "to_port": 0},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "nope"}, {"parent_group_id": "x"},
        {"ip_protocol": "tcp", "from_port": [], "to_port": 2}, {"group_id": 5},
    ):  # fmt: skip
        assert add(**wrong).status_code == 400, wrong
    assert add(parent_group_id=MISSING, ip_protocol="tcp", from_port=1, to_port=2).status_code == 404
    assert member.delete(f"os-security-group-rules/{rule['id']}").status_code == 202
    assert member.delete(f"os-security-group-rules/{rule['id']}").status_code == 404
    assert len(member.get(f"os-security-groups/{group['id']}").json["security_group"]["rules"]) == 2


def test_networks(member, operator, external):
    assert member.get("os-networks").json["networks"][0]["label"] == "public"
    shown = member.get(f"os-networks/{external}").json["network"]
    assert (shown["id"], shown["cidr"], "vlan" in shown) == (external, None, False)
    assert operator.get(f"os-networks/{external}").json["network"]["vlan"] is None
    assert member.get("os-tenant-networks").json["networks"] == [{"id": external, "label": "public", "cidr": "None"}]
    assert member.get(f"os-tenant-networks/{MISSING}").status_code == 404
    assert member.get("os-networks", "2.36").status_code == 404
    assert operator.post("os-networks", {"network": {"label": "x"}}).status_code == 410
    assert operator.get("os-fixed-ips/10.0.0.1").status_code == 410


def test_floating_ips(nova, member, external):
    assert member.get("os-floating-ip-pools").json == {"floating_ip_pools": [{"name": "public"}]}
    assert member.get("os-floating-ips").json == {"floating_ips": []}
    made = member.post("os-floating-ips", {"pool": "public"}).json["floating_ip"]
    assert (made["pool"], made["instance_id"], made["fixed_ip"]) == ("public", None, None)
    assert made["ip"].startswith("172.24.4.")
    assert member.get(f"os-floating-ips/{made['id']}").json["floating_ip"] == made
    assert member.get(f"os-floating-ips/{made['id']}", as_="other").status_code == 404
    assert member.post("os-floating-ips", {}).status_code == 200
    assert message(member.post("os-floating-ips", {"pool": "nope"})) == "Floating IP pool not found."
    server = nova.boot()
    act = nova.act(server, "addFloatingIp", {"address": made["ip"]})
    assert (act.status_code, message(act)) == (400, "No fixed IPs associated to instance")
    assert nova.act(server, "removeFloatingIp", {"address": made["ip"]}).status_code == 409
    assert nova.act(server, "addFloatingIp", {"address": "172.24.4.250"}).status_code == 404
    assert nova.act(server, "addFloatingIp", {"address": "x"}).status_code == 400
    assert nova.act(server, "addFloatingIp", {"address": made["ip"]}, version="2.44").status_code == 404
    assert member.delete(f"os-floating-ips/{made['id']}").status_code == 202
    assert member.delete(f"os-floating-ips/{made['id']}").status_code == 404


def tenant_network(nova, client_of):
    """A network with a subnet behind a router to `public`."""
    from onestack.network import service

    api = client_of(service.build(nova.cloud)["network"])
    made = api.post("/v2.0/networks", json={"network": {"name": "mine"}}).json["network"]["id"]
    subnet = {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.1.0.0/24"}}
    subnet_id = api.post("/v2.0/subnets", json=subnet).json["subnet"]["id"]
    pool = api.get("/v2.0/networks?name=public").json["networks"][0]["id"]
    router = {"router": {"name": "r", "external_gateway_info": {"network_id": pool}}}
    router_id = api.post("/v2.0/routers", json=router).json["router"]["id"]
    plugged = api.put(f"/v2.0/routers/{router_id}/add_router_interface", json={"subnet_id": subnet_id})
    assert plugged.status_code == 200, plugged.text
    return made


def test_floating_ip_of_a_server(nova, member, external, client_of):
    server = nova.boot(networks=[{"uuid": tenant_network(nova, client_of)}])
    address = member.post("os-floating-ips", {"pool": "public"}).json["floating_ip"]["ip"]
    added = nova.act(server, "addFloatingIp", {"address": address})
    assert added.status_code == 202, added.text
    assert [one["addr"] for one in nova.show(server)["addresses"]["mine"]][1] == address
    (listed,) = member.get("os-floating-ips").json["floating_ips"]
    assert (listed["instance_id"], listed["fixed_ip"][:5]) == (server, "10.1.")
    wrong = nova.act(server, "addFloatingIp", {"address": address, "fixed_address": "10.1.0.99"})
    assert wrong.status_code == 400
    assert nova.act(server, "removeFloatingIp", {"address": address}).status_code == 202
    assert len(nova.show(server)["addresses"]["mine"]) == 1
    groups = member.get(f"servers/{server}/os-security-groups", "2.96").json["security_groups"]
    assert [group["name"] for group in groups] == ["default"]


@pytest.mark.parametrize("path", ["images/detail", "os-security-groups", "os-floating-ips", "os-networks"])
def test_the_old_v2_answers_too(compute, external, path):
    assert compute.get(f"/v2/{'1' * 32}/{path}").status_code == 200
