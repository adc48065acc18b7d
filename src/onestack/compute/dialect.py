"""How Nova speaks: error bodies, microversion headers, and project ids in paths.

Source: the compute API guide's "Faults" and "Microversions", and what Nova answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from onestack.compute.microversions import LEGACY, MAXIMUM, MINIMUM
from onestack.core.dialect import Dialect, Microversions, Version
from onestack.core.errors import BadRequest, Fault
from onestack.core.http import Request

_NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip

# A project id is what follows the version when it looks like one: 32 hex digits or a UUID.
_PROJECT = re.compile(r"^/(v2\.1|v2)/([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(/.*)?$")

_NOWHERE = "/-"  # no route is there

_VERSION_HEADER = "OpenStack-API-Version"
_LEGACY_HEADER = "X-OpenStack-Nova-API-Version"


class ComputeDialect(Dialect):
    max_body = 8 << 20  # personality files are base64 in the body
    internal = (
        "Unexpected API Error. Please report this to the operator of this cloud, with the request id of this answer."
    )

    def __init__(self) -> None:
        self._versions = Microversions("compute", MINIMUM, MAXIMUM, legacy=_LEGACY_HEADER)

    def error(self, fault: Fault) -> dict[str, Any]:
        if fault.status == 406 and "max_version" in fault.extra:
            return {"computeFault": {"code": 406, "message": fault.message}}
        name = _NAMES.get(fault.status, "computeFault")
        body: dict[str, Any] = {"code": fault.status, "message": fault.message}
        if "Retry-After" in fault.headers:
            body["retryAfter"] = fault.headers["Retry-After"]
        return {name: body}

    def version(self, headers: Mapping[str, str]) -> Version:
        return self._versions.parse(headers)

    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        headers = {"x-compute-request-id": request_id, "x-openstack-request-id": request_id}
        if version >= MINIMUM:
            text = f"{version[0]}.{version[1]}"
            headers[_VERSION_HEADER] = f"compute {text}"
            headers[_LEGACY_HEADER] = text
            headers["Vary"] = f"{_VERSION_HEADER}, {_LEGACY_HEADER}"
        return headers

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        if not path:
            return BadRequest(message)
        name = path.rpartition(".")[2]
        return BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. {message}")

    def malformed(self) -> Fault:
        return BadRequest("Malformed request body")


def without_project(path: str) -> str:
    """`/v2.1/<project id>/servers` → `/v2.1/servers`. Below a version a path with a slash at its end leads nowhere, as
    it does in Nova: a client that left an id out must not reach the collection."""
    match = _PROJECT.match(path)
    if match is not None:
        path = f"/{match[1]}{match[3] or '/'}"
    return _NOWHERE if path.endswith("/") and path.count("/") > 2 else path


def project_in_path(req: Request) -> str | None:
    """The project id that the client's path carried, before `without_project` took it out."""
    raw = req.falcon.scope.get("raw_path") or b""
    match = _PROJECT.match(raw.decode("latin-1").partition("?")[0])
    return match[2] if match else None


def check_project(req: Request) -> None:
    """Refuse a project id in the path that isn't the token's; an admin's system token may name any."""
    project = project_in_path(req)
    ctx = req.ctx_or_none
    if project is None or ctx is None or ctx.project_id is None:
        return
    if project != ctx.project_id:
        raise BadRequest(
            f"Malformed request URL: URL's project_id '{project}' doesn't match Context's project_id '{ctx.project_id}'"
        )


def entered(handler: Callable[..., Any], legacy: bool) -> Callable[..., Any]:
    """`handler` with what happens first in each: the path's project is checked, /v2 has no microversions."""

    def enter(req: Request, **params: Any) -> Any:
        if legacy:
            req.version = LEGACY
        check_project(req)
        return handler(req, **params)

    return enter
