"""What a command says when it cannot go on."""

from __future__ import annotations


class Problem(Exception):
    """One clear line for the user, and the way out where there is one."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(f"{message}. Fix: {fix}" if fix else message)
