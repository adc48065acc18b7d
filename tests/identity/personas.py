"""People with the four roles on the system, on a domain and on a project in it: a token for each of the twelve."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.identity.conftest import Keystone

ROLES = ("admin", "manager", "member", "reader")
SCOPES = ("system", "domain", "project")


@dataclass
class Personas:
    """`tokens["system_reader"]`; `domain` and `project` are what the domain's and the project's are on."""

    domain: str
    project: str
    tokens: dict[str, str] = field(default_factory=dict)


def make(keystone: Keystone) -> Personas:
    domain = keystone.make("domain", name="personas")["id"]
    project = keystone.make("project", name="personas", domain_id=domain)["id"]
    found = Personas(domain, project)
    scopes = {
        "system": {"system": {"all": True}},
        "domain": {"domain": {"id": domain}},
        "project": {"project": {"id": project}},
    }
    for role in ROLES:
        user = keystone.make("user", name=role, password="pw", domain_id=domain)["id"]
        role_id = keystone.find("roles", role)
        for place in (f"domains/{domain}", f"projects/{project}", "system"):
            path = f"/v3/{place}/users/{user}/roles/{role_id}"
            answer = keystone.client.put(path, as_=keystone.admin)
            assert answer.status_code == 204, answer.text
        for scope in SCOPES:
            found.tokens[f"{scope}_{role}"] = keystone.token(role, "pw", scopes[scope], domain)
    return found
