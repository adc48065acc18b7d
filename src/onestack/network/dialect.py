"""How Neutron speaks: `{"NeutronError": {"type", "message", "detail"}}`, no microversions."""

from __future__ import annotations

from typing import Any

from onestack.core.dialect import Dialect
from onestack.core.errors import BadRequest, Fault

_KINDS = {
    400: "HTTPBadRequest", 401: "HTTPUnauthorized", 403: "HTTPForbidden", 404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed", 409: "HTTPConflict", 412: "HTTPPreconditionFailed",
    413: "HTTPRequestEntityTooLarge", 415: "HTTPUnsupportedMediaType", 501: "HTTPNotImplemented",
    503: "ServiceUnavailable",
}  # fmt: skip


class NeutronDialect(Dialect):
    big_numbers = True
    max_body = 4 << 20  # a bulk create of some thousand ports
    internal = "Request Failed: internal server error while processing your request."

    def error(self, fault: Fault) -> dict[str, Any]:
        message = fault.message
        if fault.kind == "PolicyNotAuthorized" and "rule" in fault.extra:
            message = f"rule:{fault.extra['rule']} is disallowed by policy"
        if fault.status == 405:
            message = (
                "The server could not comply with the request since it is either malformed or otherwise incorrect."
            )
        kind = fault.kind or _KINDS.get(fault.status, "HTTPInternalServerError")
        return {"NeutronError": {"type": kind, "message": message, "detail": ""}}

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return BadRequest(f"Invalid input for {path or 'body'}. Reason: {message}", kind="HTTPBadRequest")

    def malformed(self) -> Fault:
        return BadRequest("Body contains invalid data", kind="HTTPBadRequest")

    def not_found(self, path: str) -> Fault:
        return Fault("The resource could not be found.", status=404, kind="HTTPNotFound")
