"""Differences that are meant, and why."""

from __future__ import annotations

import re
from typing import Any


def why(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Why two answers differ as they should; "" when they shouldn't."""
    if theirs["status"] >= 500:
        return "the real service breaks"
    if ours["status"] != theirs["status"]:
        return ""
    if isinstance(ours.get("body"), str):
        same = _before_schema(ours["body"]) == _before_schema(str(theirs.get("body")))
        return "descriptions in schemas are in words of our own" if same else ""
    if not isinstance(ours.get("body"), dict):
        return ""
    if _useful(ours["body"]) == _useful(theirs.get("body")):
        return "links that lead elsewhere in Keystone"
    words, others = _message(ours["body"]), _message(theirs.get("body"))
    if not words or not others or words == others:
        return ""
    if others.startswith(words + "\n"):
        return "the real service repeats its schema and the value"
    if _hidden(words).match(others):
        return "long values are cut, and secrets aren't repeated"
    return ""


def _before_schema(words: str) -> str:
    return words.partition("Failed validating")[0]


def _useful(body: Any) -> Any:
    """Without links, and with what null stands for in an application credential."""
    if isinstance(body, list):
        return [_useful(item) for item in body]
    if not isinstance(body, dict):
        return body
    found = {key: _useful(value) for key, value in body.items() if key not in ("links", "roles_links")}
    return found | {"unrestricted": bool(found["unrestricted"])} if "unrestricted" in found else found


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _hidden(words: str) -> re.Pattern[str]:
    """What `words` would be with what stands where we cut or hide."""
    parts = re.split(r"\*\*\*|\.\.\.", words)
    return re.compile(".*".join(map(re.escape, parts)) + r"(\n.*)?$", re.DOTALL)
