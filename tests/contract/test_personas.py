"""Every route of Identity and Image, asked by everybody: let in or refused as the declared policy says.

The tokens are real ones, and oslo.policy itself decides what is to be expected (declared.py). Whoever is refused has
changed nothing.
"""

from __future__ import annotations

import pytest

from tests import postgresql
from tests.conftest import new_database
from tests.contract import bodies, checks, declared
from tests.contract.personas import Crowd
from tests.contract.world import all_routes, service_of

ROUTES = [
    (service, route)
    for service, route in all_routes("identity", "identity-admin", "image", "image-registry")
    if not route.public
]
RULED = [(service, route) for service, route in ROUTES if route.policy is not None]

ABSENT = "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"
# Who is let in by the rules and refused all the same: (what the token came by, part of the path, words that say why).
_DIRECTLY = "Delegated tokens cannot access credentials directly"  # LP 2159643
_NO_TRUSTS = "Delegated tokens cannot manage trusts"
_FOR_PROGRAMS = "Using method 'application_credential' is not allowed for managing additional application credentials"
_NOT_AUTHORIZED = "You are not authorized"
BY = [
    ("trust", "/application_credentials", _NOT_AUTHORIZED), ("trust", "/access_rules", _NOT_AUTHORIZED),
    ("trust", "/OS-TRUST/trusts", _NOT_AUTHORIZED),
    *((by, path, _DIRECTLY) for by in ("trust", "restricted", "unrestricted")
      for path in ("/v3/credentials", "/credentials/OS-EC2")),
    ("restricted", "/application_credentials", _FOR_PROGRAMS),
    ("restricted", "/OS-TRUST/trusts", _NO_TRUSTS), ("unrestricted", "/OS-TRUST/trusts", _NO_TRUSTS),
]  # fmt: skip
# … and whoever asks: (method, path, words).
ALSO_REFUSED = [
    ("DELETE", "/v3/domains/{domain_id}", "Cannot delete a domain that is enabled"),
    ("GET", "/v3/auth/catalog", _NOT_AUTHORIZED),  # a catalog is a project's
    ("POST", "/v3/users/{user_id}/application_credentials", "a token for the project that it is for"),
    ("DELETE", "/v3/users/{user_id}/access_rules/{access_rule_id}", "May not delete access rule in use"),
    ("DELETE", "/v2/stores/{store_id}/{image_id}", "the only store containing it"),
]


@pytest.fixture(scope="module")
def built_crowd(tmp_path_factory):
    directory = tmp_path_factory.mktemp("crowd")
    with new_database(directory) as url:
        crowd = Crowd(directory, url if postgresql.wanted() else "")
        yield crowd
        crowd.close()


@pytest.fixture
def crowd(built_crowd):
    built_crowd.restore()
    return built_crowd


def every(routes):
    return pytest.mark.parametrize(("service", "route"), routes, ids=[f"{s}-{r.method}-{r.path}" for s, r in routes])


def ask(crowd, service, route, token, body="good", ids=None):
    path = bodies.path_of(service, route, {**crowd.ids, **(ids or {})})
    headers = {}
    if body == "good":
        body = declared.good_body(service, route, crowd)
    if route.path == "/v3/auth/tokens":
        headers["X-Subject-Token"] = crowd.personas["owner"].token
    if service_of(service) == "image" and route.method in ("PATCH", "PUT"):
        patch = "application/openstack-images-v2.1-json-patch"
        kind = "application/octet-stream" if route.stream else "application/json"
        headers["Content-Type"] = patch if route.method == "PATCH" else kind
    answer = crowd.callers[service].request(route.method, path, token, json_body=body, headers=headers)
    checks.check_answer(service, route.method, answer)
    return answer


def test_tokens_say_what_was_declared(crowd):
    for name, persona in crowd.personas.items():
        context = crowd.cloud.authenticate(persona.token) if persona.token else None
        if persona.credentials is None:
            assert context is None, name
            continue
        told = context.credentials()
        told["roles"] = sorted(told["roles"])
        wanted = persona.credentials | {"roles": sorted(persona.credentials["roles"])}
        assert {key: told[key] for key in wanted} == wanted, name
        assert context.is_admin == ("admin" in wanted["roles"])


# What the access rules of `app-ruled` are for, and what every token is good for.
WITHIN_RULES = [("GET", "/v2/images"), ("GET", "/v3/auth/tokens")]


