"""How Placement speaks: microversions 1.0 to 1.39 and errors of the API working group's form, with codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from onestack.core.dialect import MALFORMED, Dialect, Microversions, Version, reason
from onestack.core.errors import (
    BadRequest,
    Conflict,
    Fault,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    UnsupportedMedia,
)

MINIMUM, MAXIMUM = (1, 0), (1, 39)

CONCURRENT = "placement.concurrent_update"
DUPLICATE = "placement.duplicate_name"
IN_USE = "placement.inventory.inuse"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
PARENT = "placement.resource_provider.cannot_delete_parent"
PROVIDER_NOT_FOUND = "placement.resource_provider.not_found"
BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"
DUPLICATE_KEY = "placement.query.duplicate_key"

# What the errors of each status begin with, whatever else they say.
_BEGINNINGS = {
    400: MALFORMED,
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request.",
}

_versions = Microversions("placement", MINIMUM, MAXIMUM)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def concurrent(message: str) -> Conflict:
    """409: the generation given isn't the present one."""
    return Conflict(message, kind=CONCURRENT)


class PlacementDialect(Dialect):
    token_first = True
    versions_everywhere = True

    def error(self, fault: Fault) -> dict[str, Any]:
        message = fault.message
        if fault.kind == "PolicyNotAuthorized":
            message = f"Policy does not allow {fault.extra['rule']} to be performed."
        beginning = _BEGINNINGS.get(fault.status)
        if beginning is not None:
            message = f"{beginning}\n\n {message}  "
        body = {"status": fault.status, "title": reason(fault.status), "detail": message}
        if fault.status == 406 and "max_version" in fault.extra:
            body.update(fault.extra)
        return {"errors": [body]}

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        if fault.extra.get("no_token"):
            return super().render_error(fault, request_id, version, accept)
        body = self.error(fault)
        first = body["errors"][0]
        if version >= (1, 23):
            first["code"] = fault.kind if fault.kind.startswith("placement.") else "placement.undefined_code"
        first["request_id"] = request_id
        return msgspec.json.encode(body), "application/json"

    def version(self, headers: Mapping[str, str]) -> Version:
        try:
            return _versions.parse(headers)
        except (NotAcceptable, BadRequest) as fault:
            text = headers.get("openstack-api-version", "").split(",")[-1].split()[-1]
            numbers = text.split(".")
            if isinstance(fault, BadRequest) and not (len(numbers) == 2 and all(map(_is_number, numbers))):
                raise BadRequest(f"Invalid microversion: invalid version string: {text}") from None
            low, high = (f"{version[0]}.{version[1]}" for version in (MINIMUM, MAXIMUM))
            words = f"Invalid microversion: Unacceptable version header: {text}"
            fault = self._not_acceptable("application/json", words)
            fault.extra = {"max_version": high, "min_version": low}
            raise fault from None

    def _not_acceptable(self, media: str, words: str) -> NotAcceptable:
        return NotAcceptable(
            "The resource could not be generated that was acceptable to your browser (content of type "
            f"{media}. \n\n {words}"
        )

    def check(self, req: Any) -> None:
        """The path, the method, then what the body is and what the answer may be: Placement speaks JSON alone."""
        request = req.falcon
        sent = request.scope["path"]
        if len(sent) > 1 and sent.endswith("/"):
            raise self.not_found(sent)
        if req.method == "HEAD":
            raise self.not_allowed(req.method)
        media = (request.content_type or "").split(";")[0].strip()
        if not media and request.content_length:
            raise BadRequest("content-type header required when content-length > 0")
        if req.route.body is not None and media != "application/json":
            raise UnsupportedMedia(
                f"The request media type {media or None} is not supported by this server. \n\n "
                f"The media type {media or None} is not supported, use application/json"
            )
        if req.method == "GET" and not req.route.public and not request.client_accepts_json:
            raise self._not_acceptable(request.accept, "Only application/json is provided")

    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        headers = {"x-openstack-request-id": request_id, "vary": "openstack-api-version"}
        if version != (0, 0):
            headers["openstack-api-version"] = f"placement {version[0]}.{version[1]}"
        return headers

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return BadRequest(f"JSON does not validate: {path + ': ' if path else ''}{message}")

    def malformed(self) -> Fault:
        return BadRequest("Malformed JSON: the body is no JSON.")

    def not_found(self, path: str) -> Fault:
        return NotFound("")

    def not_allowed(self, method: str) -> Fault:
        return MethodNotAllowed(
            f"The method {method} is not allowed for this resource. \n\n "
            "The method specified is not allowed for this resource."
        )
