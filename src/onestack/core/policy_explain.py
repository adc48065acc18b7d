"""What a rule means: its text with the rules that it asks for, where each comes from, and who gets through.

Nothing here decides anything; `onestack explain` shows it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from oslo_policy import _parser

from onestack.core.context import Context
from onestack.core.policy import Policy, Target
from onestack.core.policy_files import references

_KEY = re.compile(r"%\(([^()%]+)\)s")
_USER, _PROJECT, _DOMAIN = "1" * 32, "2" * 32, "3" * 32  # of the personas; nobody has them
_ROLES = {
    "admin": ["admin", "manager", "member", "reader"],
    "manager": ["manager", "member", "reader"],
    "member": ["member", "reader"],
    "reader": ["reader"],
    "service": ["service"],
    "no role": [],
}


class Line(NamedTuple):
    """One rule of an expansion."""

    name: str
    check: str
    source: str  # "default", the operator's file, or "nowhere"


def expansion(policy: Policy, rule: str) -> list[Line]:
    """The rule and all that it asks for, each once, in the order in which they are met."""
    overrides, defaults, file = policy.overrides, policy.rules, policy.file
    found: dict[str, Line] = {}
    pending = [rule]
    while pending:
        name = pending.pop(0)
        if name in found:
            continue
        if name in overrides:
            check, source = overrides[name], str(file)
        elif name in defaults:
            check, source = defaults[name], "default"
        else:
            found[name] = Line(name, "!", "nowhere")
            continue
        found[name] = Line(name, check or "@", source)
        pending += references(_parser.parse_rule(check))
    return list(found.values())


def keys(lines: list[Line]) -> list[str]:
    """What the checks look at in the thing that is asked about."""
    return list(dict.fromkeys(key for line in lines for key in _KEY.findall(line.check)))


def personas() -> dict[str, Context]:
    """Somebody with each role on each kind of scope."""
    found = {}
    for name, roles in _ROLES.items():
        who: dict[str, Any] = {"user_id": _USER, "user_domain_id": _DOMAIN, "roles": roles}
        found[f"project {name}"] = Context(project_id=_PROJECT, project_domain_id=_DOMAIN, **who)
        if name in ("admin", "manager", "member", "reader"):
            found[f"domain {name}"] = Context(domain_id=_DOMAIN, **who)
            found[f"system {name}"] = Context(system=True, **who)
    return found


def target_of(wanted: list[str], context: Context | None) -> Target:
    """Values for the keys of a check: the caller's own, or (None) somebody else's."""
    own = context is not None
    user = context.user_id if context else "somebody else"
    project = (context.project_id if context else None) or ("none" if own else "another project")
    domain = (context.domain_id or context.project_domain_id or context.user_domain_id) if context else "another domain"
    found: Target = {}
    for key in wanted:
        last = key.replace(":", ".").split(".")
        if last[-2:] == ["role", "name"]:
            found[key] = "member"
        elif "role" in last:
            found[key] = None  # a role of no domain
        elif "user" in last[-1] or last[-2:] == ["user", "id"] or last[-1] == "trustor_user_id":
            found[key] = user
        elif "domain" in last[-1] or last[-2:] == ["domain", "id"]:
            found[key] = domain
        else:
            found[key] = project
    return found


def allows(policy: Policy, rule: str, context: Context, target: Target) -> bool | None:
    """None: a check that needs more than its words, such as one that asks another server."""
    try:
        return policy.allows(rule, context, target)
    except Exception:
        return None
