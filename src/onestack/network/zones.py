"""Availability zones of networks and routers: there is one, so a hint is kept and changes nothing."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.network.attributes import Reason, different

ZONE = "nova"


def hints(value: Any) -> list[str]:
    """A parser for attributes.py."""
    if not isinstance(value, list):
        raise Reason(f"'{value}' is not a list")
    for item in value:
        if not isinstance(item, str):
            raise Reason(f"'{item}' is not a valid string")
        if len(item) > 255:
            raise Reason(f"'{item}' exceeds maximum length of 255")
    different(value)
    return value


def known(wanted: list[str]) -> list[str]:
    """Raises NotFound for a zone that isn't there."""
    for name in wanted:
        if name != ZONE:
            raise NotFound(f"AvailabilityZone {name} could not be found.", kind="AvailabilityZoneNotFound")
    return wanted
