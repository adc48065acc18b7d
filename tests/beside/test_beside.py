"""The comparison itself: what is sent, and what counts as a difference."""

from __future__ import annotations

import collections
import json
from typing import Any

import pytest

from tests.beside import differences, meant, queries, variants
from tests.beside.cloud import Answer, Cloud
from tests.beside.things import THINGS
from tests.contract.world import all_routes


def cloud(name: str, **ids: str) -> Cloud:
    return Cloud(name, {}, ids)


def answer(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status, {"content-type": "application/json", **headers}, json.dumps(body).encode())


@pytest.mark.parametrize("service", sorted(THINGS))
def test_every_route_is_asked_by_everybody(service):
    routes = [route for _, route in all_routes(service) if route.path.startswith(queries.PREFIX[service])]
    asked = collections.defaultdict(set)
    for sent in variants.of_routes(service, routes):
        assert sent.what
        asked[sent.route].add(sent.persona)
        sent.path.encode("ascii")
    for route in routes:
        assert asked[f"{route.method} {route.path}"] >= set(variants.PERSONAS), route.path


def test_each_cloud_is_named_in_its_own_words():
    ours, theirs = cloud("a", project_id="1" * 32), cloud("b", project_id="2" * 32)
    one = {"id": "1" * 32, "name": "beside-17", "at": "2026-01-31T12:00:00Z", "self": "http://a:5000/v3/projects/1"}
    two = {
        "id": "2" * 32,
        "name": "beside-99",
        "at": "2026-02-01T00:00:00.5Z",
        "self": "http://b/identity/v3/projects/1",
    }
    seen = differences.seen(answer(200, one), ours), differences.seen(answer(200, two), theirs)
    assert differences.different(*seen) == {}
    assert seen[0]["body"] == {"id": "$project_id", "name": "<name>", "at": "<time>", "self": "<root>/v3/projects/1"}


@pytest.mark.parametrize(("ours", "theirs", "where"), [
    (answer(200, {"a": 1}), answer(200, {"a": 2}), {"body"}), (answer(200, {}), answer(201, {"a": 1}), {"status"}),
    (answer(200, {}, vary="x"), answer(200, {}), {"vary"}),
    (answer(200, {"l": [{"a": 1}, {"b": 2}]}), answer(200, {"l": [{"a": 3, "b": 4}]}), set()),
    (answer(200, {"l": [{"a": 1}]}), answer(200, {"l": [{"a": 3, "b": 4}]}), {"body"}),
    (answer(405, {}, allow="GET, PUT"), answer(405, {}, allow="PUT,GET"), set()),
])  # fmt: skip
def test_what_counts(ours, theirs, where):
    found = differences.different(differences.seen(ours, cloud("a")), differences.seen(theirs, cloud("b")))
    assert found.keys() == where


def error(words: str) -> dict[str, Any]:
    return {"status": 400, "body": {"error": {"code": 400, "message": words}}}


@pytest.mark.parametrize(("ours", "theirs", "reason"), [
    (error("x is wrong"), error("x is wrong\n\nFailed validating 'type'"), "repeats its schema"),
    (error("Value: ***. *** is wrong"), error("Value: secret. 'secret' is wrong"), "secrets"),
    (error("x is wrong"), error("y is wrong"), ""), (error("x"), {"status": 500}, "breaks"),
    (error("x is wrong"), {"status": 404, "body": {"error": {"message": "x is wrong\n"}}}, ""),
])  # fmt: skip
def test_what_is_meant(ours, theirs, reason):
    found = meant.why(ours, theirs)
    assert (reason in found) if reason else not found
