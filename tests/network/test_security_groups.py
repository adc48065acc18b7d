"""Security groups and rules."""

from __future__ import annotations

import pytest

from tests.network.test_networks import error


def group(make, name="web"):
    return make.post("security_group", "security-groups", name=name)


def test_each_project_has_a_default_group(api):
    groups = api.get("/v2.0/security-groups").json["security_groups"]
    assert [one["name"] for one in groups] == ["default"]
    rules = {
        (rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in groups[0]["security_group_rules"]
    }
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", groups[0]["id"]),
        ("ingress", "IPv6", groups[0]["id"]),
    }  # fmt: skip
    path = f"/v2.0/security-groups/{groups[0]['id']}"
    error(api.delete(path), 409, "SecurityGroupCannotRemoveDefault")
    error(api.put(path, json={"security_group": {"name": "x"}}), 409, "SecurityGroupCannotUpdateDefault")
    body = {"security_group": {"name": "default"}}
    error(api.post("/v2.0/security-groups", json=body), 409, "SecurityGroupDefaultAlreadyExists")
    assert api.get(path, as_="other").status_code == 404


def test_a_new_group_lets_everything_out(make):
    rules = group(make)["security_group_rules"]
    assert [(rule["direction"], rule["protocol"]) for rule in rules] == [("egress", None)] * 2


def test_lenient_rules(make):
    web = group(make)
    rule = make.post(
        "security_group_rule", "security-group-rules", security_group_id=web["id"], direction="ingress",
        protocol="TCP", port_range_min="22", port_range_max="22", remote_ip_prefix="10.1.2.3/8",
    )  # fmt: skip
    assert (rule["protocol"], rule["port_range_min"], rule["ethertype"]) == ("tcp", 22, "IPv4")
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == ("10.1.2.3/8", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"protocol": "tcpp"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": ""}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "-1"}, "SecurityGroupRuleInvalidProtocol"),
        ({"port_range_min": ""}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 9, "port_range_max": 8}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_max": 6}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "udp", "port_range_min": 6}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "udp", "port_range_min": 0, "port_range_max": 6}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 99999, "port_range_max": 99999}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": [], "port_range_max": 9}, "SecurityGroupInvalidPortValue"),
        ({"port_range_min": 9, "port_range_max": 10}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 1}, "SecurityGroupMissingIcmpType"),
        ({"protocol": "ah", "port_range_min": 1}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "fd00::/8"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
        ({"remote_ip_prefix": "fe80::1%eth0"}, "InvalidCIDR"),
        ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
        ({"direction": "up"}, "HTTPBadRequest"),
        ({"direction": ["x"]}, "HTTPBadRequest"),
        ({"remote_ip_prefix": "1.0.0.0/8", "remote_group_id": "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"},
         "SecurityGroupMultipleRemoteEntites"),
    ],
)  # fmt: skip
def test_bad_rules(api, make, values, kind):
    body = {"security_group_id": group(make)["id"], "direction": "ingress", **values}
    error(api.post("/v2.0/security-group-rules", json={"security_group_rule": body}), 400, kind)


def test_the_same_rule_in_other_words(api, make):
    body = {"security_group_id": group(make)["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22}  # fmt: skip
    first = make.post("security_group_rule", "security-group-rules", **body)
    body |= {"protocol": 6, "remote_ip_prefix": "0.0.0.0/0"}
    message = error(
        api.post("/v2.0/security-group-rules", json={"security_group_rule": body}), 409, "SecurityGroupRuleExists"
    )
    assert message == f"Security group rule already exists. Rule id is {first['id']}."


def test_a_group_in_use_stays(api, make):
    web = group(make)
    net = make.network()
    make.subnet(net)
    port = make.port(net, security_groups=[web["id"]])
    error(api.delete(f"/v2.0/security-groups/{web['id']}"), 409, "SecurityGroupInUse")
    api.delete(f"/v2.0/ports/{port['id']}")
    assert api.delete(f"/v2.0/security-groups/{web['id']}").status_code == 204


def test_rules_about_a_group_go_with_it(api, make, sync, engine):
    web, db = group(make), group(make, "db")
    rule = make.post(
        "security_group_rule", "security-group-rules", security_group_id=db["id"], direction="ingress",
        remote_group_id=web["id"],
    )  # fmt: skip
    sync()
    assert rule["id"] in {one.id for one in engine.objects["security_group", db["id"]].rules}
    assert api.delete(f"/v2.0/security-groups/{web['id']}").status_code == 204
    sync()
    assert rule["id"] not in {one.id for one in engine.objects["security_group", db["id"]].rules}
    assert ("security_group", web["id"]) not in engine.objects
    assert api.get(f"/v2.0/security-group-rules/{rule['id']}").status_code == 404


def test_groups_of_others(api, make):
    web = group(make)
    body = {"security_group_rule": {"security_group_id": web["id"], "direction": "ingress"}}
    error(api.post("/v2.0/security-group-rules", as_="other", json=body), 404, "SecurityGroupNotFound")
    error(api.post("/v2.0/security-group-rules", as_="reader", json=body), 403, "PolicyNotAuthorized")


def test_groups_that_are_not_there(api, make):
    body = {"security_group_id": group(make)["id"], "direction": "ingress", "remote_group_id": "bad_group_id"}
    error(api.post("/v2.0/security-group-rules", json={"security_group_rule": body}), 404, "SecurityGroupNotFound")
    body = {"security_group_id": "bad_group_id", "direction": "ingress"}
    error(api.post("/v2.0/security-group-rules", json={"security_group_rule": body}), 404, "SecurityGroupNotFound")


def test_no_group_becomes_default(api, make):
    path = f"/v2.0/security-groups/{group(make)['id']}"
    error(api.put(path, json={"security_group": {"name": "default"}}), 409, "SecurityGroupDefaultAlreadyExists")


def test_the_same_prefix_with_other_host_bits(api, make):
    body = {"security_group_id": group(make)["id"], "direction": "ingress", "remote_ip_prefix": "10.1.2.3/8"}
    assert api.post("/v2.0/security-group-rules", json={"security_group_rule": body}).status_code == 201
    body["remote_ip_prefix"] = "10.9.9.9/8"
    error(api.post("/v2.0/security-group-rules", json={"security_group_rule": body}), 409, "SecurityGroupRuleExists")
