"""Who may do what, on every route, for every kind of caller; and that no tenant ever sees or touches another's things.

Routes that look at the caller alone must decide as their declared rule does. Routes of one object are asked about the
things of project alpha. Bob's project is beta: nothing of alpha may reach him, in lists or elsewhere.
"""

from __future__ import annotations

import re

import pytest

from onestack.compute.api import actions
from onestack.compute.dialect import CHOICES, DOCUMENT
from onestack.compute.routes_gone import ROUTES as GONE_ROUTES
from tests.contract import bodies, checks
from tests.contract.world import INVALID, MARK, PERSONAS, SECOND, SERVICES, all_routes, service_of

# Answered to everybody, also without a token: which versions there are, and the ways to prove who one is.
PUBLIC = {
    ("identity", "GET", "/"), ("identity", "GET", "/v3"), ("identity", "GET", "/v2.0"),
    ("identity", "POST", "/v2.0/tokens"),
    ("identity", "GET", "/v2.0/certificates/ca"), ("identity", "GET", "/v2.0/certificates/signing"),
    ("identity", "GET", "/v2.0/extensions"), ("identity", "GET", "/v2.0/extensions/{alias}"),
    ("identity", "POST", "/v3/auth/tokens"), ("identity", "POST", "/v3/users/{user_id}/password"),
    ("identity", "POST", "/v3/OS-OAUTH1/request_token"), ("identity", "POST", "/v3/OS-OAUTH1/access_token"),
    ("identity", "GET", "/v3/auth/tokens/OS-PKI/revoked"), ("identity", "GET", "/v3/OS-SIMPLE-CERT/ca"),
    ("identity", "GET", "/v3/OS-SIMPLE-CERT/certificates"), ("identity-admin", "GET", "/v2.0/extensions"),
    ("identity-admin", "GET", "/v2.0/extensions/{alias}"),
    ("placement", "GET", "/"), ("network", "GET", "/"), ("network", "GET", "/v2.0"),
} | {
    ("image", method, path)  # Glance's neither
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") for path in ("/", "/versions")
} | {
    ("compute", method, path)  # Nova's version documents don't look at the method
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    for path in ("/", "/v2", "/v2.1", CHOICES)
}  # fmt: skip
# Answered to everybody with a token, whatever their roles, because it is about nobody: what this cloud can do.
ABOUT_NOBODY = {
    ("image", "GET", "/v2/schemas/{name}"), ("image", "GET", "/v2/schemas/metadefs/{name}"),
    ("image", "GET", "/v2/info/stores"), ("image", "GET", "/v2/info/import"),
    ("network", "GET", "/v2.0/extensions"), ("network", "GET", "/v2.0/extensions/{alias}"),
    ("network", "GET", "/v2.0/quotas/tenant"), ("network", "GET", "/v2.0/quotas/project"),
    ("compute", "GET", f"/v2{DOCUMENT}"), ("compute", "GET", f"/v2.1{DOCUMENT}"),
} | {("image", method, "/v2") for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}  # fmt: skip
# Without a rule of their own. Image's usage is the caller's own, as are v2.0's tenants and password on
# port 5000. Neutron shows of each list, and of each object, what
# the rules get_network and so on let the caller see; compute's image routes ask Glance's rules.
FILTERED = {
    ("image", "GET", "/v2/info/usage"), ("network", "GET", "/v2.0/agents"), ("identity", "GET", "/v2.0/tenants"),
    ("network", "GET", "/v2.0/agents/{agent_id}"), ("network", "GET", "/v2.0/network-ip-availabilities"),
    ("network", "GET", "/v2.0/network-ip-availabilities/{network_id}"),
    ("identity", "PATCH", "/v2.0/OS-KSCRUD/users/{user_id}"),
} | {
    ("network", "GET", f"/v2.0/{plural}{rest}")
    for plural, name in (
        ("networks", "network_id"), ("subnets", "subnet_id"), ("ports", "port_id"), ("routers", "router_id"),
        ("floatingips", "floatingip_id"), ("security-groups", "security_group_id"), ("security-group-rules", "rule_id"),
    )
    for rest in ("", f"/{{{name}}}", f"/{{{name}}}/tags", f"/{{{name}}}/tags/{{tag}}")
    if "tags" not in rest or name != "rule_id"
} | {
    ("compute", "GET", prefix + path)
    for prefix in ("/v2", "/v2.1")
    for path in ("/images", "/images/detail", "/images/{image_id}", "/images/{image_id}/metadata",
                 "/images/{image_id}/metadata/{key}")
}  # fmt: skip

