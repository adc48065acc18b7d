"""What is in a cloud that is asked: people, and things that are made anew as soon as a request changed them."""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

from tests.beside.cloud import Answer, Cloud, Sent
from tests.contract.world import PASSWORD

BINARY, PATCH = "application/octet-stream", "application/openstack-images-v2.1-json-patch"
MARK = "beside"  # in every name, with a number that differs from time to time
_NUMBER = itertools.count(int(time.time()) * 1000)


@dataclass(frozen=True)
class Thing:
    """What `$name` is: made by one request, whose answer has the id at `at`, then completed by `then`. `#` in the body
    becomes a new name. `gone`: the path to delete it, where that is not the first one's with the id; "" for never."""

    name: str
    path: str
    body: Any
    at: str = "id"
    by: str = "admin"
    service: str = "identity"
    then: tuple[tuple[str, str, Any], ...] = ()
    gone: str | None = None
    method: str = "POST"

    def make(self, cloud: Cloud, number: int) -> None:
        body = _named(self.body, f"{MARK}-{number}")
        answer = cloud.make(Sent(self.service, self.method, self.path, self.by, body))
        found: Any = answer
        for key in self.at.split("."):
            found = found[int(key) if key.isdigit() else key]
        cloud.ids[self.name] = str(found)
        for step in self.then:
            self.step(cloud, step)

    def step(self, cloud: Cloud, step: tuple[str, str, Any]) -> None:
        method, path, body = step
        headers = (("Content-Type", BINARY),) if isinstance(body, bytes) else ()
        answer = cloud.send(Sent(self.service, method, path, self.by, body, headers))
        if answer.status >= 300 and answer.status != 409:  # it is so already
            raise SystemExit(f"{cloud.name}: {method} {path}: {answer.status} {answer.body!r}")

    def remove(self, cloud: Cloud) -> Answer | None:
        path = f"{self.path}/${self.name}" if self.gone is None else self.gone
        if not path or self.name not in cloud.ids:
            return None
        if self.path == "/v3/domains":
            cloud.send(Sent(self.service, "PATCH", path, body={"domain": {"enabled": False}}))
        answer = cloud.send(Sent(self.service, "DELETE", path, self.by))
        return answer if answer.status != 401 else cloud.send(Sent(self.service, "DELETE", path))


