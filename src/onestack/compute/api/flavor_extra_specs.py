"""Extra specs of flavors: /flavors/{id}/os-extra_specs."""

from __future__ import annotations

from typing import Any

from onestack.compute import extra_specs, schema
from onestack.compute.api.flavors import load
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request


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
    given = schema.obj({"extra_specs": _specs}, ("extra_specs",), req.version)("", req.body)["extra_specs"]
    values = _checked(req, given)
    req.authorize()
    _store(req, flavor_id, values)
    return {"extra_specs": given}


def update(req: Request, flavor_id: str, key: str) -> dict[str, Any]:
    given: dict[str, Any] = _one_spec("", req.body)
    values = _checked(req, given)
    req.authorize()
    if key not in values:
        raise BadRequest("Request body and URI mismatch")
    _store(req, flavor_id, values)
    return given


def _store(req: Request, flavor_id: str, values: dict[str, str]) -> None:
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        flavor.extra_specs = {**flavor.extra_specs, **values}


def delete(req: Request, flavor_id: str, key: str) -> None:
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        if key not in flavor.extra_specs:
            raise _missing(flavor_id, key)
        flavor.extra_specs = {name: value for name, value in flavor.extra_specs.items() if name != key}


def _checked(req: Request, given: dict[str, Any]) -> dict[str, str]:
    """Numbers become text, as they are kept. Raises BadRequest."""
    values = {key: str(item) for key, item in given.items()}
    if req.version >= (2, 86):
        for key, item in values.items():
            extra_specs.check(key, item)
    return values


def _text_or_number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise schema.invalid(name, value, f"{value!r} is not of type 'string', 'number'")
    return schema.string(255)(name, value) if isinstance(value, str) else value


_specs = schema.pairs(_text_or_number)
_one_spec = schema.one_pair(_specs)


def _missing(flavor_id: str, key: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