# What Nova no longer has.
GONE = [(route.method, route.path) for route in GONE_ROUTES]

ROUTES = all_routes()


def every(routes):
    return pytest.mark.parametrize(("service", "route"), routes, ids=[f"{s}-{r.method}-{r.path}" for s, r in routes])


def key(service, route):
    return service, route.method, route.path


def versions(service, route):
    """Headers at which a route is served."""
    if service not in ("compute", "placement"):
        return {}
    low = {"compute": (2, 1), "placement": (1, 0)}[service]
    found = max(route.since or low, low) if route.until is None or route.since else low
    return {"OpenStack-API-Version": f"{service} {found[0]}.{found[1]}"}


def ask(world, service, route, persona, body="good", query=""):
    """One good request about alpha's things."""
    path = bodies.path_of(service, route, world.ids)
    headers = versions(service, route)
    if body == "good":
        good = bodies.bodies_of(service, route)
        body = bodies.filled(good[-1], world.ids) if good else None
    if route.path == "/v3/auth/tokens":
        headers["X-Subject-Token"] = world.ids["token"]
    if service_of(service) == "image" and route.method in ("PATCH", "PUT"):
        patch = "application/openstack-images-v2.1-json-patch"
        kind = "application/octet-stream" if route.stream else "application/json"
        headers["Content-Type"] = patch if route.method == "PATCH" else kind
    token = world.tokens[persona]
    answer = world.callers[service].request(route.method, path + query, token, json_body=body, headers=headers)
    checks.check_answer(service, route.method, answer)
    return answer


def own(context):
    """What a rule is checked against when it is about the caller's own things."""
    return {"project_id": context.project_id, "tenant_id": context.project_id, "user_id": context.user_id,
            "domain_id": context.domain_id, "owner": context.project_id, "member_id": context.project_id,
            "network:project_id": context.project_id, "security_group:project_id": context.project_id}  # fmt: skip


def test_every_route_has_a_rule():
    without = {key(service, route) for service, route in ROUTES if route.policy is None and not route.public}
    gone = {("compute", method, prefix + path) for method, path in GONE for prefix in ("/v2", "/v2.1")}
    assert {key(service, route) for service, route in ROUTES if route.public} == PUBLIC
    assert without <= ABOUT_NOBODY | FILTERED | gone


def test_what_is_gone_is_gone_for_everybody(world):
    for method, path in GONE:
        for persona in ("admin", "other"):
            answer = world.callers["compute"].request(method, f"/v2.1{path}", world.tokens[persona], json_body={})
            assert answer.status == 410, (method, path)


@every(ROUTES)
def test_without_a_valid_token(world, service, route):
    for persona in INVALID:
        answer = ask(world, service, route, persona)
        if not route.public:
            assert answer.status == 401, (persona, answer.status, answer.text)
            assert answer.headers["www-authenticate"].startswith("Keystone uri=")
            assert not world.touched()
        assert MARK not in answer.text
        world.restore()


# What a route needs in its query to be well formed.
QUERIES = {"{snapshot_id}": '?delete_info={"volume_id":"v"}'}
OF_THE_CALLER = [
    (service, route) for service, route in ROUTES if route.policy is not None and route.target != "object"
]  # fmt: skip


@every(OF_THE_CALLER)
def test_the_callers_own_rules(world, service, route):
    """A rule about the caller alone decides before anything is looked up: 403, or something else. Where the form comes
    first, it decides for every body that is good at this version."""
    policy = world.applications[service].policy
    tried = bodies.bodies_of(service, route) if route.target == "late" else []
    query = QUERIES.get(route.path.rpartition("/")[2], "")
    for persona in PERSONAS:
        context = world.context(persona)
        if context is None:
            continue
        allowed = policy.allows(route.policy, context, own(context))
        answers = [
            ask(world, service, route, persona, bodies.filled(body, world.ids), query) for body in tried
        ] or [ask(world, service, route, persona, query=query)]  # fmt: skip
        formed = [answer for answer in answers if route.target == "caller" or answer.status != 400]
        assert formed or allowed, (persona, [answer.text for answer in answers])
        for answer in formed:
            if not allowed:
                assert answer.status == 403, (persona, answer.status, answer.text)
                assert not world.touched()
            elif context.project_id is not None:
                assert answer.status not in (401, 403), (persona, answer.status, answer.text)
        world.restore()


