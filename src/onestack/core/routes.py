"""A route is one literal. From the table come the router, 405s, the policy reference and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from onestack.core.dialect import Version


class Route(msgspec.Struct, frozen=True):
    """One thing that clients can ask for.

    `path` is Falcon's template ("/v3/projects/{project_id}"); two routes may share method and path when their
    microversion ranges [since, until] differ. `policy` is the rule that must allow it; None with public=True means
    that no token is needed, None alone that any valid token will do. `target` says against what the rule is checked:
    "caller" (the caller's own project, user and domain, before the handler runs), "late" (the same, but the handler
    calls `req.authorize()`, after it has looked at the form of what was sent and before it looks anything up) or
    "object" (the handler loads the object and calls `req.authorize(target)`). An answer without that call is refused.
    `body` is a msgspec type; dict
    means any JSON object; None that a body is ignored. `stream` handlers are coroutines that read `req.stream` or
    return a Response with a stream.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    policy: str | None = None
    body: Any = None
    status: int = 200
    since: Version | None = None
    until: Version | None = None
    target: str = "caller"
    public: bool = False
    stream: bool = False

    def serves(self, version: Version) -> bool:
        return (self.since is None or self.since <= version) and (self.until is None or version <= self.until)


def also_there(
    table: Mapping[str, dict[str, list[Route]]], path: str
) -> Iterator[tuple[str, list[Route], dict[str, str]]]:
    """What a template has for a path that is also a literal: Falcon asks the literal alone, where a service that looks
    for method and path together would find PUT /flavors/{flavor_id} for PUT /flavors/detail."""
    parts = path.split("/")
    for other, methods in table.items():
        names = other.split("/")
        if other == path or len(names) != len(parts):
            continue
        unlike = {name: part for name, part in zip(names, parts, strict=True) if name != part}
        if all(name.startswith("{") and not part.startswith("{") for name, part in unlike.items()):
            for method, routes in methods.items():
                yield method, routes, {name[1:-1]: part for name, part in unlike.items()}
