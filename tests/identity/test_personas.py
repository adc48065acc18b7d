"""Which persona may use which route around the catalog: the rules' defaults and scopes, one by one."""

from __future__ import annotations

import pytest

from onestack.identity import policies_catalog
from onestack.identity.routes import ROUTES
from tests.identity import personas

_ADMINS = {"system_admin", "project_admin"}
_READERS = _ADMINS | {"system_manager", "system_member", "system_reader"}
_EVERYBODY = {f"{scope}_{role}" for scope in personas.SCOPES for role in personas.ROLES}
_READS = ("get", "list", "check")
_CATALOG = {"region", "regions", "service", "services", "endpoint", "endpoints"}
_OPEN = {"identity:get_region", "identity:list_regions"} | set(policies_catalog.DOMAIN_POLICIES)


def allowed(rule: str) -> set[str]:
    if rule in _OPEN:
        return _EVERYBODY
    return _READERS if rule.removeprefix("identity:").startswith(_READS) else _ADMINS


def covered(rule: str | None) -> bool:
    if rule is None or rule == "identity:get_limit":
        return False  # the latter is about whose limit it is: test_limits
    known = rule in policies_catalog.POLICIES or rule in policies_catalog.DOMAIN_POLICIES
    return known or rule.removeprefix("identity:").partition("_")[2] in _CATALOG


def test_each_route_is_for_whom_its_rule_says(keystone):
    found = personas.make(keystone)
    routes = [route for route in ROUTES if covered(route.policy)]
    assert len({route.policy for route in routes}) > 55
    for route in routes:
        path = route.path
        for name in ("endpoint_id", "service_id", "region_id", "policy_id", "limit_id", "registered_limit_id",
                     "endpoint_group_id", "project_id", "domain_id", "group", "option"):  # fmt: skip
            path = path.replace(f"{{{name}}}", "none")
        more = {"json": {}} if route.body is not None else {}
        refused = {
            name
            for name, token in found.tokens.items()
            if _refused(keystone.client.request(route.method, path, as_=token, **more), route.policy)
        }
        assert _EVERYBODY - refused == allowed(route.policy), (route.method, route.path, route.policy)


def _refused(answer, rule) -> bool:
    assert answer.status_code < 500
    words = f"You are not authorized to perform the requested action: {rule}."
    return answer.status_code == 403 and answer.json["error"]["message"] == words


def test_password_rules_are_for_every_scope(keystone):
    found = personas.make(keystone)
    path = "/v3/domains/default/config/security_compliance"
    for name, token in found.tokens.items():
        assert keystone.client.get(path, as_=token).status_code == 200, name


@pytest.mark.parametrize("token", [None, "garbage"])
def test_nobody_without_a_token(keystone, token):
    for route in ROUTES:
        if covered(route.policy):
            path = route.path.replace("{", "").replace("}", "")
            answer = keystone.client.request(route.method, path, as_=token)
            assert answer.status_code == 401, route.path
