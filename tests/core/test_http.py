"""The request pipeline: routing, dialect errors, tokens, policy, schemas, limits."""

from __future__ import annotations

import concurrent.futures

import falcon.testing
import msgspec
import pytest

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.dialect import Dialect
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response, Service
from onestack.core.routes import Route


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 1


def show(req: Request, thing_id: str) -> dict:
    if thing_id == "none":
        raise NotFound("Thing none could not be found.")
    if thing_id == "crash":
        raise ZeroDivisionError
    return {"thing": {"id": thing_id, "user": req.ctx.user_id}}


def create(req: Request) -> dict:
    return {"thing": {"name": req.body.name, "size": req.body.size}}


def forget(req: Request, thing_id: str) -> None:
    req.authorize({"project_id": "p2" if thing_id == "theirs" else "p1"})


def careless(req: Request) -> dict:
    return {"secret": 1}


async def upload(req: Request, thing_id: str) -> Response:
    size = 0
    async for chunk in req.stream:
        size += len(chunk)
    return Response({"size": size}, 201)


ROUTES = [
    Route("GET", "/", lambda req: {"versions": []}, public=True),
    Route("GET", "/things/{thing_id}", show, "things:show"),
    Route("POST", "/things", create, "things:create", Body, 201),
    Route("DELETE", "/things/{thing_id}", forget, "things:delete", status=204, target="object"),
    Route("GET", "/careless", careless, "things:delete", target="object"),
    Route("PUT", "/things/{thing_id}/file", upload, "things:show", stream=True),
]
POLICIES = {"things:show": "role:reader", "things:create": "role:member", "things:delete": "project_id:%(project_id)s"}


@pytest.fixture
def client(settings):
    cloud = Cloud(settings=settings, db=Database(settings.database_url))
    people = {
        "reader": Context(user_id="u1", project_id="p1", roles=["reader"]),
        "member": Context(user_id="u2", project_id="p1", roles=["member", "reader"]),
    }
    cloud.authenticate = people.get
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield falcon.testing.TestClient(Service(cloud, "things", Dialect(), ROUTES, POLICIES).app(pool))


def call(client, method, path, token=None, **more):
    return client.simulate_request(method, path, headers={"X-Auth-Token": token} if token else {}, **more)


def test_public_route_needs_no_token(client):
    assert call(client, "GET", "/").json == {"versions": []}


def test_a_route_without_token_is_401_with_the_place_to_get_one(client):
    answer = call(client, "GET", "/things/1")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:5000"'
    assert answer.json["error"]["title"] == "Unauthorized"
    assert call(client, "GET", "/things/1", "wrong").status_code == 401


def test_every_answer_has_a_request_id(client):
    for path in ("/", "/things/1", "/nowhere"):
        assert call(client, "GET", path).headers["x-openstack-request-id"].startswith("req-")


def test_policy_decides(client):
    assert call(client, "GET", "/things/1", "reader").json == {"thing": {"id": "1", "user": "u1"}}
    assert call(client, "POST", "/things", "reader", json={"name": "a"}).status_code == 403
    assert call(client, "POST", "/things", "member", json={"name": "a"}).status_code == 201


def test_policy_on_the_object(client):
    assert call(client, "DELETE", "/things/mine", "reader").status_code == 204
    assert call(client, "DELETE", "/things/theirs", "reader").status_code == 403


def test_a_handler_that_forgets_to_authorize_answers_nothing(client):
    answer = call(client, "GET", "/careless", "reader")
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", "{}", '{"name": 1}', '{"name": "a", "no": 1}', '{"name": "a", "size": "x"}',
     '{"name": "a", "size": 99999999999999999999999}', '{"name": "a\\u0000"}', '{"name": "\\ud800"}',
     "[" * 100000],
)  # fmt: skip
def test_bad_bodies_are_400(client, body):
    assert call(client, "POST", "/things", "member", body=body).status_code == 400


def test_lenient_numbers(client):
    answer = call(client, "POST", "/things", "member", json={"name": "a", "size": "7"})
    assert answer.json["thing"]["size"] == 7


def test_oversize_body_is_413(client):
    assert call(client, "POST", "/things", "member", body=b" " * (2 << 20)).status_code == 413


def test_unknown_path_and_method(client):
    assert call(client, "GET", "/nowhere", "reader").status_code == 404
    answer = call(client, "PATCH", "/things", "reader")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


def test_fault_and_crash(client):
    assert call(client, "GET", "/things/none", "reader").json["error"]["message"] == "Thing none could not be found."
    crash = call(client, "GET", "/things/crash", "reader")
    assert crash.status_code == 500
    assert "ZeroDivision" not in crash.text


def test_streams(client):
    assert call(client, "PUT", "/things/1/file", "reader", body=b"x" * 100000).json == {"size": 100000}
    assert call(client, "PUT", "/things/1/file").status_code == 401
