"""Errors whose page says more than one thing: first what the status means, then what is wrong."""

from __future__ import annotations

from onestack.core.errors import Fault, UnsupportedMedia

_EXPLANATIONS = {
    403: "Access was denied to this resource.",
    409: "There was a conflict when trying to complete your request.",
}


def detailed(status: int, detail: str) -> Fault:
    """An error whose page says first what its status means."""
    return Fault(_EXPLANATIONS[status], status=status, extra={"detail": detail})


def unsupported(media: str | None, detail: str, headers: dict[str, str] | None = None) -> UnsupportedMedia:
    """A body of a media type (None: it says none) that isn't read here."""
    words = f"The request media type {'${CONTENT_TYPE}' if media is None else media} is not supported by this server.\n"
    return UnsupportedMedia(words, headers=headers, extra={"detail": detail})
