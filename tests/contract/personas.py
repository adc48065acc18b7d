"""Everybody who may come to the Identity and Image services, each with a real token, and what policy is told of them.

Ann's project `alpha` is in the default domain. `gamma` is a project of the same domain, with which Ann's image is
shared; `far` is another domain with a project of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.contract.world import PASSWORD, World

_ORDER = ("admin", "manager", "member", "reader")  # each implies those after it
_HOUR = 3600
HOME, FAR = "default", "far"


@dataclass(frozen=True)
class Persona:
    """`credentials`: what oslo.policy is told, None when the token isn't valid. `by`: how a token came to be that may
    do less than its user."""

    token: str | None
    credentials: dict[str, Any] | None = None
    by: str = ""

    @property
    def scope(self) -> str:
        found = self.credentials or {}
        names = (("system_scope", "system"), ("domain_id", "domain"), ("project_id", "project"))
        return next((scope for name, scope in names if found[name]), "unscoped")


def implied(role: str) -> list[str]:
    return list(_ORDER[_ORDER.index(role) :])


class Crowd(World):
    """A world with `personas`."""

    def _populate(self) -> None:
        super()._populate()
        self.personas: dict[str, Persona] = {}
        self.roles = {role["name"]: role["id"] for role in self.ask("identity", "GET", "/v3/roles")["roles"]}
        self._places()
        self._with_roles()
        self._delegated()
        self._invalid()
        self.ids["domain_id"] = HOME

    def _places(self) -> None:
        ids = self.ids
        ids["far"] = self._make("domain", name=FAR)
        ids["gamma"] = self._make("project", name="gamma", domain_id=HOME)
        ids["far_project"] = self._make("project", name="distant", domain_id=ids["far"])
        image = f"/v2/images/{ids['image_id']}/members"
        self.ask("image", "POST", image, {"member": ids["gamma"]}, "member")
        ids["member_id"] = ids["gamma"]
        # Values of the default domain, so that there is something to be looked at and taken away.
        self.ask("identity", "PUT", f"/v3/domains/{HOME}/config", {"config": {"ldap": {"url": "ldap://h"}}})

    def _user(self, name: str, domain: str = HOME) -> str:
        return self._make("user", name=name, password=PASSWORD, domain_id=domain)

    def _login(self, user_id: str, scope: Any = None) -> str:
        who = {"id": user_id, "password": PASSWORD}
        return self._ask_token({"methods": ["password"], "password": {"user": who}}, scope)

    def _ask_token(self, identity: dict[str, Any], scope: Any = None) -> str:
        auth = {"identity": identity} | ({"scope": scope} if scope is not None else {})
        answer = self.callers["identity"].request("POST", "/v3/auth/tokens", json_body={"auth": auth})
        assert answer.status == 201, answer.text
        return answer.headers["x-subject-token"]

    def _with_roles(self) -> None:
        ids = self.ids
        places: list[tuple[str, dict[str, Any], str, str]] = [
            ("system", {"system": {"all": True}}, "/v3/system", HOME),
            *((f"{name}-domain", {"domain": {"id": key}}, f"/v3/domains/{key}", key)
              for name, key in (("own", HOME), ("far", ids["far"]))),
            *((f"{name}-project", {"project": {"id": key}}, f"/v3/projects/{key}", home)
              for name, key, home in (("own", ids["alpha"], HOME), ("next", ids["gamma"], HOME),
                                      ("far", ids["far_project"], ids["far"]))),
        ]  # fmt: skip
        for place, scope, path, home in places:
            for role in _ORDER:
                name = f"{place}-{role}"
                user = self._user(name, home)
                self.ask("identity", "PUT", f"{path}/users/{user}/roles/{self.roles[role]}")
                self._add(name, user, home, scope, implied(role))
        self._add("owner", ids["ann"], HOME, {"project": {"id": ids["alpha"]}}, implied("member"))
        self._add("owner-unscoped", ids["ann"], HOME, None, [])
        self._add("nobody", self._user("nobody"), HOME, None, [])

    def _add(self, name: str, user: str, home: str, scope: dict[str, Any] | None, roles: list[str]) -> None:
        self.personas[name] = Persona(self._login(user, scope), self._credentials(user, home, scope, roles))

    def _credentials(
        self, user: str, home: str, scope: dict[str, Any] | None, roles: list[str], trust: str | None = None
    ) -> dict[str, Any]:
        scope = scope or {}
        project, domain = (scope.get(kind, {}).get("id") for kind in ("project", "domain"))
        project_home = None if project is None else self.ids["far"] if project == self.ids["far_project"] else HOME
        return {
            "user_id": user, "user_domain_id": home, "project_id": project, "project_domain_id": project_home,
            "domain_id": domain, "system_scope": "all" if "system" in scope else None, "roles": roles,
            "trust_id": trust, "token": {"domain": {"id": domain}, "project": {"domain": {"id": project_home}}},
        }  # fmt: skip

    def _delegated(self) -> None:
        """Ann's own authority, given on in part."""
        ann, alpha = self.ids["ann"], {"project": {"id": self.ids["alpha"]}}
        for name, impersonation in (("trust", False), ("trust-as-owner", True)):
            trustee = self._user(name)
            trust = {"trustor_user_id": ann, "trustee_user_id": trustee, "project_id": self.ids["alpha"],
                     "impersonation": impersonation, "roles": [{"name": "member"}]}  # fmt: skip
            key = self.ask("identity", "POST", "/v3/OS-TRUST/trusts", {"trust": trust}, "member")["trust"]["id"]
            told = self._credentials(ann if impersonation else trustee, HOME, alpha, implied("member"), key)
            self.personas[name] = Persona(self._login(trustee, {"OS-TRUST:trust": {"id": key}}), told, "trust")
        rule = {"service": "image", "method": "GET", "path": "/v2/images"}
        for name, more in (
            ("restricted", {}), ("unrestricted", {"unrestricted": True}), ("ruled", {"access_rules": [rule]}),
        ):  # fmt: skip
            made = self.ask(
                "identity", "POST", f"/v3/users/{ann}/application_credentials",
                {"application_credential": {"name": name, "secret": PASSWORD, **more}}, "member",
            )  # fmt: skip
            given = {"id": made["application_credential"]["id"], "secret": PASSWORD}
            token = self._ask_token({"methods": ["application_credential"], "application_credential": given})
            told = self._credentials(ann, HOME, alpha, implied("member"))
            self.personas[f"app-{name}"] = Persona(token, told, name)

    def _invalid(self) -> None:
        """Tokens of an admin of the cloud that are no longer good."""
        clock: Any = self.cloud.clock
        for name in ("of-disabled-project", "of-disabled-domain", "from-disabled-domain", "expired"):
            home = self._make("domain", name=name)
            project = self._make("project", name=name, domain_id=home)
            user = self._user(name, home if name == "from-disabled-domain" else HOME)
            place = f"/v3/domains/{home}" if name == "of-disabled-domain" else f"/v3/projects/{project}"
            scope = {"domain": {"id": home}} if name == "of-disabled-domain" else {"project": {"id": project}}
            self.ask("identity", "PUT", f"{place}/users/{user}/roles/{self.roles['admin']}")
            clock.advance(-2 * _HOUR if name == "expired" else 0)
            self.personas[name] = Persona(self._login(user, scope))
            clock.advance(2 * _HOUR if name == "expired" else 0)
            if name == "of-disabled-project":
                self.ask("identity", "PATCH", f"/v3/projects/{project}", {"project": {"enabled": False}})
            elif name != "expired":
                self.ask("identity", "PATCH", f"/v3/domains/{home}", {"domain": {"enabled": False}})
        for name in ("revoked", "disabled", "garbage", "none"):
            self.personas[name] = Persona(self.tokens[name])
