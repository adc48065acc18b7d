"""Differences that are meant, and why."""

from __future__ import annotations

import re
from typing import Any


def why(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Why two answers differ as they should; "" when they shouldn't."""
    if theirs["status"] >= 500:
        return "the real service breaks"
    if ours["status"] != theirs["status"] or not isinstance(ours.get("body"), dict):
        return ""
    words, others = _message(ours["body"]), _message(theirs.get("body"))
    if not words or not others or words == others:
        return ""
    if others.startswith(words + "\n"):
        return "the real service repeats its schema and the value"
    if _hidden(words).match(others):
        return "long values are cut, and secrets aren't repeated"
    return ""


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _hidden(words: str) -> re.Pattern[str]:
    """What `words` would be with what stands where we cut or hide."""
    parts = re.split(r"\*\*\*|\.\.\.", words)
    return re.compile(".*".join(map(re.escape, parts)) + r"(\n.*)?$", re.DOTALL)
