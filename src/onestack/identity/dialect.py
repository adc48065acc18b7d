"""Keystone's words: `{"error": {code, title, message}}`, no microversions, and its stock messages."""

from __future__ import annotations

from typing import Any

from onestack.core.dialect import MALFORMED, Dialect, Version
from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden, NotFound, Unauthorized

_CLIENT_ERROR = f"{MALFORMED} The client is assumed to be in error."


# Paths that lead nowhere are answered by what Keystone is built on, whatever the client would like.
_PAGE = """<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>
"""  # noqa: E501
_HTML = "text/html; charset=utf-8"


class IdentityDialect(Dialect):
    options_type = _HTML
    body_first = True
    big_numbers = True
    skips_mark = True
    first_counts = True

    def nowhere(self, path: str) -> Fault:
        if path.startswith("/v2.0/"):
            return self.not_found(path)
        return Fault(_PAGE, status=404, extra={"page": True})

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        if "page" in fault.extra:
            return fault.message.encode(), _HTML
        return super().render_error(fault, request_id, version, accept)

    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        return {"x-openstack-request-id": request_id, "Vary": "X-Auth-Token"}

    def error(self, fault: Fault) -> dict[str, Any]:
        """What the methods of authentication have to say besides stands in `identity`. A method that isn't allowed is
        refused by what Keystone is built on, in its form."""
        if fault.status == 405:
            return {"message": fault.message}
        body = super().error(fault)
        if "identity" in fault.extra:
            body["error"]["identity"] = fault.extra["identity"]
        return body

    no_body = b"{}"

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return invalid(path.rpartition(".")[2], value, message, whole=True) if path else BadRequest(message)

    def check_media(self, media: str) -> None:
        if media not in ("", "application/json") and not (media.startswith("application/") and media.endswith("+json")):
            raise expecting("application/json", "Content-Type header")

    def malformed(self) -> Fault:
        return BadRequest(f"Expecting to find valid JSON in request body. {_CLIENT_ERROR}")


_SECRETS = frozenset(("password", "original_password", "adminPass", "secret", "blob", "passcode"))
_HIDDEN = "***"
MOST_SHOWN = 1000  # characters of a value


def invalid(field: str, value: Any, problem: str, *, whole: bool = False) -> BadRequest:
    """A value that doesn't fit; `whole`: the problem doesn't begin with the value. Secrets are not repeated, which
    Keystone does."""
    shown, quoted = _shown(field, value)
    words = problem if whole else f"{quoted} {problem}"
    return BadRequest(f"Invalid input for field/attribute {field}. Value: {shown}. {words}")


def invalid_of_old(field: str, value: Any, problem: str, *, whole: bool = False) -> BadRequest:
    """The same in the words of the few resources that Keystone still checks as it did; without the schema and the
    value that it says after them. No field: it is the object itself."""
    words = problem if whole else f"{_shown(field, value)[1]} {problem}"
    return BadRequest(f"Invalid input for field '{field}': {words}" if field else words)


def _shown(field: str, value: Any) -> tuple[str, str]:
    """A value as text and as it is written in JSON's words."""
    if field in _SECRETS:
        return _HIDDEN, _HIDDEN
    value = _masked(value)
    return _cut(str(value)), _cut(repr(value))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _HIDDEN if name in _SECRETS else _masked(item) for name, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _cut(shown: str) -> str:
    return shown if len(shown) <= MOST_SHOWN else shown[: MOST_SHOWN - 3] + "..."


def check_length(column: str, value: str | None, most: int) -> None:
    """Raises BadRequest, in the words for what a schema lets through and no column holds."""
    if value is not None and len(value) > most:
        raise BadRequest(
            f"String length exceeded. The length of string '{_cut(value)}' exceeds the limit of column "
            f"{column}(CHAR({most}))."
        )


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
