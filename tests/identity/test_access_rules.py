"""Application credentials with access rules: making them, what their tokens may do in every service, what ends them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from onestack.compute import service as compute
from onestack.identity import public, service
from onestack.identity.models_access import AccessRule
from tests.conftest import Client
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, Keystone

SERVERS = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
MINE = {"service": "identity", "method": "GET", "path": "/v3/users/*/application_credentials"}


class Demo:
    """What the user demo does with application credentials."""

    def __init__(self, keystone: Keystone) -> None:
        self.keystone = keystone
        self.id = keystone.find("users", "demo")
        self.path = f"/v3/users/{self.id}/application_credentials"
        self.rules = f"/v3/users/{self.id}/access_rules"

    def post(self, as_: str = "", **values):
        body = {"application_credential": {"name": "app"} | values}
        return self.keystone.client.post(self.path, as_=as_ or self.keystone.demo, json=body)

    def make(self, **values):
        answer = self.post(**values)
        assert answer.status_code == 201, answer.text
        return answer.json["application_credential"]

    def login(self, credential):
        data = {"id": credential["id"], "secret": credential["secret"]}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": data}}
        return self.keystone.client.post("/v3/auth/tokens", as_=None, json={"auth": auth})

    def token(self, credential):
        return self.login(credential).headers["x-subject-token"]

    def listed(self, query=""):
        return self.keystone.client.get(f"{self.rules}{query}", as_=self.keystone.demo).json["access_rules"]


@pytest.fixture
def demo(keystone):
    return Demo(keystone)


def system_token(keystone):
    return keystone.token("admin", ADMIN_PASSWORD, {"system": {"all": True}})


def test_rules_are_shown_with_the_credential_and_by_themselves(demo):
    made = demo.make(access_rules=[SERVERS])
    (rule,) = made["access_rules"]
    assert rule == SERVERS | {"id": rule["id"]}
    shown = demo.keystone.client.get(f"{demo.path}/{made['id']}", as_=demo.keystone.demo).json["application_credential"]
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    (listed,) = demo.listed()
    assert listed["links"]["self"].endswith(f"{demo.rules}/{rule['id']}")
    assert {key: value for key, value in listed.items() if key != "links"} == rule
    one = demo.keystone.client.get(f"{demo.rules}/{rule['id']}", as_=demo.keystone.demo)
    assert one.json == {"access_rule": listed}
    assert demo.listed("?service=compute&method=GET&path=/v2.1/servers") == [listed]
    assert demo.listed("?service=network") == []
    assert "access_rules" not in demo.make(name="free")
    assert "access_rules" not in demo.make(name="empty", access_rules=[])


def test_the_same_rule_is_one_however_it_is_named(demo):
    first = demo.make(access_rules=[SERVERS])["access_rules"]
    assert demo.make(name="same", access_rules=[SERVERS, MINE, SERVERS])["access_rules"][0] == first[0]
    assert demo.make(name="by id", access_rules=[{"id": first[0]["id"]}])["access_rules"] == first
    assert len(demo.listed()) == 2


@pytest.mark.parametrize(
    "rules",
    [
        5, [5], [{}], [SERVERS | {"method": "TRACE"}], [SERVERS | {"path": "v2.1"}], [SERVERS | {"path": "/" * 226}],
        [SERVERS | {"service": "a b"}], [{"service": "compute", "method": "GET"}], [{"id": "none"}], [{"id": 5}],
    ],
)  # fmt: skip
def test_odd_rules_are_refused(demo, rules):
    assert demo.post(access_rules=rules).status_code == 400
    assert demo.listed() == []


def test_a_rule_of_somebody_else_is_not_found(demo):
    keystone = demo.keystone
    (theirs,) = demo.make(access_rules=[SERVERS])["access_rules"]
    admin = keystone.find("users", "admin")
    body = {"application_credential": {"name": "a", "access_rules": [{"id": theirs["id"]}]}}
    path = f"/v3/users/{admin}"
    answer = keystone.client.post(f"{path}/application_credentials", as_=keystone.admin, json=body)
    assert answer.status_code == 400
    assert "Could not find Access Rule" in answer.json["error"]["message"]
    assert keystone.client.get(f"{path}/access_rules/{theirs['id']}", as_=keystone.admin).status_code == 404
    # An admin of a project isn't one of the system.
    assert keystone.client.get(demo.rules, as_=keystone.admin).status_code == 403
    system = system_token(keystone)
    assert len(keystone.client.get(demo.rules, as_=system).json["access_rules"]) == 1
    assert keystone.client.get(f"{demo.rules}/none", as_=system).status_code == 404


def test_a_rule_in_use_stays(demo):
    keystone = demo.keystone
    made = demo.make(access_rules=[SERVERS])
    path = f"{demo.rules}/{made['access_rules'][0]['id']}"
    answer = keystone.client.delete(path, as_=keystone.demo)
    assert answer.status_code == 403
    assert answer.json["error"]["message"] == "May not delete access rule in use"
    assert keystone.client.delete(f"{demo.path}/{made['id']}", as_=keystone.demo).status_code == 204
    assert len(demo.listed()) == 1
    assert keystone.client.delete(path, as_=keystone.demo).status_code == 204
    assert keystone.client.delete(path, as_=keystone.demo).status_code == 404


def test_what_a_token_says_about_its_rules(demo):
    client = demo.keystone.client
    answer = demo.login(demo.make(access_rules=[SERVERS]))
    token = answer.headers["x-subject-token"]
    assert answer.json["token"]["application_credential"]["access_rules"][0].items() >= SERVERS.items()
    subject = {"X-Subject-Token": token}
    for version, status in ((None, 404), ("0.9", 404), ("odd", 404), ("1.0", 200)):
        headers = subject | ({"OpenStack-Identity-Access-Rules": version} if version else {})
        shown = client.get("/v3/auth/tokens", as_=demo.keystone.admin, headers=headers)
        assert shown.status_code == status
    assert "access_rules" in shown.json["token"]["application_credential"]
    # The only thing that needs no rule.
    assert client.get("/v3/auth/tokens", as_=token, headers=headers).status_code == 200
    assert client.delete("/v3/auth/tokens", as_=token, headers=headers).status_code == 401


def test_a_token_is_good_for_what_its_rules_allow_in_every_service(cloud, client_of):
    services = service.build(cloud) | compute.build(cloud)
    cloud.db.create_all()
    public.bootstrap(cloud, admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD)
    keystone = Keystone(client_of(services["identity"]), cloud)
    keystone.admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    keystone.demo = keystone.token("demo", DEMO_PASSWORD, keystone.on("demo"))
    nova: Client = client_of(services["compute"])
    demo = Demo(keystone)
    token = demo.token(demo.make(access_rules=[SERVERS, MINE]))
    project = keystone.find("projects", "demo")
    for path, status in (
        ("/v2.1/servers", 200), (f"/v2.1/{project}/servers", 200), ("/v2.1/servers/detail", 401), ("/v2.1/flavors", 401)
    ):  # fmt: skip
        assert nova.get(path, as_=token).status_code == status, path
        assert nova.get(path, as_=keystone.demo).status_code == 200
    assert nova.post("/v2.1/servers", as_=token, json={}).status_code == 401
    assert keystone.client.get(demo.path, as_=token).status_code == 200
    assert keystone.client.get(f"/v3/users/{demo.id}", as_=token).status_code == 401


def test_unrestricted_ones_make_more(demo):
    keystone = demo.keystone
    restricted, free = demo.make(name="one"), demo.make(name="two", unrestricted=True)
    assert demo.post(demo.token(restricted), name="three").status_code == 403
    gone = f"{demo.path}/{restricted['id']}"
    assert keystone.client.delete(gone, as_=demo.token(restricted)).status_code == 403
    assert keystone.client.get(gone, as_=demo.token(restricted)).status_code == 200
    assert demo.post(demo.token(free), name="three").status_code == 201
    assert keystone.client.delete(gone, as_=demo.token(free)).status_code == 204


def test_roles_come_with_what_they_imply(demo):
    keystone = demo.keystone
    assert [role["name"] for role in demo.make(roles=[{"name": "member"}])["roles"]] == ["member", "reader"]
    assert len(demo.make(name="all")["roles"]) == 2
    extra = keystone.make("role", name="extra")["id"]
    for wanted, status in (
        ([{"id": extra}], 400), ([{"id": "none"}], 400), ([{"name": "admin"}], 400), ([{"name": "none"}], 404),
        ([{"id": extra, "name": "extra"}], 400), ([{}], 400), ([5], 400),
    ):  # fmt: skip
        assert demo.post(name="bad", roles=wanted).status_code == status, wanted
    # The token of one that has less gives no more than it has.
    less = demo.token(demo.make(name="less", roles=[{"name": "reader"}], unrestricted=True))
    assert demo.post(less, name="more", roles=[{"name": "member"}]).status_code == 400


def test_expiry(demo):
    for text in ("soon", "2025-01-01T00:00:00", 5):
        assert demo.post(expires_at=text).status_code == 400
    made = demo.make(expires_at="2026-01-01T12:30:00.586958Z", secret="my own")
    assert (made["expires_at"], made["secret"]) == ("2026-01-01T12:30:00.586958", "my own")
    answer = demo.login(made)
    assert answer.json["token"]["expires_at"] == "2026-01-01T12:30:00.000000Z"
    demo.keystone.cloud.clock.advance(1801)
    assert demo.login(made).status_code == 401
    assert demo.keystone.cloud.authenticate_late(answer.headers["x-subject-token"]) is None


def test_attributes_of_ones_own_are_refused(demo):
    answer = demo.post(colour="red")
    assert answer.status_code == 400
    assert "'colour' was unexpected" in answer.json["error"]["message"]
    assert demo.post(project_id="elsewhere").json["application_credential"]["project_id"] != "elsewhere"


def disable_user(keystone, user_id):
    keystone.client.patch(f"/v3/users/{user_id}", as_=keystone.admin, json={"user": {"enabled": False}})
    keystone.client.patch(f"/v3/users/{user_id}", as_=keystone.admin, json={"user": {"enabled": True}})


def delete_user(keystone, user_id):
    assert keystone.client.delete(f"/v3/users/{user_id}", as_=keystone.admin).status_code == 204


def delete_role(keystone, user_id):
    member = keystone.find("roles", "member")
    keystone.client.patch(f"/v3/roles/{member}", as_=keystone.admin, json={"role": {"options": {"immutable": False}}})
    assert keystone.client.delete(f"/v3/roles/{member}", as_=keystone.admin).status_code == 204


def take_role(keystone, user_id):
    project, role = keystone.find("projects", "demo"), keystone.find("roles", "member")
    path = f"/v3/projects/{project}/users/{user_id}/roles/{role}"
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204


def delete_project(keystone, user_id):
    path = f"/v3/projects/{keystone.find('projects', 'demo')}"
    assert keystone.client.delete(path, as_=keystone.admin).status_code == 204


@pytest.mark.parametrize(
    ("act", "rules_left"),
    [(disable_user, 0), (delete_user, 0), (delete_role, 1), (take_role, 1), (delete_project, 1)],
)
def test_what_ends_a_credential(demo, act, rules_left):
    keystone = demo.keystone
    made = demo.make(access_rules=[SERVERS])
    token = demo.token(made)
    act(keystone, demo.id)
    assert demo.login(made).status_code == 404
    assert keystone.cloud.authenticate(token) is None
    gone = keystone.client.get(f"{demo.path}/{made['id']}", as_=system_token(keystone))
    assert gone.status_code == 404
    with keystone.cloud.db.read() as session:
        assert len(session.scalars(sa.select(AccessRule)).all()) == rules_left
