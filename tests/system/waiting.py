"""Waiting for conditions, never for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float, what: str = "", interval: float = 0.2) -> T:
    """The first true answer of `condition`. Fails after `seconds`, with the last answer or error."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            found = condition()
            if found:
                return found
            last = found
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what or condition}; the last answer: {last!r}")
        time.sleep(interval)
