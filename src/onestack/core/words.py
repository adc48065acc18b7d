"""Words for yes and no, as the services' common library (oslo.utils, strutils.bool_from_string) reads them, and
numbers of any length."""

from __future__ import annotations

import sys

YES = frozenset(("1", "t", "true", "on", "y", "yes"))
NO = frozenset(("0", "f", "false", "off", "n", "no"))


def truth(text: str) -> bool | None:
    """None for what is neither. Case and white space around it don't matter."""
    word = text.strip().lower()
    return True if word in YES else False if word in NO else None


def whole(digits: str) -> int:
    """What digits say. More than a column holds is as good as the largest number; Python itself reads 4,300 at most."""
    return int(digits) if len(digits) < 19 else sys.maxsize
