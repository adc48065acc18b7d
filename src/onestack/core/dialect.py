"""How one service speaks: its errors, its microversions, its request id headers.

Each service subclasses Dialect once; core.http asks it and nothing else for anything that differs between services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from onestack.core.errors import BadRequest, Fault, NotAcceptable

Version = tuple[int, int]
# What the services say to requests that they can't make anything of.
MALFORMED = "The server could not comply with the request since it is either malformed or otherwise incorrect."

_REASONS = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
    413: "Request Entity Too Large", 415: "Unsupported Media Type", 416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity", 428: "Precondition Required", 429: "Too Many Requests",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


def reason(status: int) -> str:
    return _REASONS.get(status, "Error")


class Dialect:
    """The base: JSON errors in Keystone's form, no microversions."""

    max_body = 1 << 20  # bytes of a JSON body
    no_body = b""  # what a request without a body is taken for, where a body is expected
    quiet = False  # requests are logged at debug: programs of ours that ask all the time
    empty_type = ""  # the content type of an empty answer; old clients of most services try to parse what is JSON
    empty_is_null = False  # an empty body is read as null where any JSON will do
    no_scalars = False  # any JSON is an object or a list
    token_first = False  # without a valid token the answer is 401 whatever is asked: nothing else is looked at before
    versions_everywhere = False  # a path or a method that leads nowhere has a microversion as well
    big_numbers = False  # numbers beyond 64 bits get to the handlers, whose own checks refuse them
    knows_methods = True  # 405 to a method that a path doesn't have; otherwise it is as if there were no such path
    only_routes = False  # a path has the methods of the table alone: no HEAD where GET is, no OPTIONS in Allow
    body_first = False  # whatever has a body, it must be a JSON object: before the path, the method and the token count
    skips_mark = False  # a byte order mark before JSON is skipped
    first_counts = False  # of a query parameter that is given more than once, the first value; else the last
    slashes_count = False  # a slash at the end of a path, and an empty part of it, lead nowhere
    silent_methods: frozenset[str] = frozenset()  # templates of paths where `knows_methods` doesn't hold
    head_errors = ""  # the content type of the empty errors to HEAD, where they don't have that of their bodies
    options_type = ""  # the content type of the empty answer to OPTIONS, where that is not Falcon's own
    unauthenticated = "The request you have made requires authentication."
    internal = "An unexpected error prevented the server from fulfilling your request."

    def error(self, fault: Fault) -> dict[str, Any]:
        """The body of an error answer."""
        return {"error": {"code": fault.status, "title": reason(fault.status), "message": fault.message}}

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        """The bytes and the content type of an error answer. Services whose errors aren't always JSON (`accept` is what
        the client would like), or carry the request's id or version, have their own."""
        body = self.unauthorized() if fault.extra.get("no_token") else self.error(fault)
        return msgspec.json.encode(body), "application/json"

    def unauthorized(self) -> dict[str, Any]:
        """The 401 body when there is no valid token. It is the auth middleware's in every service but Keystone,
        which uses the same words."""
        return {"error": {"code": 401, "title": "Unauthorized", "message": self.unauthenticated}}

    def version(self, headers: Mapping[str, str]) -> Version:
        """The microversion that a request asks for (header names in lower case). Raises NotAcceptable or BadRequest."""
        return (0, 0)

    def version_at(self, path: str, headers: Mapping[str, str]) -> Version:
        """The same where it also depends on the path: some have no microversions."""
        return self.version(headers)

    def type_of_empty(self, path: str) -> str:
        """The content type of an empty answer of a route."""
        return self.empty_type

    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        """Headers on every answer."""
        return {"x-openstack-request-id": request_id}

    def fault_headers(self, fault: Fault, request_id: str, version: Version) -> dict[str, str]:
        """Headers on every error answer."""
        return self.headers(request_id, version)

    def check(self, req: Any) -> None:
        """What is refused of a request whose caller is known, before anything else is looked at. Raises a Fault."""

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        """A body that doesn't fit the schema: `path` is dotted ("server.name"), `message` says what is expected."""
        where = path or "body"
        return BadRequest(f"Invalid input for field/attribute {where}. {message}")

    def check_media(self, media: str) -> None:
        """Raises a Fault when a body with this media type ("": it has none) isn't read here."""

    def reads_unwanted(self, template: str, method: str | None) -> bool:
        """Whether a body is looked at that the route doesn't take. None: the path doesn't have the method."""
        return False

    def check_unwanted(self, raw: bytes) -> None:
        """Raises a Fault for such a body."""

    def malformed(self) -> Fault:
        return BadRequest(MALFORMED)

    def without_body(self) -> Fault:
        """No body where an object is wanted."""
        return self.not_object(None)

    def not_object(self, value: Any) -> Fault:
        """A body that is JSON and no object where one is wanted."""
        return self.malformed()

    def not_found(self, path: str) -> Fault:
        """No such route at this microversion."""
        return Fault("The resource could not be found.", status=404)

    def nowhere(self, path: str) -> Fault:
        """No such route at all."""
        return self.not_found(path)

    def not_allowed(self, method: str) -> Fault:
        return Fault("The method is not allowed for the requested URL.", status=405)


_VERSION = re.compile(r"^([1-9]\d*|0)\.([1-9]\d*|0)$", re.ASCII)


class Microversions:
    """`OpenStack-API-Version: <service> 2.53` as Nova, Cinder and Placement read it; also older headers."""

    def __init__(self, service: str, minimum: Version, maximum: Version, legacy: str | None = None) -> None:
        self.service, self.minimum, self.maximum, self.legacy = service, minimum, maximum, legacy

    def parse(self, headers: Mapping[str, str]) -> Version:
        text = self._asked(headers)
        if text is None:
            return self.minimum
        if text == "latest":
            return self.maximum
        match = _VERSION.match(text)
        if not match:
            raise BadRequest(
                f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.",
                kind="InvalidAPIVersionString",
            )
        version = (int(match[1]), int(match[2]))
        if not self.minimum <= version <= self.maximum:
            low, high = (f"{v[0]}.{v[1]}" for v in (self.minimum, self.maximum))
            raise NotAcceptable(
                f"Version {text} is not supported by the API. Minimum is {low} and maximum is {high}.",
                extra={"asked": text, "min_version": low, "max_version": high},
            )
        return version

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        """Of several values for this service the last one counts, as in the services' common parser."""
        for part in reversed(headers.get("openstack-api-version", "").split(",")):
            words = part.split(None, 1)
            if len(words) == 2 and words[0].lower() == self.service:
                return words[1].strip()
        legacy = headers.get(self.legacy.lower()) if self.legacy else None
        return legacy if legacy is None else legacy.rpartition(",")[2].strip()
