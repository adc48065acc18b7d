"""How the things of Placement are called, and what a number may be."""

from __future__ import annotations

import uuid

MAX_INT = 0x7FFFFFFF
MAX_FLOAT = 3.40282e38
RESOURCE_CLASS = "^[A-Z0-9_]+$"
CUSTOM = "^CUSTOM_[A-Z0-9_]+$"
PROVIDER = "^[0-9a-fA-F-]{36}$"
CONSUMER_TYPE = "^[A-Z0-9_]+$"
NUMBERED_GROUP = "[1-9][0-9]*"  # before 1.33
GROUP = "[a-zA-Z0-9_-]{1,64}"


def is_uuid(value: str) -> bool:
    """As the services' common library has it: case and dashes don't matter. What no column holds is none."""
    if len(value) > 36:
        return False
    try:
        digits = str(uuid.UUID(value)).replace("-", "")
    except ValueError:
        return False
    return digits == value.strip("{}").replace("-", "").lower()


def dashed(value: str) -> str:
    """A UUID in the form in which it is kept."""
    return str(uuid.UUID(value))
