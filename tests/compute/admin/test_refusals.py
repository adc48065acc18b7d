"""In which words the operator's routes and the proxies of other services refuse what they don't take, as Nova does."""

from __future__ import annotations

import pytest

_FIELD = "Invalid input for field/attribute {0}. Value: {1}. {2}"
GROUP = {"name": "g", "description": ""}


@pytest.fixture
def aggregate(operator):
    return operator.post("os-aggregates", {"aggregate": {"name": "a"}}).json["aggregate"]["id"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"availability_zone": None}, "Cannot update aggregate {}. Reason: {}."),
        ({}, _FIELD.format("aggregate", "{{}}", "{{}} is not valid under any of the given schemas")),
        ({"availability_zone": "a:b"},
         _FIELD.format("availability_zone", "a:b", "'a:b' is not valid under any of the given schemas")),
    ],
)  # fmt: skip
def test_a_zone_has_a_name_without_colon(operator, aggregate, change, words):
    answer = operator.put(f"os-aggregates/{aggregate}", {"aggregate": change})
    why = "Aggregate a does not support empty named availability zone"
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words.format(aggregate, why))


def test_metadata_of_an_aggregate_has_a_zone_or_none(operator, aggregate):
    for zone in ("", None):
        body = {"set_metadata": {"metadata": {"availability_zone": zone}}}
        answer = operator.post(f"os-aggregates/{aggregate}/action", body)
        assert answer.json["badRequest"]["message"] == (
            f"Cannot update metadata of aggregate {aggregate}. "
            "Reason: Aggregate a does not support empty named availability zone."
        )
    assert operator.put(f"os-aggregates/{aggregate}", {"aggregate": {"name": " b "}}).json["aggregate"]["name"] == "b"


def test_a_host_with_servers_stays_in_its_zone(nova, operator, aggregate):
    operator.post(f"os-aggregates/{aggregate}/action", {"set_metadata": {"metadata": {"availability_zone": "z"}}})
    joins, leaves = {"add_host": {"host": "host1"}}, {"remove_host": {"host": "host1"}}
    words = (
        "The host cannot be {} the aggregate as the availability zone of the host would change from '{}' to '{}' but "
        "the host already has 1 instance(s). Changing the AZ of an existing instance is not supported by this action."
    )
    nova.boot()
    refused = operator.post(f"os-aggregates/{aggregate}/action", joins)
    assert refused.status_code == 409
    assert refused.json["conflictingRequest"]["message"].startswith(
        f"Cannot add host to aggregate {aggregate}. Reason: {words.format('added to', None, 'z')}"
    )
    free = operator.post("os-aggregates", {"aggregate": {"name": "free"}}).json["aggregate"]["id"]
    assert operator.post(f"os-aggregates/{free}/action", joins).status_code == 200
    assert operator.post(f"os-aggregates/{free}/action", leaves).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("os-security-groups", {}, "'security_group' is a required property"),
        ("os-security-groups", {"security_group": {"name": "g"}},
         _FIELD.format("security_group", "{'name': 'g'}", "'description' is a required property")),
        ("os-security-groups", {"security_group": {**GROUP, "name": None}},
         _FIELD.format("name", "None", "None is not of type 'string'")),
        ("os-security-group-rules", {"security_group_rule": {}},
         _FIELD.format("security_group_rule", "{}", "'parent_group_id' is a required property")),
        ("os-security-group-rules", {"security_group_rule": {"parent_group_id": "x"}},
         _FIELD.format("parent_group_id", "x", "'x' is not a 'uuid'")),
    ],
)  # fmt: skip
def test_forms_of_security_groups(operator, path, body, words):
    answer = operator.post(path, body, as_="member")
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (("tcp", 22, 21, "0.0.0.0/0"), "Invalid port range 22:21. Former value cannot be greater than the later"),
        (("tcp", 0, 21, ""), "Invalid port range 0:21. Valid TCP ports should be between 1-65535"),
        (("icmp", 256, 0, ""), "Invalid port range 256:0. For ICMP, the type:code must be valid"),
        (("gre", 1, 2, ""), "Invalid IP protocol gre."),
        (("6", "a", 2, ""), "Invalid input received: To and From ports must be integers"),
        (("icmp", "a", 2, ""), "Invalid input received: Type and Code must be integers for ICMP protocol type"),
        (("tcp", 1, 2, "10.0.0.1"), "10.0.0.1 is not a valid IP network."),
        (("tcp", 1, 2, "10.0.0.0/0"), "Bad prefix for network in cidr 10.0.0.0/0"),
        (("", 1, 2, "10.0.0.0/8"), "Not enough parameters to build a valid rule."),
    ],
)
def test_rules_of_security_groups(operator, rule, words):
    group = operator.post("os-security-groups", {"security_group": GROUP}, as_="member").json["security_group"]["id"]
    fields = dict(zip(("ip_protocol", "from_port", "to_port", "cidr"), rule, strict=True))
    body = {"security_group_rule": {"parent_group_id": group, **fields}}
    answer = operator.post("os-security-group-rules", body, as_="member")
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)


def test_a_rule_for_a_group_may_leave_out_its_range(operator):
    group = operator.post("os-security-groups", {"security_group": GROUP}, as_="member").json["security_group"]["id"]
    body = {"security_group_rule": {"parent_group_id": group, "group_id": group, "ip_protocol": "UDP"}}
    rule = operator.post("os-security-group-rules", body, as_="member").json["security_group_rule"]
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("udp", 1, 65535)


@pytest.mark.parametrize(("limit", "offset", "found"), [(1, 0, 1), (0, 0, 2), (5, 1, 1), (5, 9, 0)])
def test_pages_of_security_groups(operator, limit, offset, found):
    operator.post("os-security-groups", {"security_group": GROUP}, as_="member")
    answer = operator.get(f"os-security-groups?limit={limit}&offset={offset}", as_="member")
    assert len(answer.json["security_groups"]) == found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "flavors", 404), ("HEAD", "servers/detail", 404), ("PUT", "os-cells/detail", 410),
        ("DELETE", "flavors/detail", 404), ("HEAD", "", 200),
    ],
)  # fmt: skip
def test_methods_and_paths_are_looked_for_together(operator, method, path, status):
    """/flavors/detail is also the flavor "detail", and nothing but the versions answers to HEAD."""
    assert operator.ask(method, path).status_code == status


def test_server_groups_of_a_quota_class_can_always_be_set(operator):
    body = {"quota_class_set": {"server_groups": 7}}
    assert "server_groups" not in operator.put("os-quota-class-sets/default", body).json["quota_class_set"]
    assert operator.get("os-quota-class-sets/default", "2.50").json["quota_class_set"]["server_groups"] == 7
