"""No input, however odd, gets a 500 from any of the operator's routes or the proxies."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from onestack.compute import routes_admin
from tests.compute.conftest import IMAGE

NAMES = ("1", "x", "-1", "0", "9" * 40, IMAGE, "é", "a%00b", "%F0%9F%90%8D", "²", "..", "default", "' or 1=1")
VALUES = (None, True, -1, 2**31, 2**70, 1.5, 1e400, "", "x" * 300, "\ud800", "\x00", [], [1], {}, {"a": {}}, "²", "1e5")
QUERIES = ("", "?limit=²&marker=x&offset=-1", "?limit=1&offset=99999999999999999999", "?marker=%00", "?marker=\u00b2",
           "?start=x&end=y", "?start=0001-01-01T00:00:00&end=9999-12-31T23:59:59", "?tenant_id=&reserved=x&user_id=",
           "?all_tenants=x&all_projects=x&with_servers=x&minRam=²", "?changes-since=0001-01-01T00:00:00%2B23:00",
           "?changes-since=9999-12-31T23:59:59-23:00")  # fmt: skip
KEYS = (
    "quota_set", "quota_class_set", "aggregate", "add_host", "set_metadata", "server_group", "events", "metadata",
    "meta", "security_group", "security_group_rule", "pool", "host", "binary", "status", "cache", "cores",
)  # fmt: skip
BODIES = [
    "", "[]", "null", "{", '"x"', "{}", *(json.dumps({key: value}) for key in KEYS for value in ("x", None, {}, [{}])),
    *(json.dumps({"aggregate": {"name": value, "availability_zone": value}}) for value in VALUES),
    *(json.dumps({"server_group": {"name": "g", "policy": value, "policies": value}}) for value in VALUES),
    *(json.dumps({"server_group": {"name": value, "policies": [value]}}) for value in VALUES),
    *(json.dumps({"quota_set": {"cores": value, "force": value}}) for value in VALUES),
    *(json.dumps({"set_metadata": {"metadata": {"k": value}}}) for value in VALUES),
    *(json.dumps({"metadata": {"k": value}}) for value in VALUES),
    *(json.dumps({"events": [{"name": value, "server_uuid": value}]}) for value in VALUES),
    *(json.dumps({"security_group": {"name": value, "description": value}}) for value in VALUES),
    *(
        json.dumps({"security_group_rule": {"parent_group_id": IMAGE, "ip_protocol": one, "from_port": other,
                                            "to_port": other, "cidr": one, "group_id": one}})
        for one, other in zip(VALUES, reversed(VALUES), strict=True)
    ),
    *(json.dumps({"host": value, "binary": value, "forced_down": value, "status": value}) for value in VALUES),
]  # fmt: skip


def path_of(route, name):
    return re.sub(r"\{\w+\}", lambda _match: name, route.path)


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_reads(nova, operator, version):
    for route in routes_admin.ROUTES:
        if route.method != "GET":
            continue
        names = NAMES if "{" in route.path else ("",)
        for name, query in itertools.product(names, QUERIES):
            answer = operator.get(path_of(route, name)[1:] + query, version)
            assert answer.status_code < 500 or answer.status_code == 501, (route.path, name, query, answer.text)


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_writes(nova, operator, version):
    headers = {"OpenStack-API-Version": f"compute {version}", "Content-Type": "application/json"}
    for route in routes_admin.ROUTES:
        if route.method == "GET":
            continue
        names = ("1", "x", IMAGE, "enable", "²") if "{" in route.path else ("",)
        bodies = BODIES if route.method in ("POST", "PUT") else [""]
        for name, body in itertools.product(names[:2] if len(bodies) > 1 else names, bodies):
            path = "/v2.1" + path_of(route, name)
            answer = nova.client.request(route.method, path, as_="admin", headers=headers, body=body)
            assert answer.status_code < 500 or answer.status_code == 501, (route.method, path, body, answer.text)
