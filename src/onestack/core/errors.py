"""One family of errors. A handler raises a Fault; the service's dialect renders it in that service's own words.

`kind` is the name of the service's own exception where clients see it (Neutron's `type`), empty elsewhere.
"""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """An answer with a 4xx or 5xx status. `message` is for the user and says what to do where that isn't plain."""

    status = 500

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        status: int | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.headers = headers or {}
        self.extra = extra or {}
        if status is not None:
            self.status = status


class BadRequest(Fault):
    status = 400


class Unauthorized(Fault):
    status = 401


class Forbidden(Fault):
    status = 403


class NotFound(Fault):
    status = 404


class MethodNotAllowed(Fault):
    status = 405


class NotAcceptable(Fault):
    """The microversion asked for isn't one of ours."""

    status = 406


class Conflict(Fault):
    status = 409


class Gone(Fault):
    status = 410


class TooLarge(Fault):
    status = 413


class UnsupportedMedia(Fault):
    status = 415


class RangeNotSatisfiable(Fault):
    status = 416


class NotImplementedHere(Fault):
    """The real service answers 501 as well: the feature needs something that this cloud doesn't have."""

    status = 501


class Unavailable(Fault):
    """Something that we stand on is away; asking again may help."""

    status = 503