# Refused with 403 and these words for what is asked, when the rules have let the caller in.
REFUSED_ALSO = {
    ("DELETE", "/v2/stores/{store_id}/{image_id}"): "the only store containing it",
    ("POST", "/v2/images/{image_id}/locations"): "http store must be enabled",
}
OBJECTS = [
    (service, route)
    for service, route in ROUTES
    if route.target == "object" and service_of(service) in ("compute", "network", "image") and "{" in route.path
    and not route.path.endswith("{server_id}/action")
]  # fmt: skip


@every(OBJECTS)
def test_rules_about_objects(world, service, route):
    """alpha's objects: who has the role there is let in, who hasn't gets 403, and another tenant learns nothing."""
    policy = world.applications[service].policy
    alpha, ann = world.ids["alpha"], world.ids["ann"]
    target = {"project_id": alpha, "tenant_id": alpha, "user_id": ann, "owner": alpha, "member_id": alpha,
              "visibility": "shared", "network:project_id": alpha, "security_group:project_id": alpha}  # fmt: skip
    for persona in ("admin", "member", "reader", "norole", "other", "unscoped"):
        context = world.context(persona)
        answer = ask(world, service, route, persona)
        stranger = context.project_id != alpha and not context.is_admin
        allowed = policy.allows(route.policy, context, target)
        if stranger and "{project_id}" not in route.path and policy.allows(route.policy, context, own(context)):
            assert answer.status == 404, (persona, answer.status, answer.text)
        elif stranger:
            assert answer.status in (403, 404), (persona, answer.status, answer.text)
        elif allowed:
            words = REFUSED_ALSO.get((route.method, route.path))
            late = answer.status == 403 and words is not None and words in answer.text
            assert late or answer.status not in (401, 403), (persona, answer.status, answer.text)
        else:
            assert answer.status in (403, 404), (persona, answer.status, answer.text)
            assert REFUSED_ALSO.get((route.method, route.path), "\0") not in answer.text
        if stranger or not allowed:
            assert not world.differences()
        world.restore()


RULES = {name: action.rule for name, action in actions.ACTIONS.items()}
ACTIONS = [body for body in bodies.ACTIONS if next(iter(body)) in RULES]


@pytest.mark.parametrize("body", ACTIONS, ids=[next(iter(body)) for body in ACTIONS])
def test_rules_about_actions(world, body):
    """Each action of a server has a rule of its own."""
    policy, alpha = world.applications["compute"].policy, world.ids["alpha"]
    (name,) = body
    path = f"/v2.1/servers/{world.ids['server_id']}/action"
    for persona in ("admin", "member", "reader", "norole", "other", "unscoped"):
        context = world.context(persona)
        answer = world.callers["compute"].request(
            "POST", path, world.tokens[persona], json_body=bodies.filled(body, world.ids)
        )
        checks.check_answer("compute", "POST", answer)
        if answer.status == 400:
            assert persona == "admin" or not world.touched()
        elif context.project_id != alpha and not context.is_admin:
            assert answer.status == 404, (persona, answer.text)
        elif not policy.allows(RULES[name], context, {"project_id": alpha, "user_id": world.ids["ann"]}):
            assert answer.status == 403, (persona, answer.text)
        else:
            assert answer.status not in (401, 403), (persona, answer.text)
        assert answer.status < 400 or not world.differences()
        world.restore()


STRANGERS = ("other", "unscoped")


@every(ROUTES)
def test_no_answer_shows_a_strangers_thing(world, service, route):
    for persona in STRANGERS:
        answer = ask(world, service, route, persona)
        said = re.sub(f"[/ =]{MARK}", "", answer.text)  # what was asked for may be repeated
        assert MARK not in said, (persona, answer.text)
        world.restore()


