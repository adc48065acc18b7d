"""Keystone's words: `{"error": {code, title, message}}`, no microversions, and its stock messages."""

from __future__ import annotations

from typing import Any

from onestack.core.dialect import Dialect, Version
from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden, NotFound, Unauthorized

_CLIENT_ERROR = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


class IdentityDialect(Dialect):
    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        return {"x-openstack-request-id": request_id, "Vary": "X-Auth-Token"}

    def error(self, fault: Fault) -> dict[str, Any]:
        """What the methods of authentication have to say besides stands in `identity`."""
        body = super().error(fault)
        if "identity" in fault.extra:
            body["error"]["identity"] = fault.extra["identity"]
        return body

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return BadRequest(f"Invalid input for field '{path.replace('.', '/')}': {message}" if path else message)

    def malformed(self) -> Fault:
        return BadRequest(f"Expecting to find valid JSON in request body. {_CLIENT_ERROR}")


def wrong(message: str) -> BadRequest:
    """`message` with the words that Keystone ends it with."""
    return BadRequest(f"{message} {_CLIENT_ERROR}")


def expecting(attribute: str, target: str) -> BadRequest:
    """Something is missing in the body."""
    return wrong(f"Expecting to find {attribute} in {target}.")


def invalid_credential(details: str) -> BadRequest:
    return BadRequest(f"Invalid application credential: {details}")


def unauthorized() -> Unauthorized:
    """Keystone never says why: neither that a user exists, nor that only the password was wrong."""
    return Unauthorized(Dialect.unauthenticated)


def forbidden(action: str = "") -> Forbidden:
    words = "You are not authorized to perform the requested action"
    return Forbidden(f"{words}: {action}." if action else f"{words}.")


def not_found(noun: str, key: object) -> NotFound:
    return NotFound(f"Could not find {noun}: {key}.")


def conflict(noun: str, details: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {noun} - {details}.")


def duplicate(noun: str, name: str, domain_id: str = "") -> Conflict:
    where = f" at domain ID {domain_id}" if domain_id else ""
    return conflict(noun, f"Duplicate entry found with name {name}{where}")
