"""What may be odd about a request, one thing at a time: from a good one, everything that goes wrong with it."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from onestack.core.routes import Route
from tests.beside import queries
from tests.beside.cloud import Sent
from tests.contract import bodies

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PERSONAS = (
    "admin", "member", "reader", "manager", "other", "system", "unscoped", "revoked", "disabled", "garbage", "none",
)  # fmt: skip
VALUES: tuple[tuple[str, Any], ...] = (
    ("null", None), ("empty", ""), ("blank", "  "), ("zero", 0), ("minus", -1), ("float", 1.5), ("true", True),
    ("false", False), ("text", "x"), ("number as text", "1"), ("255", "x" * 255), ("256", "x" * 256),
    ("70000", "x" * 70000), ("list", []), ("object", {}), ("list of text", ["x"]), ("list of null", [None]),
    ("object with text", {"x": "y"}), ("unicode", "é\U0001f40d"), ("huge", 2**70),
)  # fmt: skip
# Neither dots nor slashes nor zero bytes: the web server in front of the real services has its own mind about them.
IDS = ("0" * 32, "x", "X" * 65, "%C3%A9", "a%20b", "%FF", "12345678-1234-1234-1234-123456789abc")
RAW: tuple[tuple[str, bytes], ...] = (
    ("no body", b""), ("not JSON", b"{"), ("list", b"[]"), ("null", b"null"), ("text", b'"x"'), ("number", b"1"),
    ("empty object", b"{}"), ("not UTF-8", b'{"a": "\xff"}'), ("with a mark", b"\xef\xbb\xbf{}"), ("form", b"a=b"),
)  # fmt: skip
TYPES = ("", "text/plain", "application/xml", "application/json; charset=latin-1", "x")
ACCEPTS = ("text/html", "application/xml", "text/plain", "*/*", "x")
PAGING = (
    "limit=1", "limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999", "marker=x",
    "marker=", "limit=1&marker=x", "limit=1&limit=2", "sort_key=name", "sort_key=x", "sort_key=", "sort_dir=asc",
    "sort_dir=x", "sort=name:asc", "sort=x", "sort=name:x", "fields=id", "x=y", "", "=", "&", "a", "%FF=%FF",
)  # fmt: skip
WORDS = (
    "", "x", "true", "True", "false", "0", "1", "-1", "null", "%C3%A9", "a%20b", "x" * 300, "gt:1", "in:a,b",
    "in:", "neq:x", "lt:2026-01-01T00:00:00Z", "gt:x", "2026-01-01T00:00:00Z", "0" * 32,
)  # fmt: skip


def of_routes(service: str, routes: list[Route]) -> Iterator[Sent]:
    paths: dict[str, set[str]] = {}
    for route in routes:
        paths.setdefault(route.path, set()).add(route.method)
        good = _good(service, route)
        for sent in good:
            yield from _persons(sent)
        yield from _odd_ids(good[0], service, route)
        yield from _odd_headers(good[0])
        if route.method == "GET":
            yield from _queries(good[0], queries.NAMES[service].get(route.path, ()))
        for sent in good:
            if sent.body is not None:
                yield from _odd_data(sent) if isinstance(sent.body, bytes) else _odd_bodies(sent)
    for path, methods in paths.items():
        yield from _methods(service, path, methods)


def _good(service: str, route: Route) -> list[Sent]:
    persona, other = queries.owner(route)
    first = Sent(
        service, route.method, _path(service, route.path, other), persona, queries.body(route), queries.headers(route),
        f"{route.method} {route.path}", "good",
    )  # fmt: skip
    found = [dataclasses.replace(first, body=_renamed(body, other)) for body in bodies.bodies_of(service, route)]
    return found or [first]


def _path(service: str, template: str, other: dict[str, str]) -> str:
    def parameter(found: re.Match[str]) -> str:
        name = bodies.parameter(service, template, found[1])
        return other.get(name, name)

    return re.sub(r"\{(\w+)(?::path)?\}", parameter, template)


def _renamed(value: Any, other: dict[str, str]) -> Any:
    if isinstance(value, str):
        return other.get(value, value)
    if isinstance(value, dict):
        return {_renamed(key, other): _renamed(item, other) for key, item in value.items()}
    return [_renamed(item, other) for item in value] if isinstance(value, list) else value


def _with(sent: Sent, what: str, **changes: Any) -> Sent:
    return dataclasses.replace(sent, what=what, **changes)


def _persons(sent: Sent) -> Iterator[Sent]:
    for persona in PERSONAS:
        yield _with(sent, f"as {persona}", persona=persona)


def _odd_ids(sent: Sent, service: str, route: Route) -> Iterator[Sent]:
    names = re.findall(r"\$\w+", sent.path)
    for number, name in enumerate(names):
        for odd in IDS:
            before, _, after = sent.path.partition(name)
            what = f"id {number}: {odd[:20]}"
            yield _with(sent, what, path=before + odd + after)
            if number == 0 and odd == IDS[0]:
                for persona in ("other", "none", "unscoped"):
                    yield _with(sent, f"{what} as {persona}", path=before + odd + after, persona=persona)
    for end in ("/", ".json", "/x", "?"):
        yield _with(sent, f"path ends with {end}", path=sent.path + end)


def _odd_headers(sent: Sent) -> Iterator[Sent]:
    for accept in ACCEPTS:
        yield _with(sent, f"Accept {accept}", headers=(*sent.headers, ("Accept", accept)))
        yield _with(sent, f"Accept {accept} as none", headers=(*sent.headers, ("Accept", accept)), persona="none")
    if sent.headers:
        for value in ("", "x", "é".encode().decode("latin-1"), "$bob"):
            yield _with(sent, f"{sent.headers[0][0]}: {value}", headers=((sent.headers[0][0], value),))


def _queries(sent: Sent, names: tuple[str, ...]) -> Iterator[Sent]:
    for query in PAGING:
        yield _with(sent, f"?{query}", path=f"{sent.path}?{query}")
    for name in names:
        for word in WORDS:
            yield _with(sent, f"?{name}={word[:20]}", path=f"{sent.path}?{urllib.parse.quote(name)}={word}")
        yield _with(sent, f"?{name}", path=f"{sent.path}?{urllib.parse.quote(name)}")


def _odd_data(sent: Sent) -> Iterator[Sent]:
    yield _with(sent, "no data", body=b"")
    for kind in (*TYPES, "application/json", "application/octet-stream; x=y"):
        yield _with(sent, f"Content-Type {kind}", headers=(("Content-Type", kind),))


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, by the keys that lead there."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))


def _odd_bodies(sent: Sent) -> Iterator[Sent]:
    for what, raw in RAW:
        yield _with(sent, what, body=raw, headers=(("Content-Type", "application/json"), *sent.headers))
    for kind in TYPES:
        data = json.dumps(sent.body).encode()
        yield _with(sent, f"Content-Type {kind}", body=data, headers=(*sent.headers, ("Content-Type", kind)))
    for path in _places(sent.body):
        where = "/".join(map(str, path))
        if path:
            yield _with(sent, f"{where}: absent", body=_changed(sent.body, path, None, drop=True))
            for what, value in VALUES:
                yield _with(sent, f"{where}: {what}", body=_changed(sent.body, path, value))
        item = _at(sent.body, path)
        if isinstance(item, dict):
            for key, value in (("x", "y"), ("id", "0" * 32), ("x" * 300, None), ("", "y"), ("links", {})):
                yield _with(sent, f"{where}: + {key[:9]}", body=_changed(sent.body, (*path, key), value))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _changed(value: Any, path: tuple[Any, ...], new: Any, *, drop: bool = False) -> Any:
    value = copy.deepcopy(value)
    parent = _at(value, path[:-1])
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = new
    return value


def _methods(service: str, template: str, methods: set[str]) -> Iterator[Sent]:
    persona, other = queries.owner(Route("GET", template, print))
    path = _path(service, template, other)
    for method in METHODS:
        if method in methods:
            continue
        sent = Sent(service, method, path, route=f"{method} {template}")
        for who in (persona, "none", "garbage"):
            yield _with(sent, f"method as {who}", persona=who)
        for what, kind in (("not JSON", "application/json"), ("as text", "text/plain")):
            yield _with(sent, f"method, {what}", persona=persona, body=b"{", headers=(("Content-Type", kind),))
