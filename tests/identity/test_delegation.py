"""What may be done with a token that was got with something that its owner handed out: one table.

Every status was compared with Keystone 30, which closed these one after the other (OSSA-2020-003 to -005 and later).
The owner is an admin, so that it is never policy that refuses but the kind of the token.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.identity import test_oauth as oauth
from tests.identity.conftest import ADMIN_PASSWORD, Keystone
from tests.identity.test_signed_tokens import ask, signed

TRUSTS = "/v3/OS-TRUST/trusts"
_DIRECTLY = "Delegated tokens cannot access credentials directly"
_WORDS = "You are not authorized to perform the requested action"


@dataclass
class Owner:
    """The bootstrapped admin, what they hand out, and how it becomes a token."""

    keystone: Keystone
    id: str
    ann: str
    project: str
    consumer: dict[str, Any]
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def ask(self, method: str, path: str, token: str, body: Any = None) -> Any:
        more = {} if body is None else {"json": body}
        return self.keystone.client.request(method, path, as_=token, **more)

    def made(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """As the owner themselves."""
        answer = self.ask(method, path, self.keystone.admin, body)
        assert answer.status_code < 300, answer.text
        return next(iter(answer.json.values()))

    @property
    def path(self) -> str:
        return f"/v3/users/{self.id}"

    def app(self, **values: Any) -> dict[str, Any]:
        body = {"application_credential": {"name": f"app{next(self.numbers)}"} | values}
        return self.made("POST", f"{self.path}/application_credentials", body)

    def trust(self, **values: Any) -> dict[str, Any]:
        return self.made("POST", TRUSTS, self.trust_body(allow_redelegation=True, **values))

    def trust_body(self, **values: Any) -> dict[str, Any]:
        plain = {"trustor_user_id": self.id, "trustee_user_id": self.ann, "project_id": self.project}
        return {"trust": plain | {"impersonation": True, "roles": [{"name": "admin"}]} | values}

    def key(self) -> dict[str, Any]:
        return self.made("POST", f"{self.path}/credentials/OS-EC2", {"tenant_id": self.project})

    def credential(self) -> str:
        return self.made("POST", "/v3/credentials", self.credential_body())["id"]

    def credential_body(self, **values: Any) -> dict[str, Any]:
        plain = {"type": "cert", "blob": "b", "user_id": self.id, "project_id": self.project}
        return {"credential": plain | values}

    def rule(self) -> str:
        """One that no credential uses any more."""
        rules = [{"service": "compute", "method": "GET", "path": f"/{next(self.numbers)}"}]
        made = self.app(access_rules=rules)
        self.ask("DELETE", f"{self.path}/application_credentials/{made['id']}", self.keystone.admin)
        return made["access_rules"][0]["id"]

    def request_token(self) -> dict[str, str]:
        return oauth.form(oauth.ask(self.keystone, self.consumer, self.project))

    def access_token(self) -> dict[str, str]:
        request = self.request_token()
        verifier = oauth.authorize(self.keystone, request, [{"name": "admin"}]).json["token"]["oauth_verifier"]
        return oauth.form(oauth.fetch(self.keystone, self.consumer, request, verifier))

    # Tokens

    def issued(self, answer: Any) -> str:
        assert answer.status_code in (200, 201), answer.text
        return answer.headers["x-subject-token"]

    def login(self, token: str, scope: Any = None) -> Any:
        auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
        body = {"auth": auth if scope is None else auth | {"scope": scope}}
        return self.keystone.client.post("/v3/auth/tokens", as_=None, json=body)

    def by_app(self, **values: Any) -> str:
        made = self.app(**values)
        data = {"id": made["id"], "secret": made["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": data}
        body = {"auth": {"identity": identity}}
        return self.issued(self.keystone.client.post("/v3/auth/tokens", as_=None, json=body))

    def by_trust(self, **values: Any) -> str:
        return self.keystone.token("ann", "ann", {"OS-TRUST:trust": {"id": self.trust(**values)["id"]}})


@pytest.fixture
def owner(keystone: Keystone) -> Owner:
    body = {"consumer": {"description": "c"}}
    made = keystone.client.post("/v3/OS-OAUTH1/consumers", as_=keystone.admin, json=body)
    ann = keystone.make("user", name="ann", password="ann")["id"]
    project = keystone.find("projects", "admin")
    # Who hands a trust on in their own name must have its roles themselves.
    grant = f"/v3/projects/{project}/users/{ann}/roles/{keystone.find('roles', 'admin')}"
    assert keystone.client.put(grant, as_=keystone.admin).status_code == 204
    return Owner(keystone, keystone.find("users", "admin"), ann, project, made.json["consumer"])


KINDS: dict[str, Callable[[Owner], str]] = {
    "own": lambda o: o.keystone.token("admin", ADMIN_PASSWORD, o.keystone.on("admin")),
    "again": lambda o: o.issued(o.login(o.keystone.admin, o.keystone.on("admin"))),
    "app": lambda o: o.by_app(),
    "free": lambda o: o.by_app(unrestricted=True),
    "trust": lambda o: o.by_trust(),
    "trustee": lambda o: o.by_trust(impersonation=False),
    "oauth": lambda o: o.issued(oauth.login(o.keystone, o.consumer, o.access_token())),
    "ec2": lambda o: o.issued(ask(o.keystone, signed(o.key()))),
}

# own: by password; again: a token for such a token; app and free: an application credential, and an unrestricted one;
# trust and trustee: of a trust that impersonates, and of one that doesn't; oauth: an OAuth access token; ec2: a signed
# request. A trustee whose token says their own name can't make trusts in the trustor's.
TABLE = """
                      own again app free trust trustee oauth ec2
