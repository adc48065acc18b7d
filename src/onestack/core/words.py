"""Words for yes and no, as the services' common library (oslo.utils, strutils.bool_from_string) reads them."""

from __future__ import annotations

YES = frozenset(("1", "t", "true", "on", "y", "yes"))
NO = frozenset(("0", "f", "false", "off", "n", "no"))


def truth(text: str) -> bool | None:
    """None for what is neither. Case and white space around it don't matter."""
    word = text.strip().lower()
    return True if word in YES else False if word in NO else None
