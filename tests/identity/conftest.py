"""A bootstrapped cloud, and people who can ask for tokens of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from onestack.core.cloud import Cloud
from onestack.identity import public, service
from tests.conftest import Client

ADMIN_PASSWORD = "correct horse"
DEMO_PASSWORD = "battery staple"


@dataclass
class Keystone:
    """The API on 5000, with `admin` and `demo` as tokens of the bootstrapped users."""

    client: Client
    cloud: Cloud
    admin: str = ""
    demo: str = ""

    def body(self, user: dict[str, Any], scope: Any = None) -> dict[str, Any]:
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope is not None:
            auth["scope"] = scope
        return {"auth": auth}

    def login(self, name: str, password: str, scope: Any = None, domain: str = "default") -> Any:
        user = {"name": name, "password": password, "domain": {"id": domain}}
        return self.client.post("/v3/auth/tokens", as_=None, json=self.body(user, scope))

    def token(self, name: str, password: str, scope: Any = None, domain: str = "default") -> str:
        answer = self.login(name, password, scope, domain)
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def on(self, project: str, domain: str = "default") -> dict[str, Any]:
        return {"project": {"name": project, "domain": {"id": domain}}}

    def make(self, kind: str, **values: Any) -> dict[str, Any]:
        """Create as admin: `make("user", name="ann", password="x")` → the user."""
        answer = self.client.post(f"/v3/{kind}s", as_=self.admin, json={kind: values})
        assert answer.status_code == 201, answer.text
        return answer.json[kind]

    def find(self, plural: str, name: str) -> str:
        found = self.client.get(f"/v3/{plural}?name={name}", as_=self.admin).json[plural]
        return found[0]["id"]

    def status(self, token: str) -> int:
        """What a token is worth to its owner: 200 valid, 401 not."""
        headers = {"X-Subject-Token": token}
        return self.client.get("/v3/auth/tokens", as_=token, headers=headers).status_code


@pytest.fixture
def keystone(cloud: Cloud, client_of: Callable[[Any], Client]) -> Keystone:
    services = service.build(cloud)
    cloud.db.create_all()
    public.bootstrap(cloud, admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD)
    found = Keystone(client_of(services["identity"]), cloud)
    found.admin = found.token("admin", ADMIN_PASSWORD, found.on("admin"))
    found.demo = found.token("demo", DEMO_PASSWORD, found.on("demo"))
    return found
