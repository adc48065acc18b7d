"""What the declared policy of Identity and Image says of a request, found out without our own policy code.

The rules are the documented check strings; oslo.policy decides. What they are told of the thing that is asked about is
written down here: it is always Ann's, of project alpha in the default domain.
"""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from onestack.core.routes import Route
from onestack.identity.policies import POLICIES as IDENTITY
from onestack.identity.policies import allowed_scopes
from onestack.image.policies import POLICIES as IMAGE
from tests.contract import bodies
from tests.contract.personas import HOME, Crowd, Persona
from tests.contract.world import MARK, service_of


def _enforcer(rules: dict[str, str]) -> policy.Enforcer:
    conf = cfg.ConfigOpts()
    conf([], project="tests", default_config_files=[], default_config_dirs=[])
    enforcer = policy.Enforcer(conf, policy_file="", use_conf=False)
    enforcer.set_rules(policy.Rules.from_dict(rules), use_conf=False)
    return enforcer


_ENFORCERS = {"identity": _enforcer(IDENTITY), "image": _enforcer(IMAGE)}
# Handlers that ask another rule than the route's: (method, path) → rules, all of which must allow it.
_OTHER_RULES = {
    ("DELETE", "/v2/stores/{store_id}/{image_id}"): ("get_image_location", "delete_image_location"),
    ("GET", "/v1/images/{image_id}"): ("get_image", "download_image"),
    ("POST", "/v2/images/{image_id}/import"): ("modify_image",),
    ("POST", "/v3/roles"): ("identity:create_domain_role",),
    ("GET", "/v2/metadefs/namespaces"): ("list_metadef_resource_types",),
}  # fmt: skip


def rules(route: Route) -> tuple[str, ...]:
    return _OTHER_RULES.get((route.method, route.path), (route.policy or "",))


def allows(world: Crowd, service: str, route: Route, persona: Persona, role: str | None = None) -> bool:
    """Whether the declared policy lets `persona` do it. `role`: the name of the role that is given or taken."""
    told = persona.credentials
    assert told is not None
    name = service_of(service)
    target = _identity(world, route, persona) if name == "identity" else _image(world, route, persona)
    if role is not None:
        target["target.role.name"] = role
    scopes = ("project", "unscoped") if name == "image" else ()
    return all(
        persona.scope in (scopes or allowed_scopes(rule))
        and bool(_ENFORCERS[name].enforce(rule, dict(target), dict(told)))
        for rule in rules(route)
    )


def sees(world: Crowd, persona: Persona) -> bool:
    """Whether Ann's image is there at all for `persona`: its own project, the one it is shared with, and admins."""
    told = persona.credentials or {}
    return "admin" in told["roles"] or told["project_id"] in (world.ids["alpha"], world.ids["gamma"])


def _own(told: dict[str, Any]) -> dict[str, Any]:
    project = told["project_id"]
    return {"project_id": project, "tenant_id": project, "owner": project, "user_id": told["user_id"],
            "domain_id": told["domain_id"]}  # fmt: skip


def _image(world: Crowd, route: Route, persona: Persona) -> dict[str, Any]:
    told, alpha = persona.credentials or {}, world.ids["alpha"]
    one = "{image_id}" in route.path or "{namespace}" in route.path
    if not one or route.target == "caller":
        return _own(told) | {"visibility": "shared"}
    of_alpha = {"project_id": alpha, "owner": alpha, "tenant": alpha, "member_id": None}
    if "{namespace}" in route.path:
        return of_alpha | {"visibility": "private"}
    if told["project_id"] == world.ids["gamma"]:
        of_alpha["member_id"] = told["project_id"]
    if route.policy == "modify_member":
        of_alpha["member_id"] = world.ids["gamma"]
    return of_alpha | {"visibility": "shared"}


def _identity(world: Crowd, route: Route, persona: Persona) -> dict[str, Any]:
    told, ids = persona.credentials or {}, world.ids
    if route.target == "caller":
        return _own(told)
    if "{" not in route.path and route.method == "GET" and route.path != "/v3/auth/tokens":
        return _of_list(route, told)
    if route.method == "POST" and "{" not in route.path:
        return _of_body(world, route)
    found = {
        "user_id": ids["ann"], "target.user.id": ids["ann"], "target.user.domain_id": HOME,
        "target.group.id": ids["group_id"], "target.group.domain_id": HOME,
        "target.project.id": ids["alpha"], "target.project.domain_id": HOME, "target.domain.id": HOME,
        "target.role.name": f"{MARK}-role", "target.role.domain_id": None,
        "target.credential.user_id": ids["ann"], "target.limit.project_id": ids["alpha"],
        "target.limit.project.domain_id": HOME, "target.trust.trustor_user_id": ids["ann"],
        "target.trust.trustee_user_id": ids["rob"], "target.token.user_id": ids["ann"],
    }  # fmt: skip
    if "{actor_id}" in route.path:  # a grant: one kind of actor, on one kind of place
        gone = ("target.user." if "/groups/" in route.path else "target.group.",
                "target.domain." if "/projects/" in route.path else "target.project.")  # fmt: skip
        found = {name: value for name, value in found.items() if not name.startswith(gone)}
    return found


def _of_list(route: Route, told: dict[str, Any]) -> dict[str, Any]:
    if route.path == "/v3/credentials":
        return {} if told["system_scope"] else {"target.credential.user_id": told["user_id"]}
    if told["domain_id"] is None:
        return {}
    return dict.fromkeys(("target.domain_id", "target.domain.id", "target.group.domain_id"), told["domain_id"])


def _of_body(world: Crowd, route: Route) -> dict[str, Any]:
    body = good_body("identity", route, world)
    found = {}
    for noun, values in body.items():
        if isinstance(values, dict):
            found |= {f"target.{noun}.{name}": value for name, value in values.items()}
    return found


def good_body(service: str, route: Route, world: Crowd) -> Any:
    """What is asked for: the fullest body of something new, the plainest of a change; None where there is none."""
    good = bodies.bodies_of(service, route)
    return bodies.filled(good[0 if route.method == "POST" else -1], world.ids) if good else None
