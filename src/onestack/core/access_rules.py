"""What a token of an application credential with access rules may be used for.

A rule is a service's type, a method and a pattern of a path. In a pattern `*` and `{anything}` stand for one part of
the path, `**` for any number of them. Source: Identity API v3, "Application Credentials", and keystonemiddleware's
documentation of `service_type`.

Patterns are their owner's own text, so they never become regular expressions, which could be made to run for hours. All
that a pattern may still match is one integer, a bit for each of its steps, and a path is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# `***` is `**` and then `*`, as the middleware reads it.
_STEP = re.compile(r"(?P<rest>\*\*)|(?P<part>\*|\{[^}]*\})|(?P<one>.)", re.DOTALL)


class Pattern:
    """The pattern of one rule."""

    __slots__ = ("_accepted", "_any", "_loops", "_part", "_size", "_skips")

    def __init__(self, text: str) -> None:
        # Bit n says that the steps before n are behind us. A loop stays where it is for as long as it likes; a skip
        # (`**`) may also be left without having taken anything.
        self._accepted: dict[str, int] = {}  # character → steps that want exactly it
        self._part = self._any = self._loops = self._skips = 0
        steps = list(_STEP.finditer(text))
        for number, step in enumerate(steps):
            bit = 1 << number
            if step["one"]:
                self._accepted[step["one"]] = self._accepted.get(step["one"], 0) | bit
                continue
            self._loops |= bit
            if step["rest"]:
                self._any |= bit
                self._skips |= bit
            else:
                self._part |= bit
        self._size = len(steps)

    def matches(self, path: str) -> bool:
        state = self._skipped(1)
        for character in path:
            takers = self._any | self._accepted.get(character, 0) | (0 if character == "/" else self._part)
            took = state & takers
            state = self._skipped((took << 1) | (took & self._loops))
            if not state:
                return False
        return bool(state >> self._size & 1)

    def _skipped(self, state: int) -> int:
        skips = state & self._skips
        while skips:
            state |= skips << 1
            skips = (skips << 1) & self._skips & ~skips
        return state


class AccessRule(NamedTuple):
    service: str
    method: str
    pattern: Pattern


class AccessRules:
    """The rules of one application credential: whoever has its token may do what one of them allows."""

    def __init__(self, rules: Iterable[tuple[str, str, str]]) -> None:
        """`rules`: (service, method, path) of each."""
        self._rules = [AccessRule(service, method, Pattern(path)) for service, method, path in rules]

    def allow(self, service: str, method: str, paths: Iterable[str]) -> bool:
        """`paths`: the ways to write the path of the request, any of which may be that of the rule."""
        if service == "identity" and method == "GET" and any(path.endswith("/v3/auth/tokens") for path in paths):
            return True  # a token can always be looked at
        return any(
            rule.service == service and rule.method == method and any(rule.pattern.matches(path) for path in paths)
            for rule in self._rules
        )
