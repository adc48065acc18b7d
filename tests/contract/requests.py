"""Hypothesis strategies: requests that begin well and then go wrong in one or several ways."""

from __future__ import annotations

import copy
import json
import re
import urllib.parse
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from onestack.core.routes import Route
from tests.contract import bodies
from tests.contract.asgi import Sent
from tests.contract.world import MARK, World, service_of

UUID = "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"
WORDS = (
    "", " ", "x", "0", "-1", "1", "99999999999999999999", "1e400", "²", "true", "null", "None", "..",
    "../../etc/passwd", ".", "%", "%00", "\x00", "é" * 300, "\U0001f40d", "\u202e", "' OR 1=1 --",
    '"; DROP TABLE users; --', "<script>", "a\r\nb: c", "%s%n%(x)s", "{0}", "*", "default", "admin", "public",
    "detail", "latest", UUID, UUID.upper(), UUID.replace("-", ""), "g" * 32, "10.0.0.0/33", "10.0.0.5", "0.0.0.0/0",
    "::/0", "fe80::1%eth0", "::ffff:1.2.3.4", "fd00::/64", "2026-13-45", "0001-01-01T00:00:00",
    "9999-12-31T23:59:59Z", "fa:16:3e:00:00:01", "00:00:00:00:00:00", "in:a,b", "gt:1", "in:", "http://[::1",
    "file:///etc/passwd", "a" * 256, "z" * 5000, "9" * 5000, "quokka", "\ufeff",
    "a\tb", "name:asc,", ":", ",", "=", "&",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**40)
ODD: tuple[Any, ...] = (
    None, True, False, *NUMBERS, 0.5, -0.0, 1e308, float("inf"), float("nan"), [], {}, [[]], [None], [{}], {"": None},
    {"id": None}, {"a": {"b": {"c": []}}}, [1, "x", None], ["x", "x"], *WORDS, "\ud800", "x" * 70000,
)  # fmt: skip
RAW = (
    b"", b"{", b"[", b"null", b"[]", b'"x"', b"1", b"{}", b"\xff\xfe{}", b"\x00", b"{\"a\":1}garbage", b"{'a': 1}",
    b"[" * 20000, b'{"a":' * 20000, b"NaN", b'{"a": 1e999}', b'{"\\ud800": "\\ud800"}', b'{"a": "\\u0000"}', b"<x/>",
    b"a=b&c=d", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"1" * 5000, b"true",
)  # fmt: skip
TYPES = (
    "application/json", "application/json; charset=utf-8", "text/plain", "application/xml", "", "x",
    "multipart/form-data", "application/x-www-form-urlencoded", "application/octet-stream",
    "application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch",
    "application/json; charset=utf-99",
)  # fmt: skip
ACCEPTS = ("*/*", "application/json", "text/html", "application/xml", "", ";q=", "text/plain, */*;q=0.1", "x" * 300)
VERSIONS = (
    "1.0", "1.39", "2.1", "2.2", "2.10", "2.26", "2.35", "2.37", "2.42", "2.53", "2.57", "2.75", "2.90", "2.96",
    "2.100", "latest", "1.6", "1.11", "1.12", "1.14", "1.28", "1.34", "1.38", "0.0", "-1.0", "2", "2.01",
    "2.99999999999", "9.9", "x", "2.1.1", "", "²",
)  # fmt: skip
RANGES = (
    "bytes=0-3", "bytes=-5", "bytes=5-", "bytes=9999999999999999999-", "bytes=3-1", "bytes=a-b", "x=1-2", "bytes=",
    "bytes=0-1,3-4", "", "bytes=-0", "bytes 0-9/10", "bytes 0-3/*", "bytes 5-1/2",
)  # fmt: skip
QUERY = (
    "limit", "marker", "offset", "sort_key", "sort_dir", "sort", "sort_keys", "fields", "name", "id", "status",
    "tags", "tags-any", "not-tags", "all_tenants", "project_id", "tenant_id", "user_id", "domain_id", "enabled",
    "changes-since", "changes-before", "image", "flavor", "host", "ip", "ip6", "deleted", "locked", "tag",
    "reservation_id", "is_public", "minRam", "minDisk", "page_reverse", "device_id", "fixed_ips", "network_id",
    "cidr", "ip_version", "router:external", "shared", "mac_address", "visibility", "member_status", "owner",
    "size_min", "size_max", "created_at", "updated_at", "os_hidden", "disk_format", "protected", "checksum",
    "resources", "required", "member_of", "in_tree", "group_policy", "resources1", "required1", "root_required",
    "same_subtree", "uuid", "associated", "effective", "include_names", "role.id", "user.id", "group.id",
    "scope.project.id", "scope.system", "scope.OS-INHERIT:inherited_to", "is_domain", "parent_id", "parents_as_list",
    "subtree_as_ids", "start", "end", "detailed", "reserved", "binary", "with_servers", "hypervisor_hostname_pattern",
    "name__contains", "name__icontains", "name__x", "password_expires_at", "type", "region", "interface", "nocatalog",
    "allow_expired", "security_group_id", "belongs_to_default_sg", "alive", "revision_number", "description",
    "direction", "remote_ip_prefix", "floating_ip_address", "port_id", "admin_state_up", "config_drive", "x", "",
    "\x00", "é",
)  # fmt: skip
KEYS = (
    "id", "name", "description", "project_id", "tenant_id", "user_id", "links", "x", "", "é", "a" * 300, "__class__",
)  # fmt: skip

