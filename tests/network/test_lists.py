"""Lists: filters, sorting, paging, fields, and how many queries they take."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.network.test_networks import error


def names(answer, collection="networks"):
    return [one["name"] for one in answer.json[collection]]


def test_filters(api, make):
    nets = [make.network(name) for name in "abc"]
    make.subnet(nets[0])
    assert names(api.get("/v2.0/networks?name=a&name=c&sort_key=name&sort_dir=asc")) == ["a", "c"]
    assert names(api.get(f"/v2.0/networks?id={nets[1]['id']}&name=b")) == ["b"]
    assert names(api.get("/v2.0/networks?router:external=True")) == ["public"]
    assert names(api.get("/v2.0/networks?router%3Aexternal=false&sort_key=name&sort_dir=desc")) == ["c", "b", "a"]
    assert names(api.get("/v2.0/networks?mtu=1442&shared=False&status=ACTIVE&sort_key=name&sort_dir=asc")) == [
        "a",
        "b",
        "c",
    ]
    assert names(api.get("/v2.0/networks?status=DOWN")) == []
    assert names(api.get(f"/v2.0/networks?project_id={'9' * 32}")) == []
    error(api.get("/v2.0/networks?mtu=x"), 400, "InvalidInput")
    error(api.get("/v2.0/networks?shared=perhaps"), 400, "InvalidInput")


def test_filters_of_ports(api, make):
    net = make.network()
    sub = make.subnet(net)
    make.port(net, name="p", fixed_ips=[{"ip_address": "10.0.0.77"}])
    assert names(api.get("/v2.0/ports?fixed_ips=ip_address%3D10.0.0.77"), "ports") == ["p"]
    assert names(api.get("/v2.0/ports?fixed_ips=ip_address_substr%3D0.7"), "ports") == ["p"]
    assert len(api.get(f"/v2.0/ports?fixed_ips=subnet_id%3D{sub['id']}").json["ports"]) == 2
    group = api.get("/v2.0/security-groups").json["security_groups"][0]["id"]
    assert names(api.get(f"/v2.0/ports?security_groups={group}"), "ports") == ["p"]


def test_fields(api, make):
    net = make.network("a")
    assert api.get("/v2.0/networks?name=a&fields=id&fields=name").json == {"networks": [{"id": net["id"], "name": "a"}]}
    assert api.get(f"/v2.0/networks/{net['id']}?fields=mtu").json == {"network": {"mtu": 1442}}


def test_pages_follow_their_links(api, make):
    for number in range(5):
        make.network(f"n{number}")
    path, seen, last = "/v2.0/networks?router:external=False&limit=2&sort_key=name&sort_dir=asc", [], ""
    while path:
        answer = api.get(path)
        seen.append(names(answer))
        links = {link["rel"]: link["href"] for link in answer.json.get("networks_links", ())}
        path = links.get("next", "").partition("//")[2].partition("/")[2]
        path = "/" + path if path else ""
        last = links.get("previous", last)
    assert [name for page in seen for name in page] == [f"n{number}" for number in range(5)]
    back = api.get("/" + last.partition("//")[2].partition("/")[2])
    assert names(back) == ["n2", "n3"]


def test_bad_pages(api, make):
    error(api.get("/v2.0/networks?sort_key=colour"), 400, "HTTPBadRequest")
    error(api.get("/v2.0/networks?sort_key=name&sort_dir=up"), 400, "HTTPBadRequest")
    error(api.get("/v2.0/networks?sort_dir=asc"), 400, "HTTPBadRequest")
    error(api.get("/v2.0/networks?sort_key=name"), 400, "HTTPBadRequest")
    error(api.get("/v2.0/ports?fixed_ips=x"), 400, "InvalidInput")
    for limit in ("-1", "x", ""):
        message = error(api.get(f"/v2.0/networks?limit={limit}"), 400, "BadRequest")
        assert message == f"Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."
    error(api.get("/v2.0/networks?limit=1&marker=8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"), 404, "NetworkNotFound")
    # Without a limit there are no pages.
    assert api.get("/v2.0/networks?marker=x&page_reverse=x").status_code == 200


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("networks?colour=1", "HTTPBadRequest", "['colour'] is invalid attribute for filtering"),
        ("networks?created_at=1", "HTTPBadRequest", "['created_at'] is invalid attribute for filtering"),
        ("routers?status=ACTIVE", "HTTPBadRequest", "['status'] is invalid attribute for filtering"),
        ("networks?sort_key=created_at&sort_dir=asc", "HTTPBadRequest",
         "['created_at'] is invalid attribute for sort_keys"),
        ("subnets?cidr=x", "InvalidInput", "Invalid input for operation: x is not in a CIDR format."),
        ("networks?mtu=x", "InvalidInput", "Invalid input for operation: 'x' is not an integer."),
        ("security-group-rules?port_range_min=x", "SecurityGroupInvalidPortValue", "Invalid value for port x"),
        ("security-group-rules?remote_ip_prefix=x", "InvalidCIDR", "Invalid CIDR x given as IP prefix."),
        ("availability_zones?name=x", "InvalidInput", "Invalid input for operation: 'name' is not supported for "
         "filtering."),
    ],
)  # fmt: skip
def test_what_a_list_is_not_filtered_by(api, query, kind, message):
    assert error(api.get(f"/v2.0/{query}"), 400, kind) == message


def test_filters_of_rules(api, make):
    group = make.post("security_group", "security-groups", name="g")
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    make.post("security_group_rule", "security-group-rules", **rule, protocol="tcp", port_range_min=1, port_range_max=9)
    make.post("security_group_rule", "security-group-rules", **rule, remote_ip_prefix="10.0.0.0/8")

    def count(query):
        path = f"/v2.0/security-group-rules?security_group_id={group['id']}&{query}"
        return len(api.get(path).json["security_group_rules"])

    for query, number in (("protocol=TCP", 1), ("ethertype=ipv6", 1), ("port_range_min=1", 1), ("direction=egress", 2),
                          ("remote_ip_prefix=10.0.0.0/8", 1), ("remote_ip_prefix=", 3), ("revision_number=0", 4),
                          ("revision_number=x", 0), ("belongs_to_default_sg=False", 4)):  # fmt: skip
        assert count(query) == number, query


def test_the_number_of_queries_does_not_depend_on_the_length(api, make, cloud):
    net = make.network()
    make.subnet(net)
    statements = []
    sa.event.listen(cloud.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    def cost(path):
        statements.clear()
        answer = api.get(path)
        assert answer.status_code == 200
        return len(statements)

    paths = ("/v2.0/ports", "/v2.0/networks", "/v2.0/subnets", "/v2.0/security-groups")
    before = [cost(path) for path in paths]
    api.post("/v2.0/ports", json={"ports": [{"network_id": net["id"]} for _ in range(30)]})
    for number in range(9):
        make.subnet(make.network(), f"10.{number}.0.0/24")
        make.post("security_group", "security-groups", name=f"g{number}")
    assert len(api.get("/v2.0/ports").json["ports"]) == 40
    # The first port makes the default group, so there is one table more to look into, once.
    assert all(after <= earlier + 1 for earlier, after in zip(before, map(cost, paths), strict=True))


def test_agents_zones_and_addresses(api, make, cloud, sync):
    from onestack.network import syncer

    syncer.of(cloud)._look_for_chassis()
    agents = api.get("/v2.0/agents", as_="admin").json["agents"]
    assert [(one["host"], one["agent_type"], one["alive"]) for one in agents] == [
        ("host1", "OVN Controller agent", True)
    ]
    assert api.get(f"/v2.0/agents/{agents[0]['id']}", as_="admin").status_code == 200
    assert api.get("/v2.0/agents").json == {"agents": []}
    assert {one["name"] for one in api.get("/v2.0/availability_zones").json["availability_zones"]} == {"nova"}
    net = make.network()
    make.subnet(net)
    path = f"/v2.0/network-ip-availabilities/{net['id']}"
    found = api.get(path, as_="admin").json["network_ip_availability"]
    assert (found["total_ips"], found["used_ips"]) == (253, 1)
    error(api.get(path), 404, "HTTPNotFound")
    assert api.get("/v2.0/network-ip-availabilities").json == {"network_ip_availabilities": []}
    assert api.get(f"/v2.0/network-ip-availabilities?network_id={net['id']}&ip_version=6", as_="admin").json == {
        "network_ip_availabilities": []
    }
    error(api.get(f"/v2.0/agents/{agents[0]['id']}"), 404, "AgentNotFound")
