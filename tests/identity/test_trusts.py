"""Trusts: who may make them, what a token of one may do, how they are handed on and what ends them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import falcon.testing
import pytest

from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, Keystone

TRUSTS = "/v3/OS-TRUST/trusts"
TIME = "2026-06-01T00:00:00.000000Z"


@dataclass
class Delegation:
    """demo, who trusts; ann, ben and cat, who are trusted."""

    keystone: Keystone
    demo: str
    project: str
    users: dict[str, str]

    def body(self, trustee: str = "ann", **values: Any) -> dict[str, Any]:
        trust = {
            "trustor_user_id": self.demo, "trustee_user_id": self.users[trustee], "project_id": self.project,
            "impersonation": False, "roles": [{"name": "member"}],
        } | values  # fmt: skip
        return {"trust": {name: value for name, value in trust.items() if value is not ...}}

    def create(self, trustee: str = "ann", as_: str | None = None, **values: Any) -> Any:
        sent = self.body(trustee, **values)
        return self.keystone.client.post(TRUSTS, as_=as_ or self.keystone.demo, json=sent)

    def make(self, trustee: str = "ann", as_: str | None = None, **values: Any) -> dict[str, Any]:
        answer = self.create(trustee, as_, **values)
        assert answer.status_code == 201, answer.text
        return answer.json["trust"]

    def login(self, trust: dict[str, Any], user: str = "ann") -> Any:
        return self.keystone.login(user, user, {"OS-TRUST:trust": {"id": trust["id"]}})

    async def logins(self, trust: dict[str, Any], count: int) -> list[Any]:
        """As many at once."""
        user = {"name": "ann", "password": "ann", "domain": {"id": "default"}}
        body = self.keystone.body(user, {"OS-TRUST:trust": {"id": trust["id"]}})
        async with falcon.testing.ASGIConductor(self.keystone.client.app) as conductor:
            asked = [conductor.simulate_post("/v3/auth/tokens", json=body) for _ in range(count)]
            return list(await asyncio.gather(*asked))

    def token(self, trust: dict[str, Any], user: str = "ann") -> str:
        answer = self.login(trust, user)
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def own(self, user: str) -> str:
        return self.keystone.token(user, user)


@pytest.fixture
def delegation(keystone: Keystone) -> Delegation:
    users = {name: keystone.make("user", name=name, password=name)["id"] for name in ("ann", "ben", "cat")}
    return Delegation(keystone, keystone.find("users", "demo"), keystone.find("projects", "demo"), users)


def test_a_trust_and_its_roles(delegation):
    client, member = delegation.keystone.client, delegation.keystone.find("roles", "member")
    trust = delegation.make(expires_at="2026-06-01T00:00:00Z", remaining_uses=2, note="mine")
    assert {"expires_at": TIME, "remaining_uses": 2, "redelegation_count": 0, "note": "mine"}.items() <= trust.items()
    assert [role["id"] for role in trust["roles"]] == [member]
    path = f"{TRUSTS}/{trust['id']}"
    assert trust["links"]["self"].endswith(path)
    for as_ in (delegation.keystone.demo, delegation.own("ann"), delegation.keystone.admin):
        assert client.get(path, as_=as_).json["trust"] == trust
        assert client.get(path + "/roles", as_=as_).json["roles"] == trust["roles"]
        assert client.get(f"{path}/roles/{member}", as_=as_).json["role"]["name"] == "member"
        assert client.head(f"{path}/roles/{member}", as_=as_).status_code == 200
        assert client.get(f"{path}/roles/{delegation.keystone.find('roles', 'admin')}", as_=as_).status_code == 404
    assert client.get(path, as_=delegation.own("ben")).status_code == 403
    assert client.delete(path, as_=delegation.own("ann")).status_code == 403
    assert client.patch(path, as_=delegation.keystone.demo, json={}).status_code == 405
    assert client.delete(path, as_=delegation.keystone.demo).status_code == 204
    assert client.get(path, as_=delegation.own("ben")).status_code == 404


def test_lists_are_of_the_trustor_the_trustee_or_for_admins(delegation):
    client = delegation.keystone.client
    trust = delegation.make()
    ann, ben = delegation.own("ann"), delegation.own("ben")

    def listed(query, as_):
        answer = client.get(TRUSTS + query, as_=as_)
        return [row["id"] for row in answer.json["trusts"]] if answer.status_code == 200 else answer.status_code

    mine = f"?trustor_user_id={delegation.demo}"
    given = f"?trustee_user_id={delegation.users['ann']}"
    assert listed(mine, delegation.keystone.demo) == listed(given, ann) == listed("", delegation.keystone.admin)
    assert listed("", delegation.keystone.admin) == [trust["id"]]
    assert listed(mine, ann) == listed(given, ben) == listed("", delegation.keystone.demo) == 403
    assert listed(f"?trustee_user_id={delegation.users['ben']}", ben) == []
    assert "roles" not in client.get(TRUSTS, as_=delegation.keystone.admin).json["trusts"][0]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"trustee_user_id": ...}, 400), ({"impersonation": ...}, 400), ({"impersonation": "yes"}, 400),
        ({"trustor_user_id": 5}, 400), ({"roles": [{"id": "x", "name": "y"}]}, 400), ({"roles": {}}, 400),
        ({"roles": [{"fake": "x"}]}, 400), ({"remaining_uses": 0}, 400), ({"remaining_uses": -1}, 400),
        ({"remaining_uses": 7.2}, 400), ({"remaining_uses": 10**30}, 400), ({"remaining_uses": True}, 400),
        ({"expires_at": "bad"}, 400), ({"expires_at": ""}, 400), ({"expires_at": "Z"}, 400),
        ({"expires_at": "2010-06-04T08:44:31.999999Z"}, 400), ({"expires_at": "2030-06-04T08:44:31+01:00"}, 400),
        ({"redelegation_count": -1}, 400), ({"allow_redelegation": True, "remaining_uses": 3}, 400),
        ({"allow_redelegation": True, "redelegation_count": 4}, 403), ({"roles": []}, 403),
        ({"trustee_user_id": "f" * 32}, 404), ({"project_id": "f" * 32}, 404), ({"roles": [{"id": "f" * 32}]}, 404),
        ({"roles": [{"name": "nothing"}]}, 404), ({"roles": [{"name": "admin"}]}, 404),
        ({"trustor_user_id": "f" * 32}, 403),
    ],
)  # fmt: skip
def test_what_is_refused(delegation, values, status):
    answer = delegation.create(**values)
    assert answer.status_code == status, answer.text
    assert delegation.keystone.client.get(TRUSTS, as_=delegation.keystone.admin).json["trusts"] == []


def test_a_role_name_that_two_domains_have_is_ambiguous(delegation):
    domain = delegation.keystone.make("domain", name="other")
    delegation.keystone.make("role", name="member", domain_id=domain["id"])
    assert "multiple role entities named 'member'" in delegation.create().text


def test_the_same_trust_twice_is_a_conflict(delegation):
    delegation.make(expires_at=TIME)
    assert delegation.create(expires_at=TIME).status_code == 409
    delegation.make(expires_at=TIME, impersonation=True)


@pytest.mark.parametrize("impersonation", [False, True])
def test_a_token_says_for_whom_it_is(delegation, impersonation):
    trust = delegation.make(impersonation=impersonation, roles=[{"name": "reader"}])
    answer = delegation.login(trust)
    shown = answer.json["token"]
    assert shown["user"]["name"] == ("demo" if impersonation else "ann")
    assert shown["project"]["name"] == "demo"
    assert [role | {"id": ""} for role in shown["roles"]] == [
        {"id": "", "name": "reader", "domain_id": None, "description": None, "options": {"immutable": True}}
    ]
    assert "is_domain" not in shown
    assert shown["OS-TRUST:trust"] == {
        "id": trust["id"], "impersonation": impersonation, "trustor_user": {"id": delegation.demo},
        "trustee_user": {"id": delegation.users["ann"]},
    }  # fmt: skip
    token = answer.headers["x-subject-token"]
    context = delegation.keystone.cloud.authenticate(token)
    assert context.user_id == (delegation.demo if impersonation else delegation.users["ann"])
    assert context.trust_id == trust["id"]
    headers = {"X-Subject-Token": token}
    for as_ in (token, delegation.own("ann"), delegation.keystone.admin):
        again = delegation.keystone.client.get("/v3/auth/tokens", as_=as_, headers=headers)
        assert again.json["token"]["OS-TRUST:trust"] == shown["OS-TRUST:trust"]
    assert delegation.keystone.client.delete("/v3/auth/tokens", as_=token, headers=headers).status_code == 204
    assert delegation.keystone.status(token) == 401


def test_a_trust_without_a_project_gives_no_roles(delegation):
    shown = delegation.login(delegation.make(project_id=None, roles=[])).json["token"]
    assert not {"project", "roles", "catalog"} & set(shown)
    assert "OS-TRUST:trust" in shown


def test_nobody_else_can_use_it(delegation):
    trust = delegation.make()
    assert delegation.login(trust, "ben").status_code == 403
    assert delegation.login({"id": "f" * 32}).status_code == 401


def test_what_a_token_of_a_trust_may_not_do(delegation):
    client = delegation.keystone.client
    token = delegation.token(delegation.make(impersonation=True))
    for scope in (None, delegation.keystone.on("demo"), "unscoped"):
        auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
        body = {"auth": auth if scope is None else auth | {"scope": scope}}
        answer = client.post("/v3/auth/tokens", as_=None, json=body)
        assert answer.status_code == 403
        assert "Using trust-scoped token to create another token." in answer.text
    # This trust isn't one to be handed on.
    assert delegation.create("ben", token).status_code == 403


def test_application_credentials_have_nothing_to_do_with_trusts(delegation):
    keystone = delegation.keystone
    path = f"/v3/users/{delegation.demo}/application_credentials"
    body = {"application_credential": {"name": "app", "unrestricted": True}}
    made = keystone.client.post(path, as_=keystone.demo, json=body).json["application_credential"]
    data = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": data}
    answer = keystone.client.post("/v3/auth/tokens", as_=None, json={"auth": {"identity": identity}})
    token = answer.headers["x-subject-token"]
    trust = delegation.make()
    assert delegation.create(as_=token).status_code == 403
    for path in (f"{TRUSTS}?trustor_user_id={delegation.demo}", f"{TRUSTS}/{trust['id']}"):
        assert keystone.client.get(path, as_=token).status_code == 403
    assert keystone.client.delete(f"{TRUSTS}/{trust['id']}", as_=token).status_code == 403


def test_uses_are_counted_and_never_taken_twice(delegation):
    trust = delegation.make(remaining_uses=3)
    path = f"{TRUSTS}/{trust['id']}"
    assert delegation.keystone.login("ann", "wrong", {"OS-TRUST:trust": {"id": trust["id"]}}).status_code == 401
    assert delegation.keystone.client.get(path, as_=delegation.keystone.demo).json["trust"]["remaining_uses"] == 3
    answers = asyncio.run(delegation.logins(trust, 6))
    granted = [answer.headers["x-subject-token"] for answer in answers if answer.status_code == 201]
    assert len(granted) == 3
    assert {answer.status_code for answer in answers} <= {201, 401, 403}
    assert delegation.login(trust).status_code == 401
    # Used up is gone for the API; what was got with it lasts.
    assert delegation.keystone.client.get(path, as_=delegation.keystone.demo).status_code == 404
    assert all(delegation.keystone.status(token) == 200 for token in granted)


def test_it_expires_and_its_tokens_with_it(delegation):
    trust = delegation.make(expires_at="2026-01-01T12:30:00.586958Z")
    answer = delegation.login(trust)
    assert answer.json["token"]["expires_at"] == "2026-01-01T12:30:00.000000Z"
    delegation.keystone.cloud.clock.advance(1801)
    assert delegation.keystone.status(answer.headers["x-subject-token"]) == 401
    assert delegation.login(trust).status_code == 401


def grant(delegation, role, method="DELETE", user=None):
    keystone = delegation.keystone
    path = f"/v3/projects/{delegation.project}/users/{user or delegation.demo}/roles/{keystone.find('roles', role)}"
    assert keystone.client.request(method, path, as_=keystone.admin).status_code == 204


ENDS = {
    "trust": lambda d, trust: d.keystone.client.delete(f"{TRUSTS}/{trust['id']}", as_=d.keystone.admin),
    "trustor's role": lambda d, trust: grant(d, "member"),
    "trustor disabled": lambda d, trust: change(d, d.demo, enabled=False),
    "trustor's password": lambda d, trust: change(d, d.demo, password="new"),
    "trustee disabled": lambda d, trust: change(d, d.users["ann"], enabled=False),
    "trustee's password": lambda d, trust: change(d, d.users["ann"], password="new"),
    "trustor": lambda d, trust: d.keystone.client.delete(f"/v3/users/{d.demo}", as_=d.keystone.admin),
    "trustee": lambda d, trust: d.keystone.client.delete(f"/v3/users/{d.users['ann']}", as_=d.keystone.admin),
    "project": lambda d, trust: d.keystone.client.delete(f"/v3/projects/{d.project}", as_=d.keystone.admin),
}


def change(delegation, user, **values):
    path = f"/v3/users/{user}"
    answer = delegation.keystone.client.patch(path, as_=delegation.keystone.admin, json={"user": values})
    assert answer.status_code == 200


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("impersonation", [False, True])
def test_what_ends_a_token(delegation, what, impersonation):
    trust = delegation.make(impersonation=impersonation)
    token = delegation.token(trust)
    assert delegation.keystone.status(token) == 200
    delegation.keystone.cloud.clock.advance(1)
    ENDS[what](delegation, trust)
    assert delegation.keystone.status(token) == 401
    headers = {"X-Subject-Token": token}
    shown = delegation.keystone.client.get("/v3/auth/tokens", as_=delegation.keystone.admin, headers=headers)
    assert shown.status_code == 404
    left = delegation.keystone.client.get(f"{TRUSTS}/{trust['id']}", as_=delegation.keystone.admin).status_code
    assert left == (404 if what in ("trust", "trustor", "trustee", "project") else 200)


def test_a_role_that_is_deleted_ends_the_trust(delegation):
    keystone = delegation.keystone
    role = keystone.make("role", name="extra")
    grant(delegation, "extra", "PUT")
    trust = delegation.make(roles=[{"name": "extra"}, {"name": "member"}])
    token = delegation.token(trust)
    assert keystone.client.delete(f"/v3/roles/{role['id']}", as_=keystone.admin).status_code == 204
    assert keystone.status(token) == 401
    assert delegation.login(trust).status_code == 403


def chain(delegation, impersonation=True):
    """demo trusts ann, who hands it on to ben, who hands it on to cat."""
    if not impersonation:
        for name in ("ann", "ben"):
            grant(delegation, "member", "PUT", delegation.users[name])
    first = delegation.make(impersonation=impersonation, allow_redelegation=True, expires_at=TIME)
    by_ann = delegation.token(first)
    giver = delegation.demo if impersonation else delegation.users["ann"]
    second = delegation.make("ben", by_ann, trustor_user_id=giver, impersonation=impersonation, allow_redelegation=True)
    by_ben = delegation.token(second, "ben")
    giver = delegation.demo if impersonation else delegation.users["ben"]
    third = delegation.make("cat", by_ben, trustor_user_id=giver, impersonation=impersonation, allow_redelegation=True)
    return [first, second, third]


@pytest.mark.parametrize("impersonation", [False, True])
def test_handing_on(delegation, impersonation):
    first, second, third = chain(delegation, impersonation)
    assert [trust["redelegation_count"] for trust in (first, second, third)] == [3, 2, 1]
    assert [trust["redelegated_trust_id"] for trust in (first, second, third)] == [None, first["id"], second["id"]]
    assert second["expires_at"] == third["expires_at"] == TIME
    shown = delegation.login(third, "cat").json["token"]
    assert shown["user"]["name"] == ("demo" if impersonation else "cat")
    assert [role["name"] for role in shown["roles"]] == ["member", "reader"]


def test_who_hands_on_in_their_own_name_must_have_the_roles(delegation):
    token = delegation.token(delegation.make(allow_redelegation=True))
    own = {"trustor_user_id": delegation.users["ann"]}
    assert delegation.create("ben", token, **own).status_code == 404
    grant(delegation, "member", "PUT", delegation.users["ann"])
    second = delegation.make("ben", token, **own)
    last = delegation.token(second, "ben")
    assert delegation.keystone.status(last) == 200
    grant(delegation, "member", "DELETE", delegation.users["ann"])
    assert delegation.keystone.status(last) == 401
    assert delegation.login(second, "ben").status_code == 403
    assert delegation.keystone.status(token) == 200


def test_what_may_not_be_handed_on(delegation):
    for name in ("ann", "ben"):
        grant(delegation, "member", "PUT", delegation.users[name])
    first = delegation.make(allow_redelegation=True, redelegation_count=1, expires_at=TIME, roles=[{"name": "reader"}])
    token = delegation.token(first)
    good = {"trustor_user_id": delegation.users["ann"], "roles": [{"name": "reader"}]}
    for bad in (
        {"roles": [{"name": "member"}]}, {"impersonation": True}, {"expires_at": "2027-01-01T00:00:00Z"},
        {"remaining_uses": 1}, {"allow_redelegation": True, "redelegation_count": 1},
        {"project_id": None, "roles": []},
    ):  # fmt: skip
        answer = delegation.create("ben", token, **(good | bad))
        assert answer.status_code == 403, (bad, answer.text)
    second = delegation.make("ben", token, **good, allow_redelegation=True)
    assert second["redelegation_count"] == 0
    last = delegation.token(second, "ben")
    answer = delegation.create("cat", last, **(good | {"trustor_user_id": delegation.users["ben"]}))
    assert answer.status_code == 403


def test_a_chain_breaks_with_any_of_its_links(delegation):
    keystone = delegation.keystone
    first, second, third = chain(delegation)
    token = delegation.token(third, "cat")
    change(delegation, delegation.users["ben"], enabled=False)
    assert keystone.status(token) == 401
    assert delegation.login(third, "cat").status_code == 403
    assert keystone.client.get(f"{TRUSTS}/{third['id']}", as_=keystone.demo).status_code == 403
    change(delegation, delegation.users["ben"], enabled=True)
    assert delegation.login(third, "cat").status_code == 201
    assert keystone.client.delete(f"{TRUSTS}/{first['id']}", as_=keystone.demo).status_code == 204
    for trust, user in ((second, "ben"), (third, "cat")):
        assert keystone.client.get(f"{TRUSTS}/{trust['id']}", as_=keystone.admin).status_code == 404
        assert delegation.login(trust, user).status_code == 401
    events = keystone.client.get("/v3/OS-REVOKE/events", as_=keystone.admin).json["events"]
    assert {event.get("OS-TRUST:trust_id") for event in events} >= {first["id"], second["id"], third["id"]}


def test_a_token_without_a_project_makes_none(delegation):
    system = delegation.keystone.token("admin", ADMIN_PASSWORD, {"system": {"all": True}})
    admin = delegation.keystone.find("users", "admin")
    assert delegation.create(as_=system, trustor_user_id=admin, project_id=None, roles=[]).status_code == 403
    unscoped = delegation.keystone.token("demo", DEMO_PASSWORD, "unscoped")
    assert delegation.create(as_=unscoped).status_code == 201
