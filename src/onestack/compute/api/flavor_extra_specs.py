"""Extra specs of flavors: /flavors/{id}/os-extra_specs."""

from __future__ import annotations

import re
from typing import Any

from onestack.compute import schema
from onestack.compute.api.flavors import load
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request

_KEY = re.compile(r"^[a-zA-Z0-9-_:. ]{1,255}$")


def index(req: Request, flavor_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"extra_specs": load(session, req, flavor_id).extra_specs}


def show(req: Request, flavor_id: str, key: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        specs = load(session, req, flavor_id).extra_specs
    if key not in specs:
        raise _missing(flavor_id, key)
    return {key: specs[key]}


def create(req: Request, flavor_id: str) -> dict[str, Any]:
    values = schema.obj({"extra_specs": _specs}, ("extra_specs",), req.version)("", req.body)["extra_specs"]
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        flavor.extra_specs = {**flavor.extra_specs, **values}
    return {"extra_specs": values}


def update(req: Request, flavor_id: str, key: str) -> dict[str, Any]:
    values = _specs("", req.body)
    if list(values) != [key]:
        raise BadRequest("Request body and URI mismatch")
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        flavor.extra_specs = {**flavor.extra_specs, **values}
    return values


def delete(req: Request, flavor_id: str, key: str) -> None:
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        if key not in flavor.extra_specs:
            raise _missing(flavor_id, key)
        flavor.extra_specs = {name: value for name, value in flavor.extra_specs.items() if name != key}


def _specs(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or (not value and not name):
        raise BadRequest("Malformed request body")
    for key, item in value.items():
        if not _KEY.match(key):
            raise schema.invalid(name or "extra_specs", value, f"{key!r} does not match '^[a-zA-Z0-9-_:. ]{{1,255}}$'")
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            raise schema.invalid(key, item, f"{item!r} is not of type 'string', 'number'")
        schema.string(255)(key, str(item))
    return {key: str(item) for key, item in value.items()}


def _missing(flavor_id: str, key: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
