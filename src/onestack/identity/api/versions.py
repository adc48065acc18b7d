"""Version documents and the JSON home. Clients of every age begin here, without a token."""

from __future__ import annotations

from typing import Any

from onestack.core.http import Request, Response
from onestack.identity import json_home


def _v3(req: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{req.base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _v2(req: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "deprecated",
        "updated": "2016-08-04T00:00:00Z",
        "links": [
            {"rel": "self", "href": f"{req.base_url}/v2.0/"},
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
        ],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v2.0+json"}],
    }


def index(req: Request) -> Response:
    if _wants_home(req):
        return _home(req, "/v3")
    return Response({"versions": {"values": [_v3(req), _v2(req)]}}, 300, {"Location": f"{req.base_url}/v3/"})


def show(req: Request) -> Response:
    return _home(req, "") if _wants_home(req) else Response({"version": _v3(req)})


def show_v2(req: Request) -> dict[str, Any]:
    return {"version": _v2(req)}


def _wants_home(req: Request) -> bool:
    return json_home.wanted(req.header("Accept") or "")


def _home(req: Request, prefix: str) -> Response:
    return Response(json_home.document(req.service.routes, prefix), 200, content_type=json_home.MEDIA_TYPE)
