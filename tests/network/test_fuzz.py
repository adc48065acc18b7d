"""Random bodies and queries on every route: never a 500, always Neutron's form of error."""

from __future__ import annotations

import random

import pytest

from onestack.network import floating_ips, networks, ports, routers, security_groups, subnets
from onestack.network.routes import ROUTES

ID = "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"
WORDS = [
    None, True, False, 0, -1, 22, 1 << 40, 1.5, "", "x", "True", "22", "10.0.0.0/24", "10.0.0.5", "fd00::1",
    "fd00::/64",
    "::ffff:1.2.3.4", "fe80::1%eth0", "999.1.1.1", "fa:16:3e:00:00:01", ID, "tcp", "ingress", "IPv6", "slaac", [], {},
    ["x"], [None], [{}], [{"ip_address": "10.0.0.9"}], [{"ip_address": 7}], [{"subnet_id": ID}],
    [{"start": "10.0.0.5", "end": "::1"}],
    [{"destination": "10.0.0.0/8", "nexthop": "::1"}], {"network_id": ID}, {"network_id": 7, "x": []}, [[]],
    "é" * 300,
]  # fmt: skip
NAMES = [
    "name", "network_id", "cidr", "ip_version", "gateway_ip", "allocation_pools", "dns_nameservers", "host_routes",
    "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "fixed_ips", "mac_address", "security_groups", "device_id",
    "device_owner", "allowed_address_pairs", "port_security_enabled", "admin_state_up", "shared", "router:external",
    "mtu", "provider:network_type", "provider:physical_network", "provider:segmentation_id", "external_gateway_info",
    "routes", "floating_network_id", "port_id", "fixed_ip_address", "floating_ip_address", "subnet_id", "direction",
    "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id",
    "security_group_id", "tenant_id", "project_id", "binding:host_id", "binding:profile", "binding:vnic_type",
    "dns_name", "extra_dhcp_opts", "service_types", "description", "is_default", "stateful", "tags", "network", "port",
]  # fmt: skip
QUERY = [*NAMES, "id", "fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse", "tags-any", "created_at",
         "revision_number", "subnets", "status", "belongs_to_default_sg", "alive", "host"]  # fmt: skip


@pytest.fixture
def ids(make):
    """Something real for each parameter, so that handlers get further than a 404."""
    net = make.network()
    sub = make.subnet(net)
    router = make.router(sub, external=True)
    port = make.port(net)
    fip = make.post("floatingip", "floatingips", floating_network_id=make.public()["id"], port_id=port["id"])
    group = make.post("security_group", "security-groups", name="g")
    rule = group["security_group_rules"][0]
    return {
        "network_id": net["id"], "subnet_id": sub["id"], "router_id": router["id"], "port_id": port["id"],
        "floatingip_id": fip["id"], "security_group_id": group["id"], "rule_id": rule["id"], "tag": "t",
        "alias": "router", "agent_id": ID, "project_id": "1" * 32,
    }  # fmt: skip


def body(rng, route, ids):
    if rng.random() < 0.05:
        return rng.choice(WORDS)
    kind = route.path.split("/")[2].replace("-", "_")
    values = {}
    for name in rng.sample(NAMES, rng.randint(0, 6)):
        values[name] = rng.choice([*WORDS, *ids.values()])
    if rng.random() < 0.7:
        values.setdefault("network_id", ids["network_id"])
        values = {name: value for name, value in values.items() if rng.random() < 0.95}
    if kind.endswith("s") and rng.random() < 0.9:
        return {kind[:-1]: values} if rng.random() < 0.8 else {kind: [values, values]}
    return values


# Each attribute with each value, one at a time, reaches more code than random bodies of unknown attributes.
REQUIRED = {
    "/v2.0/subnets": ("network_id", "cidr"),
    "/v2.0/ports": ("network_id",),
    "/v2.0/floatingips": ("floating_network_id",),
    "/v2.0/security-group-rules": ("security_group_id", "direction"),
}


def check(answer, what):
    assert answer.status_code < 500 or answer.status_code == 501, (what, answer.text)
    if answer.status_code >= 400:
        assert set(answer.json["NeutronError"]) == {"type", "message", "detail"}, what


@pytest.mark.parametrize("seed", range(3))
def test_random_requests(api, ids, seed):
    rng = random.Random(seed)
    routes = [route for route in ROUTES if route.method != "DELETE"]
    for _ in range(250):
        route = rng.choice(routes)
        names = {name: value if rng.random() < 0.9 else rng.choice(["x", ID]) for name, value in ids.items()}
        path = route.path.format(**names)
        more = {"json": body(rng, route, ids)} if route.body is not None else {}
        if route.method == "GET":
            values = [word for word in WORDS if isinstance(word, str)]
            path += "?" + "&".join(f"{rng.choice(QUERY)}={rng.choice(values)}" for _ in range(rng.randint(0, 3)))
        persona = rng.choice(["admin", "member", "other"])
        check(api.request(route.method, path.replace("::ffff", "%3A%3Affff"), as_=persona, **more), (route, more, path))


WRITES = [route for route in ROUTES if route.body is dict]


@pytest.mark.parametrize("route", WRITES, ids=lambda route: f"{route.method} {route.path}")
def test_each_attribute_with_each_value(api, ids, make, route):
    known = {"network_id": ids["network_id"], "cidr": "10.99.0.0/24", "floating_network_id": make.public()["id"],
             "security_group_id": ids["security_group_id"], "direction": "ingress"}  # fmt: skip
    kind = route.path.split("/")[2].replace("-", "_")[:-1]
    base = {name: known[name] for name in REQUIRED.get(route.path, ())} if route.method == "POST" else {}
    path = route.path.format(**ids)
    attributes = {
        "network": networks.ATTRIBUTES, "subnet": subnets.ATTRIBUTES, "port": ports.ATTRIBUTES,
        "router": routers.ATTRIBUTES, "floatingip": floating_ips.ATTRIBUTES,
        "security_group": security_groups.ATTRIBUTES, "security_group_rule": security_groups.RULE_ATTRIBUTES,
    }.get(kind, {"port": 1, "network": 1})  # fmt: skip
    for name in attributes:
        for value in WORDS:
            sent = {kind: {**base, name: value}}
            check(api.request(route.method, path, as_="admin", json=sent), (route.path, sent))
