"""What ends a token or changes what it is worth, seen by a server that remembers the token: at once, always."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from onestack.identity.engine import Engine
from tests.identity.conftest import ADMIN_PASSWORD, Keystone

EVENTS = "/v3/OS-REVOKE/events"


class Stage:
    """Ann, whose roles on project `web` come from all sides, and another server that remembers her tokens."""

    def __init__(self, keystone: Keystone) -> None:
        self.keystone = keystone
        self.domain = keystone.make("domain", name="corp")["id"]
        self.ann = keystone.make("user", name="ann", password="x", domain_id=self.domain)["id"]
        self.web = keystone.make("project", name="web", domain_id=self.domain)["id"]
        self.group = keystone.make("group", name="team", domain_id=self.domain)["id"]
        self.roles = {name: keystone.make("role", name=name)["id"] for name in ("direct", "grouped", "implied", "far")}
        self.grants = {
            "direct": f"/v3/projects/{self.web}/users/{self.ann}/roles/{self.roles['direct']}",
            "grouped": f"/v3/projects/{self.web}/groups/{self.group}/roles/{self.roles['grouped']}",
            "far": f"/v3/OS-INHERIT/domains/{self.domain}/users/{self.ann}/roles/{self.roles['far']}"
                   "/inherited_to_projects",
            "member": f"/v3/groups/{self.group}/users/{self.ann}",
            "implied": f"/v3/roles/{self.roles['direct']}/implies/{self.roles['implied']}",
        }  # fmt: skip
        for path in self.grants.values():
            self.ask("PUT", path)
        self.token = keystone.token("ann", "x", keystone.on("web", self.domain), self.domain)
        self.other = Engine(keystone.cloud).tokens
        assert self.seen() == {"direct", "grouped", "implied", "far"}
        keystone.cloud.clock.advance(1)

    def ask(self, method: str, path: str, body: Any = None, as_: str | None = None) -> Any:
        more = {} if body is None else {"json": body}
        answer = self.keystone.client.request(method, path, as_=as_ or self.keystone.admin, **more)
        assert answer.status_code < 300, answer.text
        return answer

    def seen(self) -> set[str] | None:
        """Ann's roles as the other server sees them; None: the token doesn't hold."""
        context = self.other.authenticate(self.token)
        return None if context is None else set(context.roles)

    def change(self, kind: str, key: str, **values: Any) -> None:
        self.ask("PATCH", f"/v3/{kind}s/{key}", {kind: values})


@pytest.fixture
def stage(keystone: Keystone) -> Stage:
    return Stage(keystone)


def revoke(stage: Stage, token: str = "", query: str = "") -> None:
    headers = {"X-Subject-Token": token or stage.token}
    answer = stage.keystone.client.delete(f"/v3/auth/tokens{query}", as_=stage.token, headers=headers)
    assert answer.status_code == 204


def own_password(stage: Stage) -> None:
    body = {"user": {"original_password": "x", "password": "new"}}
    answer = stage.keystone.client.post(f"/v3/users/{stage.ann}/password", as_=None, json=body)
    assert answer.status_code == 204


ENDS: dict[str, Callable[[Stage], None]] = {
    "token revoked": revoke,
    "all revoked": lambda stage: stage.ask("DELETE", f"/v3/users/{stage.ann}/tokens"),
    "all revoked by their owner": lambda stage: stage.ask("DELETE", f"/v3/users/{stage.ann}/tokens", as_=stage.token),
    "password reset": lambda stage: stage.change("user", stage.ann, password="new"),
    "password changed": own_password,
    "user disabled": lambda stage: stage.change("user", stage.ann, enabled=False),
    "user deleted": lambda stage: stage.ask("DELETE", f"/v3/users/{stage.ann}"),
    "project disabled": lambda stage: stage.change("project", stage.web, enabled=False),
    "project deleted": lambda stage: stage.ask("DELETE", f"/v3/projects/{stage.web}"),
    "group left": lambda stage: stage.ask("DELETE", stage.grants["member"]),
    "domain disabled": lambda stage: stage.change("domain", stage.domain, enabled=False),
}


@pytest.mark.parametrize("cause", ENDS)
def test_what_ends_a_token(stage, cause):
    ENDS[cause](stage)
    assert stage.seen() is None
    assert stage.keystone.status(stage.token) == 401


@pytest.mark.parametrize(
    ("grant", "left"),
    [
        ("direct", {"grouped", "far"}), ("grouped", {"direct", "implied", "far"}),
        ("far", {"direct", "implied", "grouped"}), ("implied", {"direct", "grouped", "far"}),
    ],
)  # fmt: skip
def test_what_takes_roles_away_and_gives_them_back(stage, grant, left):
    stage.ask("DELETE", stage.grants[grant])
    assert stage.seen() == left
    stage.ask("PUT", stage.grants[grant])
    assert stage.seen() == {"direct", "grouped", "implied", "far"}


def test_a_role_or_group_that_is_deleted_is_nobodys(stage):
    stage.ask("DELETE", f"/v3/groups/{stage.group}")
    assert stage.seen() == {"direct", "implied", "far"}
    stage.ask("DELETE", f"/v3/roles/{stage.roles['direct']}")
    assert stage.seen() == {"far"}
    stage.ask("DELETE", f"/v3/roles/{stage.roles['far']}")
    assert stage.seen() is None


def test_names_are_those_of_now(stage):
    stage.change("user", stage.ann, name="anna")
    stage.change("project", stage.web, name="site")
    stage.change("role", stage.roles["direct"], name="straight")
    context = stage.other.authenticate(stage.token)
    assert (context.user_name, context.project_name) == ("anna", "site")
    assert "straight" in context.roles


def test_the_catalog_is_that_of_now(stage):
    service = stage.keystone.make("service", type="thing", name="thing")["id"]
    stage.keystone.make("endpoint", service_id=service, interface="public", url="http://h:1")

    def types():
        return {entry["type"] for entry in stage.other.catalog(stage.ann, stage.web)}

    assert "thing" in types()
    stage.ask("DELETE", f"/v3/services/{service}")
    assert "thing" not in types()


def test_enabled_again_is_not_valid_again(stage):
    stage.change("user", stage.ann, enabled=False)
    stage.change("user", stage.ann, enabled=True)
    assert stage.seen() is None
    stage.keystone.cloud.clock.advance(1)
    new = stage.keystone.token("ann", "x", stage.keystone.on("web", stage.domain), stage.domain)
    assert stage.other.authenticate(new) is not None


def test_tokens_of_a_user_are_for_the_user_and_admins_to_revoke(stage):
    keystone = stage.keystone
    path = f"/v3/users/{stage.ann}/tokens"
    assert keystone.client.delete(path, as_=None).status_code == 401
    for user, token, status in (
        (stage.ann, keystone.demo, 403), ("nobody", keystone.demo, 403), ("nobody", keystone.admin, 404),
    ):  # fmt: skip
        assert keystone.client.delete(f"/v3/users/{user}/tokens", as_=token).status_code == status
    assert stage.seen() is not None
    stage.ask("DELETE", path, as_=stage.token)
    assert keystone.client.delete(path, as_=stage.token).status_code == 401
    assert [event["user_id"] for event in stage.ask("GET", EVENTS).json["events"]] == [stage.ann]
    keystone.cloud.clock.advance(1)
    new = keystone.token("ann", "x", keystone.on("web", stage.domain), stage.domain)
    assert (keystone.status(new), keystone.status(keystone.demo)) == (200, 200)


def test_events_say_what_was_revoked(stage):
    start = stage.keystone.cloud.clock.now()
    audit = stage.other.authenticate(stage.token).audit_ids[0]
    revoke(stage)
    stage.keystone.cloud.clock.advance(10)
    stage.change("user", stage.ann, password="new")
    stage.ask("DELETE", f"/v3/roles/{stage.roles['far']}")
    stage.ask("DELETE", f"/v3/projects/{stage.web}")
    answer = stage.ask("GET", EVENTS).json
    assert answer["links"]["self"].endswith(EVENTS)
    named = [{key: event[key] for key in event if key.endswith("_id")} for event in answer["events"]]
    assert named == [
        {"audit_id": audit}, {"audit_chain_id": audit}, {"user_id": stage.ann}, {"role_id": stage.roles["far"]},
        {"project_id": stage.web},
    ]  # fmt: skip
    when = answer["events"][2]["revoked_at"]
    assert when == answer["events"][2]["issued_before"] == "2026-01-01T12:00:11.000000Z"
    since = (start + datetime.timedelta(seconds=5)).isoformat() + "Z"
    assert len(stage.ask("GET", f"{EVENTS}?since={since}").json["events"]) == 3
    assert stage.ask("GET", f"{EVENTS}?since=2026-01-01T13:30:00%2B01:00").json["events"] == []
    bad = stage.keystone.client.get(f"{EVENTS}?since=yesterday", as_=stage.keystone.admin)
    assert bad.status_code == 400
    assert stage.keystone.client.get(EVENTS, as_=stage.keystone.demo).status_code == 403


def test_events_are_kept_as_long_as_a_token_could_be_used(stage):
    revoke(stage)
    stage.keystone.cloud.clock.advance(3600 + 48 * 3600 + 1)
    stage.keystone.admin = stage.keystone.token("admin", ADMIN_PASSWORD, stage.keystone.on("admin"))
    assert stage.ask("GET", EVENTS).json["events"] == []


@pytest.mark.parametrize(("query", "ends"), [("", True), ("?cascade=true", True), ("?cascade=false", False)])
def test_a_token_takes_those_along_that_were_got_with_it(stage, query, ends):
    identity = {"methods": ["token"], "token": {"id": stage.token}}
    body = {"auth": {"identity": identity, "scope": stage.keystone.on("web", stage.domain)}}
    first, second = (
        stage.keystone.client.post("/v3/auth/tokens", as_=None, json=body).headers["x-subject-token"] for _ in "ab"
    )
    revoke(stage, first)
    assert (stage.keystone.status(first), stage.keystone.status(second), stage.seen() is None) == (401, 200, False)
    revoke(stage, query=query)
    assert stage.seen() is None
    assert stage.keystone.status(second) == (401 if ends else 200)


def test_pki_is_gone(keystone):
    revoked = keystone.client.get("/v3/auth/tokens/OS-PKI/revoked", as_=keystone.admin)
    assert revoked.status_code == 403
    for path in ("/v3/OS-SIMPLE-CERT/ca", "/v3/OS-SIMPLE-CERT/certificates"):
        answer = keystone.client.get(path, as_=None)
        assert answer.status_code == 410
        assert "removal of support for PKI tokens" in answer.json["error"]["message"]


def test_what_a_token_can_be_made_into(keystone):
    system = keystone.token("admin", ADMIN_PASSWORD, {"system": {"all": True}})

    def login(token, scope):
        identity = {"methods": ["token"], "token": {"id": token}}
        body = {"auth": {"identity": identity, "scope": scope}}
        return keystone.client.post("/v3/auth/tokens", as_=None, json=body)

    for scope in (keystone.on("admin"), {"domain": {"id": "default"}}):
        assert login(system, scope).status_code == 403
        assert login(keystone.admin, scope).status_code == 201
    assert login(system, "unscoped").status_code == 201
    assert login("nothing", "unscoped").status_code == 404
