"""Patterns of access rules, and how the pipeline uses them and service tokens."""

from __future__ import annotations

import concurrent.futures
import re

import falcon.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack import config
from onestack.core.access_rules import AccessRules, Pattern
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.dialect import Dialect
from onestack.core.http import Service
from onestack.core.routes import Route


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v2.1/servers", "/v2.1/servers", True),
        ("/v2.1/servers", "/v2.1/servers/1", False),
        ("/v2.1/servers", "/v2x1/servers", False),
        ("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", True),
        ("/v2.1/servers/*/ips", "/v2.1/servers/1/2/ips", False),
        ("/v2.1/servers/*/ips", "/v2.1/servers//ips", False),
        ("/v2.1/servers/{server_id}/ips", "/v2.1/servers/1/ips", True),
        ("/v2.1/servers/{server_id}/ips", "/v2.1/servers/1/2/ips", False),
        ("/v2.1/**", "/v2.1/", True),
        ("/v2.1/**", "/v2.1/servers/1/ips", True),
        ("/v2.1/**", "/v2.1", False),
        ("/**/ips", "/v2.1/servers/1/ips", True),
        ("/***", "/", False),
        ("/***", "/a/b", True),
        ("/a{b", "/a{b", True),
        ("/a.c", "/abc", False),
        ("/(a|b)+", "/a", False),
    ],
)
def test_patterns(pattern, path, fits):
    assert Pattern(pattern).matches(path) is fits


@given(st.text("a/*{}.", max_size=8), st.text("ab/.", max_size=8))
def test_patterns_fit_as_the_same_regular_expression_would(pattern, path):
    parts = {"rest": ".*", "part": "[^/]+"}
    text = "".join(
        parts.get(step.lastgroup) or re.escape(step[0])
        for step in re.finditer(r"(?P<rest>\*\*)|(?P<part>\*|\{[^}]*\})|(?P<one>.)", pattern)
    )
    assert Pattern(pattern).matches(path) is (re.fullmatch(text, path) is not None)


def test_a_hostile_pattern_is_read_in_one_pass():
    assert Pattern("/" + "**a" * 70).matches("/" + "a" * 4000 + "b") is False


RULES = AccessRules([("things", "GET", "/things/{id}"), ("other", "POST", "/things")])
ROUTES = [
    Route("GET", "/", lambda req: {"who": req.ctx_or_none and req.ctx.user_id}, public=True),
    Route("GET", "/things/{thing_id}", lambda req, thing_id: {"by": req.ctx.credentials().get("service_roles")}, "see"),
    Route("POST", "/things", lambda req: {}, "see"),
    Route("GET", "/serviced", lambda req: {}, "serviced"),
]  # fmt: skip
POLICIES = {"see": "role:reader", "serviced": "service_roles:service"}
PEOPLE = {
    "reader": Context(user_id="u1", project_id="p1", roles=["reader"]),
    "program": Context(user_id="u2", project_id="p1", roles=["reader"], access_rules=RULES),
    "service": Context(user_id="u3", project_id="p2", roles=["service"]),
}
LATE = PEOPLE | {"expired": Context(user_id="u4", project_id="p1", roles=["reader"])}


@pytest.fixture
def ask(tmp_path):
    cloud = Cloud(settings=config.load(str(tmp_path)), db=Database(f"sqlite:///{tmp_path}/t.sqlite"))
    cloud.authenticate, cloud.authenticate_late = PEOPLE.get, LATE.get
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        service = Service(
            cloud, "things", Dialect(), ROUTES, POLICIES, rewrite=lambda path: path.removeprefix("/project")
        )  # fmt: skip
        client = falcon.testing.TestClient(service.app(pool))

        def ask(method, path, token, service=None):
            headers = {"X-Auth-Token": token} | ({"X-Service-Token": service} if service is not None else {})
            return client.simulate_request(method, path, headers=headers)

        yield ask


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/things/1", 200), ("GET", "/things/1/", 200), ("GET", "/project/things/1", 200),
        ("HEAD", "/things/1", 401), ("POST", "/things", 401), ("GET", "/serviced", 401),
    ],
)  # fmt: skip
def test_a_token_with_rules_does_what_they_allow(ask, method, path, status):
    answer = ask(method, path, "program")
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Keystone uri=")


def test_where_no_token_is_needed_one_that_does_not_fit_is_none(ask):
    assert ask("GET", "/", "program").json == {"who": None}
    assert ask("GET", "/", "reader").json == {"who": "u1"}


def test_a_service_may_finish_what_a_user_began(ask):
    assert ask("GET", "/things/1", "expired").status_code == 401
    assert ask("GET", "/things/1", "expired", "service").json == {"by": ["service"]}
    assert ask("GET", "/things/1", "expired", "reader").status_code == 401
    assert ask("POST", "/things", "program", "service").status_code == 200
    assert ask("POST", "/things", "program", "reader").status_code == 401


@pytest.mark.parametrize("service", ["nobody", "reader", "program", "expired"])
def test_a_service_token_must_be_one_of_a_service(ask, service):
    assert ask("GET", "/things/1", "reader", service).status_code == 401


def test_policy_sees_the_service(ask):
    assert ask("GET", "/serviced", "reader").status_code == 403
    assert ask("GET", "/serviced", "reader", "service").status_code == 200