def _named(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace("#", name)
    if isinstance(value, dict):
        return {key: _named(item, name) for key, item in value.items()}
    return [_named(item, name) for item in value] if isinstance(value, list) else value


class World:
    """The same things in several clouds, under each one's own ids."""

    def __init__(self, clouds: list[Cloud], things: tuple[Thing, ...]) -> None:
        self.clouds = clouds
        self.things = {thing.name: thing for thing in things}
        for cloud in clouds:
            people(cloud)
        for name in self.things:
            self.fresh(name)

    def fresh(self, name: str) -> None:
        """Make the thing anew, and what was made of it."""
        thing, number = self.things[name], next(_NUMBER)
        for cloud in self.clouds:
            thing.remove(cloud)
            thing.make(cloud, number)
        for other in self.things.values():
            if other.name == name or other.name not in self.clouds[0].ids:
                continue
            if mentions(name, f"{other.path} {other.body}"):
                self.fresh(other.name)
            for step in other.then:
                if mentions(name, step[1]):
                    for cloud in self.clouds:
                        other.step(cloud, step)

    def repair(self, sent: Sent, answers: list[Answer]) -> None:
        """After a request that succeeded somewhere: what it made is removed, what it was about is made anew."""
        for cloud, answer in zip(self.clouds, answers, strict=True):
            if sent.method == "POST" and answer.status == 201:
                _unmake(cloud, sent, answer)
            if sent.method == "DELETE" and "/auth/tokens" in sent.path:
                cloud.login(cloud.ids["ann_name"], PASSWORD, {"project": {"id": cloud.ids["alpha"]}}, keep="member")
                cloud.ids["token"] = cloud.tokens["member"] or ""
        names = [name for name in re.findall(r"\$(\w+)", sent.path.partition("?")[0]) if name in self.things]
        if names:
            self.fresh(names[-1])

    def close(self) -> None:
        for thing in reversed(self.things.values()):
            for cloud in self.clouds:
                thing.remove(cloud)
        for cloud in self.clouds:
            for path in reversed(cloud.people):
                cloud.send(Sent("identity", "DELETE", path))


def mentions(name: str, text: str) -> bool:
    return re.search(rf"\${name}\b", text) is not None


def _unmake(cloud: Cloud, sent: Sent, answer: Answer) -> None:
    found = answer.json
    if isinstance(found, dict) and len(found) == 1:
        found = next(iter(found.values()))
    for item in found if isinstance(found, list) else [found]:
        name = (item.get("id") or item.get("namespace")) if isinstance(item, dict) else None
        if name:
            path = f"{sent.path.partition('?')[0].rstrip('/')}/{urllib.parse.quote(name, safe='')}"
            if item.get("protected"):
                _unprotect(cloud, sent.service, path, item)
            if "options" in item and isinstance(item["options"], dict) and item["options"].get("immutable"):
                kind = sent.path.rstrip("/").rsplit("/", 1)[-1].removesuffix("s")
                cloud.send(Sent(sent.service, "PATCH", path, "admin", {kind: {"options": {"immutable": False}}}))
            if sent.path.startswith("/v3/domains"):
                cloud.send(Sent(sent.service, "PATCH", path, "admin", {"domain": {"enabled": False}}))
            if cloud.send(Sent(sent.service, "DELETE", path, sent.persona)).status in (401, 403):
                cloud.send(Sent(sent.service, "DELETE", path, "admin"))


def _unprotect(cloud: Cloud, service: str, path: str, item: dict[str, Any]) -> None:
    if "namespace" in item:
        cloud.send(Sent(service, "PUT", path, body={"namespace": item["namespace"], "protected": False}))
    else:
        change = json.dumps([{"op": "replace", "path": "/protected", "value": False}]).encode()
        cloud.send(Sent(service, "PATCH", path, body=change, headers=(("Content-Type", PATCH),)))


def people(cloud: Cloud) -> None:
    """Ann, Rob and Ned in project alpha, Bob in beta; the admin with other scopes; tokens that are not good."""
    number = next(_NUMBER)
    roles = {role["name"]: role["id"] for role in cloud.make(Sent("identity", "GET", "/v3/roles"))["roles"]}
    for project in ("alpha", "beta"):
        body = {"project": {"name": f"{MARK}-{project}-{number}", "domain_id": "default"}}
        cloud.ids[project] = cloud.make(Sent("identity", "POST", "/v3/projects", body=body))["project"]["id"]
        cloud.people.append(f"/v3/projects/{cloud.ids[project]}")
    cloud.ids |= {f"{name}_role": key for name, key in roles.items() if re.fullmatch(r"\w+", name)}
    grants = {"ann": ("alpha", "member"), "rob": ("alpha", "reader"), "ned": ("alpha", ""), "bob": ("beta", "member"),
              "mia": ("alpha", "manager"), "dan": ("alpha", "member"), "roy": ("alpha", "member")}  # fmt: skip
    for user, (project, role) in grants.items():
        name = f"{MARK}-{user}-{number}"
        body = {"user": {"name": name, "password": PASSWORD, "domain_id": "default"}}
        cloud.ids[user] = cloud.make(Sent("identity", "POST", "/v3/users", body=body))["user"]["id"]
        cloud.ids[f"{user}_name"] = name
        cloud.people.append(f"/v3/users/{cloud.ids[user]}")
        if role:
            path = f"/v3/projects/${project}/users/${user}/roles/{roles[role]}"
            cloud.make(Sent("identity", "PUT", path))
    scopes = {"member": "ann", "reader": "rob", "other": "bob", "manager": "mia", "disabled": "dan", "revoked": "roy"}
    for persona, user in scopes.items():
        scope = {"project": {"id": cloud.ids[grants[user][0]]}}
        cloud.login(cloud.ids[f"{user}_name"], PASSWORD, scope, keep=persona)
    cloud.login(cloud.ids["bob_name"], PASSWORD, keep="unscoped")
    values = cloud.environment
    cloud.login(values["OS_USERNAME"], values["OS_PASSWORD"], {"system": {"all": True}}, keep="system")
    cloud.tokens |= {"garbage": "gAAAAABnotatoken", "none": None}
    cloud.make(Sent("identity", "DELETE", "/v3/auth/tokens", headers=(("X-Subject-Token", cloud.tokens["revoked"]),)))
    cloud.make(Sent("identity", "PATCH", "/v3/users/$dan", body={"user": {"enabled": False}}))
    cloud.ids |= {"token": cloud.tokens["member"] or "", "member_id": cloud.ids["beta"]}
    cloud.ids["server_id"] = "5" * 8 + "-5555-4555-8555-" + "5" * 12  # in no cloud


IDENTITY = (
    Thing("domain_id", "/v3/domains", {"domain": {"name": "#", "enabled": False}}, "domain.id"),
    Thing("project_id", "/v3/projects", {"project": {"name": "#", "domain_id": "default", "tags": ["t"]}},
          "project.id"),
    Thing("user_with_password", "/v3/users", {"user": {"name": "#", "password": PASSWORD, "domain_id": "default"}},
          "user.id"),
    Thing("user_id", "/v3/users", {"user": {"name": "#", "domain_id": "default"}}, "user.id",
          then=(("PUT", "/v3/projects/$project_id/users/$user_id/roles/$member_role", None),)),
    Thing("group_id", "/v3/groups", {"group": {"name": "#", "domain_id": "default"}}, "group.id",
          then=(("PUT", "/v3/groups/$group_id/users/$user_id", None),)),
    Thing("implied_role_id", "/v3/roles", {"role": {"name": "#"}}, "role.id"),
    Thing("role_id", "/v3/roles", {"role": {"name": "#"}}, "role.id",
          then=(("PUT", "/v3/roles/$role_id/implies/$implied_role_id", None),
                ("PUT", "/v3/projects/$project_id/users/$user_id/roles/$role_id", None),
                ("PUT", "/v3/projects/$project_id/groups/$group_id/roles/$role_id", None),
                ("PUT", "/v3/domains/$domain_id/users/$user_id/roles/$role_id", None),
                ("PUT", "/v3/domains/$domain_id/groups/$group_id/roles/$role_id", None),
                ("PUT", "/v3/system/users/$user_id/roles/$role_id", None),
                ("PUT", "/v3/system/groups/$group_id/roles/$role_id", None))),
    Thing("region_id", "/v3/regions", {"region": {"id": "#"}}, "region.id"),
    Thing("service_id", "/v3/services", {"service": {"type": "thing", "name": "#"}}, "service.id"),
    Thing("endpoint_id", "/v3/endpoints", {"endpoint": {"service_id": "$service_id", "interface": "public",
                                                        "url": "http://h/%(project_id)s"}}, "endpoint.id"),
    Thing("credential_id", "/v3/credentials", {"credential": {"type": "cert", "blob": "#", "user_id": "$user_id"}},
          "credential.id"),
    Thing("application_credential_id", "/v3/users/$ann/application_credentials",
          {"application_credential": {"name": "#", "access_rules": [
              {"service": "compute", "method": "GET", "path": "/#"}]}}, "application_credential.id", "member"),
    Thing("access_rule_id", "/v3/users/$ann/access_rules", None,
          "access_rules.0.id", "member", method="GET"),
    Thing("consumer_id", "/v3/OS-OAUTH1/consumers", {"consumer": {"description": "#"}}, "consumer.id"),
    Thing("access", "/v3/users/$ann/credentials/OS-EC2", {"tenant_id": "$alpha"}, "credential.access", "member"),
    Thing("trust_id", "/v3/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": "$ann", "trustee_user_id": "$rob", "project_id": "$alpha", "impersonation": True,
        "roles": [{"id": "$member_role"}]}}, "trust.id", "member"),
    Thing("limited_service_id", "/v3/services", {"service": {"type": "limited", "name": "#"}}, "service.id"),
    Thing("registered_limit_id", "/v3/registered_limits", {"registered_limits": [
        {"service_id": "$limited_service_id", "resource_name": "disks", "default_limit": 5}]},
          "registered_limits.0.id"),
    Thing("used_registered_limit_id", "/v3/registered_limits", {"registered_limits": [
        {"service_id": "$limited_service_id", "resource_name": "cores", "default_limit": 5}]},
          "registered_limits.0.id"),
    Thing("limit_id", "/v3/limits", {"limits": [
        {"service_id": "$limited_service_id", "resource_name": "cores", "resource_limit": 3, "project_id": "$alpha",
         "description": "#"}]}, "limits.0.id"),
    Thing("config", "/v3/domains/$domain_id/config", {"config": {"ldap": {"url": "ldap://h", "user_tree_dn": "x"}}},
          "config.ldap.url", gone="", method="PUT"),
    Thing("endpoint_group_id", "/v3/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {
        "name": "#", "filters": {"service_id": "$service_id"}}}, "endpoint_group.id",
          then=(("PUT", "/v3/OS-EP-FILTER/endpoint_groups/$endpoint_group_id/projects/$project_id", None),
                ("PUT", "/v3/OS-EP-FILTER/projects/$project_id/endpoints/$endpoint_id", None))),
    Thing("policy_id", "/v3/policies", {"policy": {"type": "text/plain", "blob": "#"}}, "policy.id",
          then=(("PUT", "/v3/policies/$policy_id/OS-ENDPOINT-POLICY/endpoints/$endpoint_id", None),
                ("PUT", "/v3/policies/$policy_id/OS-ENDPOINT-POLICY/services/$service_id", None),
                ("PUT", "/v3/policies/$policy_id/OS-ENDPOINT-POLICY/services/$service_id/regions/$region_id", None))),
)  # fmt: skip
_IMAGE = {"name": "#", "disk_format": "raw", "container_format": "bare", "tags": ["t"], "k": "v",
          "visibility": "shared"}  # fmt: skip
_SHAPE = {"title": "T", "type": "string", "description": "d"}
IMAGE = (
    Thing("image_id", "/v2/images", _IMAGE, "id", "member", "image",
          then=(("PUT", "/v2/images/$image_id/file", b"text " * 200),
                ("POST", "/v2/images/$image_id/members", {"member": "$beta"}))),
    Thing("queued_image_id", "/v2/images", _IMAGE, "id", "member", "image"),
    Thing("public_image_id", "/v2/images", _IMAGE | {"visibility": "public"}, "id", "admin", "image"),
    Thing("namespace", "/v2/metadefs/namespaces", {
        "namespace": "#", "owner": "$alpha", "description": "d", "tags": [{"name": "own-tag"}],
        "resource_type_associations": [{"name": "OS::Own::Type", "prefix": "p:"}],
        "objects": [{"name": "own-object", "description": "d", "properties": {"q": _SHAPE}}],
        "properties": {"own-property": _SHAPE}}, "namespace", "admin", "image"),
)  # fmt: skip
THINGS = {"identity": IDENTITY, "image": IMAGE}
