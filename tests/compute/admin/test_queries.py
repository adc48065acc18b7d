"""What a query may hold, in Nova's words, and that what is asked is looked at before who asks."""

from __future__ import annotations

import pytest

_BOOLEANS = (
    "[True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', "
    "False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no']"
)
_TOO_MUCH = "Additional properties are not allowed ({} unexpected)"
_OF = "Invalid input for query parameters {0}. Value: {1}. {2}"
_SORT = (
    "['created_at', 'description', 'disabled', 'ephemeral_gb', 'flavorid', 'id', 'is_public', 'memory_mb', 'name', "
    "'root_gb', 'swap', 'updated_at', 'vcpu_weight', 'vcpus']"
)

REFUSED = [
    ("flavors?sort_dir=ASC", "2.1", _OF.format("sort_dir", "ASC", "'ASC' is not one of ['asc', 'desc']")),
    ("flavors?sort_key=rxtx_factor", "2.102",
     _OF.format("sort_key", "rxtx_factor", f"'rxtx_factor' is not one of {_SORT}")),
    ("flavors?marker=", "2.1", "marker [] not found"),
    ("flavors/1?a=b", "2.102", _TOO_MUCH.format("'a' was")),
    ("flavors/1/os-extra_specs/none?a=b", "2.102", _TOO_MUCH.format("'a' was")),
    ("os-hypervisors?with_servers=x", "2.53", _OF.format("with_servers", "x", f"'x' is not one of {_BOOLEANS}")),
    ("os-hypervisors?limit=1&limit=2", "2.53", _OF.format("limit", "['1', '2']", "['1', '2'] is too long")),
    ("os-hypervisors?b=1&a=2", "2.53", _TOO_MUCH.format("'a', 'b' were")),
    ("os-hypervisors?marker=abc", "2.53", "marker [abc] not found"),
    ("os-hypervisors?hypervisor_hostname_pattern=", "2.53",
     _OF.format("hypervisor_hostname_pattern", "", "'' should be non-empty")),
    ("os-hypervisors?hypervisor_hostname_pattern=[", "2.53",
     _OF.format("hypervisor_hostname_pattern", "[", "'[' does not match '^[a-zA-Z0-9-._]*$'")),
    ("os-migrations?limit=x", "2.59", _OF.format("limit", "x", "'x' does not match '^[0-9]*$'")),
    ("os-migrations?changes-since=", "2.59", _OF.format("changes-since", "", "'' is not a 'date-time'")),
    ("os-migrations?changes-before=2026-01-01T00:00:00Z", "2.65", _TOO_MUCH.format("'changes-before' was")),
    ("os-migrations?marker=x", "2.59", "Marker x could not be found."),
    ("os-server-groups?offset=-1", "2.1", _OF.format("offset", "-1", "'-1' does not match '^[0-9]*$'")),
    ("limits?reserved=1", "2.75", _TOO_MUCH.format("'reserved' was")),
    ("os-aggregates?limit=1", "2.102", _TOO_MUCH.format("'limit' was")),
    ("os-availability-zone?a=b", "2.102", _TOO_MUCH.format("'a' was")),
    ("extensions?a=b", "2.102", _TOO_MUCH.format("'a' was")),
]  # fmt: skip


@pytest.mark.parametrize(("path", "version", "words"), REFUSED)
def test_what_a_query_may_not_hold(operator, path, version, words):
    answer = operator.get(path, version)
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)


TAKEN = [
    ("flavors?a=b", "2.74"), ("flavors/1?a=b", "2.101"), ("os-hypervisors?a=b&with_servers=x", "2.52"),
    ("os-migrations?limit=x&marker=y", "2.58"), ("limits?reserved=1", "2.74"), ("os-keypairs?user_id=&limit=x", "2.34"),
    ("flavors?sort_key=vcpu_weight", "2.1"), ("os-server-groups?offset=" + "9" * 5000, "2.75"),
    ("os-security-groups?offset=" + "9" * 5000, "2.1"), ("flavors?limit=" + "9" * 5000, "2.1"),
    ("os-services?host=&binary=", "2.1"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "version"), TAKEN)
def test_what_is_ignored(operator, path, version):
    assert operator.get(path, version).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "version", "body", "words"),
    [
        ("POST", "flavors", "2.1", {}, "'flavor' is a required property"),
        ("PUT", "flavors/1", "2.55", {}, "'flavor' is a required property"),
        ("POST", "flavors/1/action", "2.1", {}, "Malformed request body"),
        ("POST", "flavors/1/action", "2.1", {"jump": 1}, "There is no such action: jump"),
        ("POST", "os-aggregates", "2.1", {}, "'aggregate' is a required property"),
        ("POST", "os-aggregates/1/action", "2.1", {"a": 1, "b": 2}, "Malformed request body"),
        ("PUT", "os-services/enable", "2.1", {}, "'host' is a required property"),
        (
            "PUT",
            "os-services/x",
            "2.53",
            {"host": "a"},
            "Additional properties are not allowed ('host' was unexpected)",
        ),
        ("PUT", "os-hosts/x", "2.1", {}, "{} is not valid under any of the given schemas"),
        ("PUT", "os-quota-sets/x", "2.1", {}, "'quota_set' is a required property"),
        ("POST", "os-assisted-volume-snapshots", "2.1", {}, "'snapshot' is a required property"),
        ("GET", "os-hypervisors?a=b", "2.53", None, _TOO_MUCH.format("'a' was")),
    ],
)
def test_a_form_is_looked_at_before_the_rule(operator, method, path, version, body, words):
    answer = operator.ask(method, path, version, body, as_="member")
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)


SNAPSHOT = {"volume_id": "v", "create_info": {"snapshot_id": "s", "type": "qcow2", "new_file": "f"}}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "'delete_info'"), ("?delete_info=x", "Expecting value: line 1 column 1 (char 0)"),
        ("?delete_info={}", "'volume_id'"),
        ('?delete_info={"volume_id":"v"}', "No volume Block Device Mapping with id v."),
    ],
)  # fmt: skip
def test_no_server_has_a_volume_to_snapshot(operator, query, words):
    path = "os-assisted-volume-snapshots"
    created = operator.post(path, {"snapshot": SNAPSHOT})
    assert (created.status_code, created.json["badRequest"]["message"]) == (
        400, "No volume Block Device Mapping with id v.",
    )  # fmt: skip
    assert operator.post(path, {"snapshot": SNAPSHOT}, as_="member").status_code == 403
    deleted = operator.delete(f"{path}/s{query}")
    assert (deleted.status_code, deleted.json["badRequest"]["message"]) == (400, words)
    assert operator.delete(f"{path}/s{query}", as_="member").status_code == 403
