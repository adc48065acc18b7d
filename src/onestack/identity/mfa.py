"""Multi-factor rules: which methods a user must prove together, from the user's own options.

`multi_factor_auth_rules` is a list of lists of methods; to prove all of any one list is enough. It counts unless
`multi_factor_auth_enabled` is false. Methods that aren't known here don't count, and rules of only such ones are no
rules, so that nobody is locked out by a mistake. Source: Keystone's administrator guide, "Multi-Factor Authentication".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from onestack.identity.models import User


def rules(user: User, known: Collection[str]) -> list[list[str]]:
    """What has to be proved, empty when anything will do. `known`: the methods that there are."""
    given = user.options.get("multi_factor_auth_rules")
    if user.options.get("multi_factor_auth_enabled") is False or not isinstance(given, list):
        return []
    found = [[method for method in dict.fromkeys(rule) if method in known] for rule in given if _is_rule(rule)]
    return [rule for rule in found if rule]


def satisfied(wanted: list[list[str]], proved: Collection[str]) -> bool:
    return not wanted or any(set(rule) <= set(proved) for rule in wanted)


def _is_rule(rule: Any) -> bool:
    return isinstance(rule, list) and bool(rule) and all(isinstance(method, str) for method in rule)
