"""Versions, schemas, stores, import methods, tasks: what clients ask before they do something."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.image import schema, views

# What the API holds that is served here, by Glance's numbers; the first is the current one.
_VERSIONS = ("2.17", "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2",
             "2.1", "2.0")  # fmt: skip
_V1 = ("1.1", "1.0")
IMPORT_METHODS = ("glance-direct",)


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


def show_schema(req: Request, name: str) -> dict[str, Any]:
    if name not in schema.SCHEMAS:
        raise NotFound("The resource could not be found.")
    return schema.SCHEMAS[name]


def stores(req: Request) -> dict[str, Any]:
    return {"stores": [{"id": views.STORE, "default": "true"}]}


def stores_detail(req: Request) -> dict[str, Any]:
    detail = {"id": views.STORE, "type": "file", "default": "true", "weight": 0,
              "properties": {"chunk_size": 1 << 20, "thin_provisioning": False}}  # fmt: skip
    return {"stores": [detail]}


def import_info(req: Request) -> dict[str, Any]:
    methods = {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}
    return {"import-methods": methods}


def usage(req: Request) -> dict[str, Any]:
    """Empty where no limits are kept, as the real service answers without unified limits."""
    return {"usage": {}}