ASKING = ("admin", "admin", "admin", "member", "member", "other", "system", "unscoped", "none")
SEGMENTS = (
    "%", "%zz", "%00", "%2F", "%2e%2e", "%2e%2e%2f" * 9, "a" * 9000, "%F0%9F%90%8D" * 300, "..", "%FF%FE", ";", "a b",
    "%252e", "~", "*",
)  # fmt: skip
V1_HEADERS = (
    *(f"x-image-meta-{name}" for name in (
        "name", "id", "size", "checksum", "disk_format", "container_format", "is_public", "protected", "min_disk",
        "min-ram", "owner", "status", "location", "copy_from", "store", "deleted", "created_at", "virtual_size", "uri",
        "x", "", "property-k", "property-", "property-a-b", "property-os_glance_x", "property-\xe9",
    )),
    "x-glance-registry-purge-props", "x-glance-api-copy-from", "transfer-encoding", "content-length",
)  # fmt: skip
V1_VALUES = (
    "raw", "bare", "qcow2", "ami", "true", "0", "60", "1", "-1", "chunked", "http://127.0.0.1:1/x", "http://[", "file",
    "file:///etc/passwd", "swift://a:b@c/d", "%00", "%ff%fe", "%", "a%0d%0ab", "1" * 30, "active", "queued", UUID,
)  # fmt: skip
OTHER_HEADERS = (
    "Range", "Content-Range", "If-Match", "X-OpenStack-Nova-API-Version", "X-Project-Id", "x-image-meta-size",
    "X-Forwarded-For", "Forwarded", "Cookie", "X-Instance-ID", "Expect", "Content-Language", "If-Modified-Since",
)  # fmt: skip

odd_text = st.one_of(st.sampled_from(WORDS), st.text(max_size=40))
odd_value = st.one_of(
    st.sampled_from(ODD), st.text(max_size=40), st.integers(), st.floats(),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                 lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
                 max_leaves=6),
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, by the keys that lead there."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += _places(item, (*path, key))
    return found


@st.composite
def spoilt(draw: DrawFn, value: Any, known: tuple[str, ...]) -> Any:
    """A document with one to three things wrong."""
    holder = [copy.deepcopy(value)]
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        path = (0, *draw(st.sampled_from(_places(holder[0]))))
        parent: Any = holder
        for key in path[:-1]:
            parent = parent[key]
        item = parent[path[-1]]
        how = draw(st.sampled_from(("replace", "replace", "replace", "known", "drop", "add", "list", "object", "many")))
        if how == "drop" and len(path) > 1:
            del parent[path[-1]]
        elif how == "add" and isinstance(item, dict):
            item[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(odd_value))
        elif how == "list":
            parent[path[-1]] = [item]
        elif how == "object":
            parent[path[-1]] = {"x": item}
        elif how == "many":
            parent[path[-1]] = [copy.deepcopy(item) for _ in range(draw(st.sampled_from((2, 3, 60))))]
        else:
            parent[path[-1]] = copy.deepcopy(draw(st.sampled_from(known) if how == "known" else odd_value))
    return holder[0]