token                 201 201   403 403  403   403     403   403
token unscoped        201 201   403 403  403   403     403   403
token project         201 201   403 403  403   403     403   403
token domain          201 201   403 403  403   403     403   403
token system          201 201   403 403  403   403     403   403
list credentials      200 200   200 200  200   200     200   403
show credential       200 200   403 403  403   403     403   403
show key's credential 200 200   403 403  403   403     403   403
create credential     201 201   403 403  403   403     403   403
create factor         201 201   403 403  403   403     403   403
create ec2 credential 201 201   403 403  403   403     403   403
change credential     200 200   403 403  403   403     403   403
delete credential     204 204   403 403  403   403     403   403
list keys             200 200   403 403  403   403     403   403
show key              200 200   403 403  403   403     403   403
create key            201 201   403 403  403   403     403   403
delete key            204 204   403 403  403   403     403   403
list keys v2          200 200   403 403  403   403     403   403
list apps             200 200   200 200  403   403     403   403
show app              200 200   200 200  403   403     403   403
create app            201 201   403 201  403   403     403   403
delete app            204 204   403 204  403   403     403   403
list rules            200 200   200 200  403   403     403   403
show rule             200 200   200 200  403   403     403   403
delete rule           204 204   204 204  403   403     403   403
list access tokens    200 200   403 403  403   403     403   403
show access token     200 200   403 403  403   403     403   403
access token's roles  200 200   200 200  200   200     200   403
delete access token   204 204   403 403  403   403     403   403
authorize             200 200   403 403  403   403     403   403
list trusts           200 200   403 403  200   200     403   403
list own trusts       200 200   403 403  200   200     403   403
show trust            200 200   403 403  200   200     403   403
trust's roles         200 200   403 403  200   200     403   403
create trust          201 201   403 403  201   403     403   403
create trust, trustee 403 403   403 403  403   201     403   403
delete trust          204 204   403 403  204   204     403   403
own projects          200 200   200 200  200   200     200   403
show user             200 200   200 200  200   200     200   403
versions              200 200   200 200  200   200     200   403
validate              200 200   200 200  200   200     200   403
end all tokens        204 204   204 204  204   204     204   403
"""

_Request = Callable[[Owner, str], Any]
REQUESTS: dict[str, _Request] = {
    "token": lambda o, t: o.login(t),
    "token unscoped": lambda o, t: o.login(t, "unscoped"),
    "token project": lambda o, t: o.login(t, o.keystone.on("admin")),
    "token domain": lambda o, t: o.login(t, {"domain": {"id": "default"}}),
    "token system": lambda o, t: o.login(t, {"system": {"all": True}}),
    "list credentials": lambda o, t: o.ask("GET", "/v3/credentials", t),
    "show credential": lambda o, t: o.ask("GET", f"/v3/credentials/{o.credential()}", t),
    "show key's credential": lambda o, t: o.ask("GET", f"/v3/credentials/{_key_id(o)}", t),
    "create credential": lambda o, t: o.ask("POST", "/v3/credentials", t, o.credential_body()),
    "create factor": lambda o, t: o.ask("POST", "/v3/credentials", t, o.credential_body(type="totp", project_id=None)),
    "create ec2 credential": lambda o, t: o.ask("POST", "/v3/credentials", t, _ec2_body(o)),
    "change credential": lambda o, t: o.ask(
        "PATCH", f"/v3/credentials/{o.credential()}", t, {"credential": {"blob": "c"}}
    ),
    "delete credential": lambda o, t: o.ask("DELETE", f"/v3/credentials/{o.credential()}", t),
    "list keys": lambda o, t: o.ask("GET", f"{o.path}/credentials/OS-EC2", t),
    "show key": lambda o, t: o.ask("GET", f"{o.path}/credentials/OS-EC2/{o.key()['access']}", t),
    "create key": lambda o, t: o.ask("POST", f"{o.path}/credentials/OS-EC2", t, {"tenant_id": o.project}),
    "delete key": lambda o, t: o.ask("DELETE", f"{o.path}/credentials/OS-EC2/{o.key()['access']}", t),
    "list keys v2": lambda o, t: o.ask("GET", f"/v2.0/users/{o.id}/credentials/OS-EC2", t),
    "list apps": lambda o, t: o.ask("GET", f"{o.path}/application_credentials", t),
    "show app": lambda o, t: o.ask("GET", f"{o.path}/application_credentials/{o.app()['id']}", t),
    "create app": lambda o, t: o.ask(
        "POST", f"{o.path}/application_credentials", t, {"application_credential": {"name": "new"}}
    ),
    "delete app": lambda o, t: o.ask("DELETE", f"{o.path}/application_credentials/{o.app()['id']}", t),
    "list rules": lambda o, t: o.ask("GET", f"{o.path}/access_rules", t),
    "show rule": lambda o, t: o.ask("GET", f"{o.path}/access_rules/{o.rule()}", t),
    "delete rule": lambda o, t: o.ask("DELETE", f"{o.path}/access_rules/{o.rule()}", t),
    "list access tokens": lambda o, t: o.ask("GET", f"{o.path}/OS-OAUTH1/access_tokens", t),
    "show access token": lambda o, t: o.ask("GET", _access(o), t),
    "access token's roles": lambda o, t: o.ask("GET", f"{_access(o)}/roles", t),
    "delete access token": lambda o, t: o.ask("DELETE", _access(o), t),
    "authorize": lambda o, t: oauth.authorize(o.keystone, o.request_token(), [{"name": "reader"}], t),
    "list trusts": lambda o, t: o.ask("GET", TRUSTS, t),
    "list own trusts": lambda o, t: o.ask("GET", f"{TRUSTS}?trustor_user_id={o.id}", t),
    "show trust": lambda o, t: o.ask("GET", f"{TRUSTS}/{o.trust()['id']}", t),
    "trust's roles": lambda o, t: o.ask("GET", f"{TRUSTS}/{o.trust()['id']}/roles", t),
    "create trust": lambda o, t: o.ask("POST", TRUSTS, t, o.trust_body(impersonation=False)),
    "create trust, trustee": lambda o, t: o.ask(
        "POST", TRUSTS, t, o.trust_body(trustor_user_id=o.ann, trustee_user_id=o.id, impersonation=False)
    ),
    "delete trust": lambda o, t: o.ask("DELETE", f"{TRUSTS}/{o.trust()['id']}", t),
    "own projects": lambda o, t: o.ask("GET", "/v3/auth/projects", t),
    "show user": lambda o, t: o.ask("GET", o.path, t),
    "versions": lambda o, t: o.ask("GET", "/v3", t),
    "validate": lambda o, t: o.keystone.client.get("/v3/auth/tokens", as_=t, headers={"X-Subject-Token": t}),
    "end all tokens": lambda o, t: o.ask("DELETE", f"/v3/users/{o.ann}/tokens", t),
}
_BLOB = json.dumps({"access": "a1", "secret": "s1"})


def _ec2_body(owner: Owner) -> dict[str, Any]:
    return owner.credential_body(type="ec2", blob=_BLOB)


def _key_id(owner: Owner) -> str:
    return hashlib.sha256(owner.key()["access"].encode()).hexdigest()


def _access(owner: Owner) -> str:
    return f"{owner.path}/OS-OAUTH1/access_tokens/{urllib.parse.quote(owner.access_token()['oauth_token'])}"


def _expected() -> dict[str, dict[str, int]]:
    """Kind → request → status."""
    heads, *rows = (line for line in TABLE.splitlines() if line)
    found: dict[str, dict[str, int]] = {kind: {} for kind in heads.split()}
    for row in rows:
        *words, statuses = row[:22].strip(), row[22:].split()
        for kind, status in zip(found, statuses, strict=True):
            found[kind][words[0]] = int(status)
    return found


EXPECTED = _expected()


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_of_token_may_do(owner, kind):
    token = KINDS[kind](owner)
    answers = {name: request(owner, token) for name, request in REQUESTS.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == EXPECTED[kind]
    if kind not in ("own", "again", "ec2"):
        # Lists are open to everybody, and show nothing.
        assert answers["list credentials"].json["credentials"] == []
        assert answers["show key"].json["error"]["message"] == f"{_WORDS}: {_DIRECTLY}."
    if kind == "ec2":
        told = {answer.json["error"]["message"] for name, answer in answers.items() if not name.startswith("token")}
        assert told == {f"{_WORDS}."}


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("app", "token", "Using a delegated token to create another token is not allowed."),
        ("ec2", "token", "Using a delegated token to create another token is not allowed."),
        ("trust", "token",
         "Using trust-scoped token to create another token. Create a new trust-scoped token instead"),
        ("oauth", "token", "Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead"),
        ("app", "show trust", "Delegated tokens cannot manage trusts."),
        ("oauth", "create trust", "Delegated tokens cannot manage trusts."),
        ("app", "create app",
         "Using method 'application_credential' is not allowed for managing additional application credentials."),
        ("trust", "create app", ""),
        ("oauth", "authorize", ""),
        ("trust", "list access tokens", ""),
    ],
)  # fmt: skip
def test_the_words_of_a_refusal(owner, kind, name, words):
    answer = REQUESTS[name](owner, KINDS[kind](owner))
    assert answer.json["error"]["message"] == (f"{_WORDS}: {words}." if words else f"{_WORDS}.")


@pytest.mark.parametrize("values", [{"project_id": "other"}, {"project_id": None, "roles": []}])
def test_a_trust_is_handed_on_for_its_project_only(owner, values):
    """Keystone lets a trustee who impersonates give away all that the trustor has elsewhere."""
    token = owner.by_trust()
    if values["project_id"]:
        made = owner.made("POST", "/v3/projects", {"project": {"name": "other"}})
        values = values | {"project_id": made["id"], "roles": [{"name": "member"}]}
        grant = f"/v3/projects/{made['id']}/users/{owner.id}/roles/{owner.keystone.find('roles', 'member')}"
        assert owner.ask("PUT", grant, owner.keystone.admin).status_code == 204
    body = owner.trust_body(impersonation=False, **values)
    assert owner.ask("POST", TRUSTS, token, body).status_code == 403
    assert owner.ask("POST", TRUSTS, owner.keystone.admin, body).status_code == 201