LISTS = [
    (service, route)
    for service, route in ROUTES
    if route.method == "GET" and "{" not in route.path and not route.public and not route.path.startswith("/v2/os-")
]
WIDER = (
    "", "all_tenants=1", "all_tenants=True&deleted=True", "all_projects=1", "project_id=$alpha", "tenant_id=$alpha",
    "owner=$alpha", "user_id=$ann", "visibility=all", "visibility=shared&member_status=all", "visibility=private",
    "visibility=community", "domain_id=default", "device_id=$server_id", "network_id=$network_id",
    "name=" + MARK, "id=$network_id", "user.id=$ann", "is_public=None", "shared=False", "os_hidden=true",
    "fixed_ips=ip_address%3D10.0.0.2", "status=ACTIVE", "host=host1",
)  # fmt: skip


def whole(value):
    """An address is not part of another one: 172.24.4.25 isn't in 172.24.4.254."""
    return re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w.])")


@pytest.mark.parametrize(("service", "route"), LISTS, ids=[f"{name}-{r.path}" for name, r in LISTS])
def test_no_list_shows_a_strangers_thing(world, service, route):
    """Whatever the list is asked for, alpha's ids and words aren't in it for Bob."""
    shared = {
        "public", "public_image_id", "region_id", "beta", "bob", "aggregate_id", "service_id", "endpoint_id",
        "limited_service_id", "registered_limit_id",
    }  # fmt: skip
    private = {name: value for name, value in world.ids.items() if name not in shared}
    for persona, wider in [("unscoped", ""), *(("other", wider) for wider in WIDER)]:
        query = "&".join(
            name + "=" + bodies.filled(value, world.ids)
            for name, _, value in (part.partition("=") for part in wider.split("&") if part)
        )
        text = ask(world, service, route, persona, query=f"?{query}" if query else "").text
        assert MARK not in text.replace(f"={MARK}", ""), (persona, query, text)
        seen = {name for name, value in private.items() if whole(value).search(text) and value not in query}
        assert not seen, (persona, query, text)


PRIVATE = {
    "$network_id", "$subnet_id", "$port_id", "$nic_id", "$security_group_id", "$server_id", "$router_id", "$image_id",
    "$group_id_of_servers", "$floating_address", "$application_credential_id",
}  # fmt: skip
CREATES = [
    (service, route, body)
    for service, route in ROUTES
    if route.method == "POST" and "{" not in route.path and service in ("compute", "network")
    for body in bodies.bodies_of(service, route)
    if any(f"'{name}'" in repr(body) for name in PRIVATE) or f"'{MARK}'" in repr(body)
]


@pytest.mark.parametrize(("service", "route", "body"), CREATES)
def test_nothing_is_made_of_a_strangers_things(world, service, route, body):
    answer = ask(world, service, route, "other", bodies.filled(body, world.ids))
    assert 400 <= answer.status < 500, answer.text
    assert not world.differences()


