"""GET /, /v2 and /v2.1: which versions there are. No token is needed."""

from __future__ import annotations

import urllib.parse
from typing import Any

from onestack.compute.microversions import MAXIMUM, MINIMUM
from onestack.core.http import Request

_V2 = {"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": "", "updated": "2025-07-04T12:00:00Z"}
_V21 = {
    "id": "v2.1",
    "status": "CURRENT",
    "version": f"{MAXIMUM[0]}.{MAXIMUM[1]}",
    "min_version": f"{MINIMUM[0]}.{MINIMUM[1]}",
    "updated": "2013-07-23T11:33:21Z",
}


def index(req: Request) -> dict[str, Any]:
    return {"versions": [{**entry, "links": [_self(req, path)]} for entry, path in ((_V2, "v2"), (_V21, "v2.1"))]}


def show_v2(req: Request) -> dict[str, Any]:
    return _document(req, _V2, "v2", "2")


def show_v21(req: Request) -> dict[str, Any]:
    return _document(req, _V21, "v2.1", "2.1")


def choices(req: Request) -> dict[str, Any]:
    """What a path that begins with no version could have meant. The real service repeats the whole path here."""
    sent = urllib.parse.unquote((req.falcon.scope.get("raw_path") or b"").decode("latin-1")).partition("?")[0]
    found = []
    for entry, path, number in ((_V2, "v2", "2"), (_V21, "v2.1", "2.1")):
        self = {"rel": "self", "href": f"{req.base_url}/{path}{sent}"}
        media = _media(number)
        found.append({"id": entry["id"], "status": entry["status"], "links": [self], "media-types": [media]})
    return {"choices": found}


def _media(number: str) -> dict[str, str]:
    return {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}


def _self(req: Request, path: str) -> dict[str, str]:
    return {"rel": "self", "href": f"{req.base_url}/{path}/"}


def _document(req: Request, entry: dict[str, str], path: str, number: str) -> dict[str, Any]:
    manual = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    return {"version": {**entry, "links": [_self(req, path), manual], "media-types": [_media(number)]}}
