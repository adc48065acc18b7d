"""Availability zones of networks and routers: there is one, so a hint is kept and changes nothing."""

from __future__ import annotations

import json
from typing import Any

from onestack.core.errors import NotFound
from onestack.network import errors
from onestack.network.attributes import different, text

ZONE = "nova"


def hints(value: Any) -> list[str]:
    """A parser for attributes.py."""
    found = different(value, text())
    if len(json.dumps(found)) > 255:
        raise errors.invalid_input("Too many availability_zone_hints specified")
    return found


def known(wanted: list[str]) -> list[str]:
    """Raises NotFound for a zone that isn't there."""
    for name in wanted:
        if name != ZONE:
            raise NotFound(f"AvailabilityZone {name} could not be found.", kind="AvailabilityZoneNotFound")
    return wanted