class Bob:
    """Bob's own network, router, port, group, address and server; `tries` is what he'd like to have of Ann's."""

    def __init__(self, world):
        self.world = world
        self.network = self.make("networks", "network")
        self.subnet = self.make("subnets", "subnet", network_id=self.network, cidr="10.0.0.0/24", ip_version=4)
        self.port = self.make("ports", "port", network_id=self.network)
        self.router = self.make("routers", "router")
        self.group = self.make("security-groups", "security_group", name="own")
        self.address = self.make("floatingips", "floatingip", floating_network_id=world.ids["public"])
        server = {"name": "s", "flavorRef": "1", "imageRef": world.ids["public_image_id"],
                  "networks": [{"port": self.port}]}  # fmt: skip
        self.server = world.ask("compute", "POST", "/v2.1/servers", {"server": server}, "other")["server"]["id"]

    def make(self, plural, kind, **values):
        return self.world.ask("network", "POST", f"/v2.0/{plural}", {kind: values}, "other")[kind]["id"]

    def tries(self):
        ids, mine, server = self.world.ids, f"/v2.0/ports/{self.port}", f"/v2.1/servers/{self.server}"
        rule = {"security_group_id": self.group, "direction": "ingress", "remote_group_id": ids["security_group_id"]}
        gateway = {"external_gateway_info": {"network_id": ids["network_id"]}}
        member = {"member": self.world.ids["beta"]}
        yield "network", "PUT", f"/v2.0/routers/{self.router}/add_router_interface", {"subnet_id": ids["subnet_id"]}
        yield "network", "PUT", f"/v2.0/routers/{self.router}/add_router_interface", {"port_id": ids["port_id"]}
        yield "network", "PUT", f"/v2.0/routers/{self.router}", {"router": gateway}
        yield "network", "PUT", f"/v2.0/floatingips/{self.address}", {"floatingip": {"port_id": ids["port_id"]}}
        yield "network", "PUT", mine, {"port": {"security_groups": [ids["security_group_id"]]}}
        yield "network", "PUT", mine, {"port": {"fixed_ips": [{"subnet_id": ids["subnet_id"]}]}}
        yield "network", "PUT", mine, {"port": {"tenant_id": ids["alpha"]}}
        yield "network", "POST", "/v2.0/security-group-rules", {"security_group_rule": rule}
        yield "network", "POST", "/v2.0/networks", {"network": {"name": "n", "tenant_id": ids["alpha"]}}
        yield "network", "POST", "/v2.0/networks", {"network": {"name": "n", "shared": True}}
        yield "network", "POST", "/v2.0/networks", {"network": {"name": "n", "router:external": True}}
        yield "compute", "POST", f"{server}/os-interface", {"interfaceAttachment": {"port_id": ids["port_id"]}}
        yield "compute", "POST", f"{server}/os-interface", {"interfaceAttachment": {"net_id": ids["network_id"]}}
        yield "compute", "DELETE", f"{server}/os-interface/{ids['nic_id']}", None
        yield "compute", "POST", f"{server}/action", {"rebuild": {"imageRef": ids["image_id"]}}
        yield "compute", "POST", f"{server}/action", {"addSecurityGroup": {"name": ids["security_group_id"]}}
        yield "compute", "POST", f"{server}/action", {"addFloatingIp": {"address": ids["floating_address"]}}
        yield "compute", "POST", f"/v2.1/{ids['alpha']}/servers", {"server": {"name": "s", "flavorRef": "1"}}
        yield "compute", "GET", f"/v2.1/{ids['alpha']}/servers", None
        yield "image", "POST", f"/v2/images/{ids['image_id']}/members", member
        yield "image", "POST", "/v2/images", {"name": "i", "owner": ids["alpha"]}
        yield "image", "POST", "/v2/images", {"name": "i", "visibility": "public"}
        yield "identity", "POST", "/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["token"], "token": {"id": self.world.tokens["other"]}},
            "scope": {"project": {"id": ids["alpha"]}}}}  # fmt: skip


def test_a_strangers_things_cannot_be_reached_from_ones_own(world):
    bob = Bob(world)
    before = world.differences()
    for service, method, path, body in bob.tries():
        answer = world.callers[service].request(method, path, world.tokens["other"], json_body=body)
        assert 400 <= answer.status < 500, (method, path, body, answer.status, answer.text)
        checks.check_error(service, answer)
        assert MARK not in answer.text
        assert world.differences() == before, (method, path, body)


def test_an_agent_sees_only_its_own_host(world):
    """A second host's token gets nothing of the first's: no work, no image, no metadata."""
    from onestack.compute import public

    with world.cloud.db.write() as session:
        public.register_host_token(session, world.cloud, "host2", "another")
    ids, caller, headers = world.ids, world.callers["agent"], {"Authorization": "Bearer another"}
    work = caller.request("GET", "/v1/work?after=0&wait=0", headers=headers)
    assert work.status == 200
    assert ids["server_id"] not in work.text
    for path in (f"/v1/images/{ids['public_image_id']}", f"/v1/servers/{ids['server_id']}/config-drive",
                 f"/v1/metadata/{ids['network_id']}/10.0.0.2/latest/meta-data"):  # fmt: skip
        answer = caller.request("GET", path, headers=headers)
        assert answer.status in (403, 404), (path, answer.status, answer.text)
        assert MARK not in answer.text


def test_the_metadata_port_trusts_no_headers(world):
    headers = {"X-Instance-ID": world.ids["server_id"], "X-Tenant-ID": world.ids["alpha"],
               "X-Instance-ID-Signature": "0" * 64}  # fmt: skip
    answer = world.callers["metadata"].request("GET", "/latest/meta-data", headers=headers)
    assert answer.status == 403
    assert MARK not in answer.text


def test_every_service_is_here():
    assert {service for service, _route in ROUTES} == {*SERVICES, *SECOND}
