"""How Nova speaks: error bodies, microversion headers, and project ids in paths.

Source: the compute API guide's "Faults" and "Microversions", and what Nova answers.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from onestack.compute.microversions import LEGACY, MAXIMUM, MINIMUM
from onestack.core.dialect import Dialect, Microversions, Version, reason
from onestack.core.errors import BadRequest, Fault, NotAcceptable, UnsupportedMedia
from onestack.core.http import Request

_NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip

# A project id is what follows the version when it is made of hex digits and dashes.
_PROJECT = re.compile(r"^/(v2\.1|v2)/([0-9a-f-]+)(/.*)?$")

# Paths that clients can't name, because these are rewritten before routing.
_NOWHERE = "/-"  # no route is there
CHOICES = "/-/choices"  # what begins with no version
DOCUMENT = "/~"  # after a version: its document below a project's id, which wants a token

GONE = "This resource is no longer available. No forwarding address is given."

_VERSION_HEADER = "OpenStack-API-Version"
_LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
_MEDIA = frozenset(("application/json", "application/vnd.openstack.compute+json", "text/plain", ""))

_PAGE = """<html>
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
  {body}


 </body>
</html>"""


class ComputeDialect(Dialect):
    max_body = 8 << 20  # personality files are base64 in the body
    empty_type = "application/json"
    empty_is_null = True
    token_first = True
    knows_methods = False
    only_routes = True
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

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        if "no_token" in fault.extra:
            return super().render_error(fault, request_id, version, accept)
        if "plain" in fault.extra:
            return _plain(fault, accept)
        return msgspec.json.encode(self.error(fault)), "application/json; charset=UTF-8"

    def version(self, headers: Mapping[str, str]) -> Version:
        try:
            return self._versions.parse(headers)
        except NotAcceptable as fault:
            fault.headers.update(_version_headers(fault.extra["asked"]))
            raise

    def version_at(self, path: str, headers: Mapping[str, str]) -> Version:
        """Only what is below /v2.1 has microversions."""
        if path.startswith("/v2.1"):
            return self.version(headers)
        return LEGACY if path.startswith("/v2") else (0, 0)

    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        headers = {"x-compute-request-id": request_id, "x-openstack-request-id": request_id}
        if version >= MINIMUM:
            headers |= _version_headers(f"{version[0]}.{version[1]}")
        return headers

    def fault_headers(self, fault: Fault, request_id: str, version: Version) -> dict[str, str]:
        """The middleware's answers know nothing of microversions."""
        outside = "no_token" in fault.extra or "plain" in fault.extra
        return self.headers(request_id, (0, 0) if outside else version)

    def check(self, req: Request) -> None:
        media = req.falcon.content_type
        if media and media.partition(";")[0].strip().lower() not in _MEDIA:
            raise UnsupportedMedia("Unsupported Content-Type")
        _check_project(req)

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        if not path:
            return BadRequest(message)
        name = path.rpartition(".")[2]
        return BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. {message}")

    def malformed(self) -> Fault:
        return BadRequest("Malformed request body")

    def not_object(self, value: Any) -> Fault:
        return BadRequest(f"{value!r} is not of type 'object'")

    def nowhere(self, path: str) -> Fault:
        return Fault("The resource could not be found.", status=404, extra={"plain": True})


def _version_headers(version: str) -> dict[str, str]:
    return {
        _VERSION_HEADER: f"compute {version}",
        _LEGACY_HEADER: version,
        "Vary": f"{_VERSION_HEADER},{_LEGACY_HEADER}",
    }


def _plain(fault: Fault, accept: str) -> tuple[bytes, str]:
    """What is answered before Nova's own code is reached: a page, text, or an object of another form than Nova's."""
    title, body = f"{fault.status} {reason(fault.status)}", f"{html.escape(fault.message, quote=False)}<br /><br />\n"
    offers = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if any(offer in ("*/*", "text/*", "text/html") for offer in offers):
        page = _PAGE.format(title=title, body=body)
        return page.encode(), "text/html; charset=UTF-8"
    if any(offer in ("application/*", "application/json") for offer in offers):
        answer = {"message": f"{body}\n\n", "code": title, "title": reason(fault.status)}
        return msgspec.json.encode(answer), "application/json"
    return f"{title}\n\n{fault.message}\n\n   ".encode(), "text/plain; charset=UTF-8"


def without_project(path: str) -> str:
    """`/v2.1/<project id>/servers` → `/v2.1/servers`. Below a version a path with a slash at its end leads nowhere, as
    it does in Nova: a client that left an id out must not reach the collection."""
    if "//" in path:
        path = re.sub("/+", "/", path)
    match = _PROJECT.match(path)
    if match is not None:
        below = match[3]
        path = f"/{match[1]}{DOCUMENT if below == '/' else below}" if below else _NOWHERE
    elif path in (f"/v2{DOCUMENT}", f"/v2.1{DOCUMENT}"):
        return _NOWHERE
    elif not path.startswith(("/v2/", "/v2.1/")) and path not in ("", "/", "/v2", "/v2.1"):
        return CHOICES
    return _NOWHERE if path.endswith("/") and path.count("/") > 2 else path


def project_in_path(req: Request) -> str | None:
    """The project id that the client's path carried, before `without_project` took it out."""
    raw = req.falcon.scope.get("raw_path") or b""
    match = _PROJECT.match(raw.decode("latin-1").partition("?")[0])
    return match[2] if match else None


def _check_project(req: Request) -> None:
    """Refuse a project id in the path that isn't the token's; an admin's system token may name any."""
    project = project_in_path(req)
    ctx = req.ctx_or_none
    if project is None or ctx is None or ctx.project_id is None:
        return
    if project != ctx.project_id:
        raise BadRequest(
            f"Malformed request URL: URL's project_id '{project}' doesn't match Context's project_id '{ctx.project_id}'"
        )