@st.composite
def requests(draw: DrawFn, world: World, service: str, route: Route) -> tuple[str, Sent]:
    """Who asks, and what."""
    persona = draw(st.sampled_from(ASKING))
    target = draw(_path(world, service, route))
    pairs = draw(st.lists(st.tuples(st.sampled_from(QUERY), _query_value(world)), max_size=3))
    if pairs:
        target += "?" + "&".join(f"{_quote(key)}={_quote(value)}" for key, value in pairs)
    body = draw(_body(world, service, route)) if route.method != "GET" else b""
    headers = draw(_headers(service, route))
    if world.tokens[persona]:
        headers["X-Auth-Token"] = world.tokens[persona] or ""
    if route.path == "/v3/auth/tokens":
        headers["X-Subject-Token"] = draw(st.sampled_from((*filter(None, world.tokens.values()), "x", "é", "")))
    if service == "agent":
        headers["Authorization"] = f"Bearer {draw(st.sampled_from((world.agent_token, world.agent_token, 'x')))}"
    return persona, Sent(route.method, target, tuple(headers.items()), (body,))


def _quote(text: str) -> str:
    return urllib.parse.quote(text.encode("utf-8", "surrogatepass"), safe="")


def _query_value(world: World) -> st.SearchStrategy[str]:
    return st.one_of(odd_text, st.sampled_from(tuple(world.ids.values())), st.sampled_from(("10", "asc", "True", MARK)))


@st.composite
def _path(draw: DrawFn, world: World, service: str, route: Route) -> str:
    real = tuple(world.ids.values())

    def fill(found: re.Match[str]) -> str:
        good = bodies.filled(bodies.parameter(service, route.path, found[1]), {found[1]: UUID, **world.ids})
        kind = draw(st.sampled_from(("good",) * 7 + ("real", "odd", "raw")))
        if kind == "raw":
            return draw(st.sampled_from(SEGMENTS))
        text = good if kind == "good" else draw(st.sampled_from(real) if kind == "real" else odd_text)
        return _quote(text)

    return re.sub(r"\{(\w+)(?::path)?\}", fill, route.path).replace(" ", "%20")


@st.composite
def _body(draw: DrawFn, world: World, service: str, route: Route) -> bytes:
    good = bodies.bodies_of(service, route)
    kind = draw(st.sampled_from(("good", *("spoilt",) * 5, "raw", "odd", "cut", "twice")))
    if kind == "raw" or not good:
        return draw(st.one_of(st.sampled_from(RAW), st.binary(max_size=60)))
    body = bodies.filled(draw(st.sampled_from(good)), world.ids)
    if kind == "odd":
        body = draw(odd_value)
    elif kind == "spoilt":
        body = draw(spoilt(body, tuple(world.ids.values())))
    data = json.dumps(body).encode()
    if kind == "twice" and isinstance(body, dict):
        data = data[:-1] + b", " + json.dumps({key: draw(odd_value) for key in body}).encode()[1:]
    return data[: draw(st.integers(0, len(data)))] if kind == "cut" else data


@st.composite
def _headers(draw: DrawFn, service: str, route: Route) -> dict[str, str]:
    headers: dict[str, str] = {}
    good = "application/json"
    if service_of(service) == "image" and route.method in ("PATCH", "PUT"):
        good = TYPES[9] if route.method == "PATCH" else TYPES[8] if route.stream else good
    headers["Content-Type"] = draw(st.sampled_from((good,) * 8 + TYPES))
    if service in ("compute", "placement"):
        low = ".".join(map(str, route.since)) if route.since else "latest"
        version = draw(st.sampled_from((low,) * 8 + ("latest",) * 8 + VERSIONS)).encode().decode("latin-1")
        name = draw(st.sampled_from((service,) * 12 + ("volume", "", "compute compute")))
        headers["OpenStack-API-Version"] = f"{name} {version}"
    if service_of(service) == "image" and "v2" not in route.path and route.stream:
        # API v1 says in headers what an image is.
        names = st.sampled_from(V1_HEADERS)
        for name, value in draw(st.lists(st.tuples(names, st.sampled_from(V1_VALUES) | odd_text), max_size=4)):
            headers[name] = value.encode("utf-8", "surrogatepass").decode("latin-1")
    if draw(st.integers(0, 3)) == 0:
        headers["Accept"] = draw(st.sampled_from(ACCEPTS))
    if draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from(OTHER_HEADERS))
        headers[name] = draw(st.sampled_from(RANGES + VERSIONS)).encode().decode("latin-1")
    return headers
