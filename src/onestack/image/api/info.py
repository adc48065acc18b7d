"""Versions, schemas, import methods: what clients ask before they do something."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.image import limits, schema

# What the API holds that is served here, by Glance's numbers; the first is the current one.
MINORS = range(18, -1, -1)
_VERSIONS = tuple(f"2.{minor}" for minor in MINORS)
_V1 = ("1.1", "1.0")


def _versions(req: Request) -> dict[str, Any]:
    found = [(version, "SUPPORTED" if position else "CURRENT") for position, version in enumerate(_VERSIONS)]
    found += [(version, "DEPRECATED") for version in _V1]
    return {
        "versions": [
            {
                "id": f"v{version}",
                "status": status,
                "links": [{"rel": "self", "href": f"{req.base_url}/v{version[0]}/"}],
            }
            for version, status in found
        ]
    }


def choices(req: Request) -> Response:
    return Response(_versions(req), 300)


def versions(req: Request) -> dict[str, Any]:
    return _versions(req)


def root(req: Request) -> Response:
    """Glance's router, which has nothing there."""
    return Response(b"", headers={"Location": f"{req.base_url}/v2/"}, content_type="text/plain; charset=utf8")


def show_schema(req: Request, name: str) -> dict[str, Any]:
    known = schema.schemas(req.cloud.settings.image)
    if name not in known:
        raise NotFound("The resource could not be found.")
    return known[name]


def import_info(req: Request) -> dict[str, Any]:
    methods = {
        "description": "Import methods available.",
        "type": "array",
        "value": req.cloud.settings.image.enabled_import_methods,
    }
    return {"import-methods": methods}


def usage(req: Request) -> dict[str, Any]:
    """What the project has of that for which there is a limit."""
    with req.cloud.db.read() as session:
        found = limits.of(session, req.cloud, req.ctx.project_id)
        used = limits.usage(session, req.ctx.project_id) if found and req.ctx.project_id else {}
    return {"usage": {name: {"usage": used[name], "limit": limit} for name, limit in found.items()}}
