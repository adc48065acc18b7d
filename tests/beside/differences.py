"""Whether two answers say the same, once each cloud's own ids, names, addresses and times are taken out."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.beside.cloud import Answer, Cloud

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b")
_AUDIT = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])[\w-]{22}(?![\w-])")
_REQUEST = re.compile(r"req-[0-9a-f-]{36}")
_MARK = re.compile(r"\bbeside-(\w+-)?\d+\b")
_ROOT = re.compile(r"https?://[\w.]+(?::\d+)?(?:/identity|/image|/compute|/placement|/network)?")
HEADERS = ("content-type", "vary", "www-authenticate", "allow", "location", "link", "openstack-auth-receipt")
_VALUES = 12  # items of a list that are looked at


def plain(text: str, cloud: Cloud) -> str:
    """A text without what is the cloud's own."""
    for name, key in sorted(cloud.ids.items(), key=lambda item: -len(item[1])):
        if len(key) > 8:
            text = text.replace(key, f"${name}")
    for pattern, word in (
        (_REQUEST, "<request>"),
        (_TIME, "<time>"),
        (_ROOT, "<root>"),
        (_MARK, "<name>"),
        (_ID, "<id>"),
        (_AUDIT, "<audit id>"),
    ):
        text = pattern.sub(word, text)
    return text


def shape(value: Any) -> Any:
    """A document as far as it should be the same: of lists of objects, which have what others made, the keys alone."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return [shape(_keys(value))]
        return [shape(item) for item in value[:_VALUES]]
    return value


def _plain(value: Any, cloud: Cloud) -> Any:
    if isinstance(value, str):
        return plain(value, cloud)
    if isinstance(value, dict):
        return {plain(key, cloud): _plain(item, cloud) for key, item in value.items()}
    return [_plain(item, cloud) for item in value] if isinstance(value, list) else value


def _keys(items: list[Any]) -> dict[str, Any]:
    """The keys that the objects of a list have, one or another; what stands there may differ."""
    found: dict[str, Any] = {}
    for item in items:
        for key, value in item.items() if isinstance(item, dict) else ():
            found.setdefault(key, _keys([value]) if isinstance(value, dict) and value else None)
    return found


def seen(answer: Answer, cloud: Cloud) -> dict[str, Any]:
    """What a client sees of an answer, for comparison."""
    found: dict[str, Any] = {"status": answer.status}
    for name in HEADERS:
        if name in answer.headers:
            found[name] = plain(answer.headers[name], cloud)
    if "allow" in found:
        found["allow"] = ", ".join(sorted(found["allow"].replace(" ", "").split(",")))
    document = answer.json
    if answer.body and document is None:
        found["body"] = plain(answer.body.decode("utf-8", "replace"), cloud)[:2000]
    elif answer.body:
        found["body"] = _plain(shape(document), cloud)
    return found


def different(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By what is seen: ours and theirs, where they differ. Of a status that differs nothing else is said."""
    if ours["status"] != theirs["status"]:
        return {"status": (_short(ours), _short(theirs))}
    return {
        key: (ours.get(key), theirs.get(key))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    }


def _short(answer: dict[str, Any]) -> str:
    return f"{answer['status']} {json.dumps(answer.get('body'), ensure_ascii=False)[:300]}"
