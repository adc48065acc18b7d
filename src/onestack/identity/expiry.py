"""Until when a trust or an application credential shall hold, as its maker writes it."""

from __future__ import annotations

import datetime

from onestack.core.cloud import Cloud
from onestack.identity.dialect import wrong

_SHORTEST = len("20990101T00")


def parse(cloud: Cloud, text: str | None) -> datetime.datetime | None:
    """A time in UTC, with or without a Z; none: for ever. Raises BadRequest."""
    if text is None:
        return None
    bare = text.removesuffix("Z")
    try:
        when = datetime.datetime.fromisoformat(bare)
    except ValueError:
        raise wrong("Timestamp not in expected format.") from None
    if when.tzinfo is not None or len(bare) < _SHORTEST:
        raise wrong("Timestamp not in expected format.")
    if when < cloud.clock.now():
        raise wrong("The 'expires_at' must not be before now.")
    return when