@every(ROUTES)
def test_no_valid_token(crowd, service, route):
    outside = (route.method, route.path) not in WITHIN_RULES
    for name, persona in crowd.personas.items():
        if persona.credentials is None or (persona.by == "ruled" and outside):
            answer = ask(crowd, service, route, persona.token)
            assert answer.status == 401, (name, answer.status, answer.text)
            assert answer.headers["www-authenticate"].startswith("Keystone uri=")
            assert not crowd.touched(), name


def check(crowd, service, route, role=None):
    """Asks as everybody. `role`: what is given or taken, the cloud's own role when none is named."""
    wrong, ids = [], {"role_id": crowd.roles[role]} if role else {}
    for name, persona in crowd.personas.items():
        if persona.credentials is None or (persona.by == "ruled" and (route.method, route.path) not in WITHIN_RULES):
            continue
        allowed = declared.allows(crowd, service, route, persona, role)
        answer = ask(crowd, service, route, persona.token, ids=ids)
        problem = judged(crowd, service, route, persona, allowed, answer)
        if (not allowed or answer.status in (401, 403, 404)) and crowd.differences():
            problem = f"refused, and changed {crowd.differences()}"
        if problem:
            wrong.append(f"{name}: {problem}: {answer.status} {answer.text[:200]}")
        crowd.restore()
    assert not wrong, "\n".join(wrong)


@every(RULED)
def test_the_declared_policy(crowd, service, route):
    check(crowd, service, route)


@every([(s, r) for s, r in RULED if "{actor_id}" in r.path and r.method in ("PUT", "DELETE")])
def test_roles_that_managers_of_domains_may_give(crowd, service, route):
    check(crowd, service, route, "member")


def judged(crowd, service, route, persona, allowed, answer):
    """What is wrong with an answer; None when nothing is."""
    if service_of(service) == "image" and "{image_id}" in route.path and not declared.sees(crowd, persona):
        # Another tenant's image isn't known to exist; that the rules don't let one in at all may be said.
        fine = answer.status in ((404,) if allowed else (403, 404))
        return None if fine else "a stranger must not learn of the image"
    if not allowed:
        hidden = 404 if service_of(service) == "image" else 403
        return None if answer.status in (403, hidden) else "must be refused"
    if answer.status not in (401, 403):
        return None
    reasons = [words for by, part, words in BY if by == persona.by and part in route.path]
    reasons += [words for method, path, words in ALSO_REFUSED if (method, path) == (route.method, route.path)]
    return None if any(words in answer.text for words in reasons) else "must be let in"


@every([(s, r) for s, r in RULED if "{image_id}" in r.path or "{namespace}" in r.path])
def test_a_strangers_thing_is_like_one_that_is_not_there(crowd, service, route):
    absent = {"image_id": ABSENT, "namespace": ABSENT}
    for name in ("far-project-manager", "far-project-member", "far-project-reader"):
        token, found = crowd.personas[name].token, []
        for ids in ({}, absent):
            answer = ask(crowd, service, route, token, ids=ids)
            there = crowd.ids | ids
            text = answer.text.replace(there["image_id"], "ID").replace(there["namespace"], "ID")
            found.append((answer.status, text))
        assert found[0] == found[1], name


NOWHERE = [
    ("/v3/users", {"user": {"name": "u", "domain_id": None}}),
    ("/v3/groups", {"group": {"name": "g", "domain_id": None}}),
    ("/v3/projects", {"project": {"name": "p", "domain_id": None}}),
    ("/v3/users", {"user": {"name": "u"}}),
    ("/v3/groups", {"group": {"name": "g"}}),
    ("/v3/projects", {"project": {"name": "p"}}),
    ("/v3/projects", {"project": {"name": "p", "is_domain": True}}),
    ("/v3/projects", {"project": {"name": "p", "domain_id": "$far", "parent_id": "$alpha"}}),
    ("/v3/projects", {"project": {"name": "p", "domain_id": None, "parent_id": "$alpha"}}),
]


@pytest.mark.parametrize(("path", "body"), NOWHERE, ids=[f"{path} {body}" for path, body in NOWHERE])
def test_nothing_is_made_in_a_domain_that_ones_token_is_not_for(crowd, path, body):
    """A token without a domain doesn't match something without a domain."""
    for name in (
        "own-project-manager",
        "far-project-manager",
        "system-manager",
        "far-domain-manager",
        "owner",
        "nobody",
    ):
        answer = crowd.callers["identity"].request(
            "POST", path, crowd.personas[name].token, json_body=bodies.filled(body, crowd.ids)
        )
        assert 400 <= answer.status < 500, (name, answer.text)
        assert not crowd.differences()
