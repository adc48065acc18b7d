"""Flavors: /flavors, /flavors/detail, /flavors/{id}. Source: the compute API reference, "Flavors"."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import flavors, links, schema
from onestack.compute.models import Flavor
from onestack.core import paging
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response

# By which lists are sorted; `description`, `disabled` and `vcpu_weight` are taken and mean nothing here.
_SORT = {
    "flavorid": Flavor.id, "id": Flavor.id, "name": Flavor.name, "memory_mb": Flavor.ram, "vcpus": Flavor.vcpus,
    "root_gb": Flavor.disk, "ephemeral_gb": Flavor.ephemeral, "swap": Flavor.swap, "is_public": Flavor.is_public,
    "created_at": Flavor.created_at, "updated_at": Flavor.updated_at, "rxtx_factor": Flavor.rxtx_factor,
}  # fmt: skip
_DESCRIPTION = schema.printable(65535)
_ID = r"^(?! )[a-zA-Z0-9. _-]+(?<! )$"


def index(req: Request) -> dict[str, Any]:
    return _list(req, detail=False)


def detail(req: Request) -> dict[str, Any]:
    return _list(req, detail=True)


def show(req: Request, flavor_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"flavor": render_flavor(req, load(session, req, flavor_id))}


def create(req: Request) -> dict[str, Any]:
    values = schema.body(
        req.body, "flavor", _create_fields(req.version), req.version, required=("name", "ram", "vcpus", "disk")
    )
    req.authorize()
    identifier = str(values.get("id") or "")
    if not identifier or identifier == "auto":
        identifier = req.cloud.ids.uuid()
    flavor = Flavor(
        id=identifier, name=values["name"], description=values.get("description"), vcpus=values["vcpus"],
        ram=values["ram"], disk=values["disk"], ephemeral=values.get("OS-FLV-EXT-DATA:ephemeral", 0),
        swap=values.get("swap", 0), rxtx_factor=values.get("rxtx_factor", 1.0), extra_specs={},
        is_public=values.get("os-flavor-access:is_public", True), created_at=req.cloud.clock.now(), updated_at=None,
    )  # fmt: skip
    with req.cloud.db.write() as session:
        if session.scalar(sa.select(Flavor.id).where(Flavor.name == flavor.name)):
            raise Conflict(f"Flavor with name {flavor.name} already exists.")
        if session.get(Flavor, identifier) is not None:
            raise Conflict(f"Flavor with ID {identifier} already exists.")
        session.add(flavor)
        session.flush()
        return {"flavor": render_flavor(req, flavor)}


def update(req: Request, flavor_id: str) -> dict[str, Any]:
    fields = {"description": _DESCRIPTION}
    values = schema.body(req.body, "flavor", fields, req.version, required=("description",))
    req.authorize()
    with req.cloud.db.write() as session:
        flavor = load(session, req, flavor_id)
        flavor.description = values["description"]
        flavor.updated_at = req.cloud.clock.now()
        return {"flavor": render_flavor(req, flavor)}


def delete(req: Request, flavor_id: str) -> Response:
    with req.cloud.db.write() as session:
        session.delete(load(session, req, flavor_id))
    return Response()


def load(session: Session, req: Request, flavor_id: str) -> Flavor:
    """The flavor, if the caller may see it. Raises NotFound."""
    flavor = flavors.find(session, req.ctx, flavor_id)
    if flavor is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return flavor


def render_flavor(req: Request, flavor: Flavor) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": flavor.swap or (0 if req.version >= (2, 75) else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "links": links.links(req, "flavors", flavor.id),
    }
    if req.version < (2, 102):
        body["OS-FLV-DISABLED:disabled"] = False
        body["rxtx_factor"] = flavor.rxtx_factor
    if req.version >= (2, 55):
        body["description"] = flavor.description
    if req.version >= (2, 61) and req.allows("os_compute_api:os-flavor-extra-specs:index"):
        body["extra_specs"] = flavor.extra_specs
    return body


def _brief(req: Request, flavor: Flavor) -> dict[str, Any]:
    body: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": links.links(req, "flavors", flavor.id)}
    if req.version >= (2, 55):
        body["description"] = flavor.description
    return body


def _list(req: Request, *, detail: bool) -> dict[str, Any]:
    size = links.limit(req)
    key, direction = req.get("sort_key") or "flavorid", req.get("sort_dir") or "asc"
    key = key if key in _SORT else "flavorid"
    sorts = [(key, direction), *([] if key in ("flavorid", "id") else [("id", direction)])]
    with req.cloud.db.read() as session:
        marker = None
        after = req.get("marker")
        if after is not None:
            found = flavors.find(session, req.ctx, after)
            if found is None:
                raise BadRequest(f"marker [{after}] not found")
            marker = {name: getattr(found, column.key) for name, column in _SORT.items()}
        query = paging.paginate(_filtered(req), _SORT, sorts, marker=marker, limit=size)
        rows = list(session.scalars(query))
    render = render_flavor if detail else _brief
    body = {"flavors": [render(req, row) for row in rows]}
    path = "flavors/detail" if detail else "flavors"
    return links.with_next(body, "flavors", links.next_links(req, path, len(rows), size, rows[-1].id if rows else None))


def _filtered(req: Request) -> sa.Select[Any]:
    query = sa.select(Flavor)
    if req.ctx.is_admin:
        wanted = _is_public(req)
        if wanted is not None:
            query = query.where(Flavor.is_public.is_(wanted))
    else:
        query = query.where(flavors.visible(req.ctx))
    for name, column in (("minRam", Flavor.ram), ("minDisk", Flavor.disk)):
        text = req.get(name)
        if text is not None:
            try:
                query = query.where(column >= min(int(text), schema.INT32 + 1))
            except ValueError:
                raise BadRequest(f"Invalid {name} filter [{text}]") from None
    if req.version >= (2, 102) and (name_filter := req.get("name")):
        query = query.where(Flavor.name == name_filter)
    return query


def _is_public(req: Request) -> bool | None:
    text = req.get("is_public")
    if text is None:
        return True
    if text.lower() == "none":
        return None
    try:
        return req.get_bool("is_public")
    except BadRequest:
        raise BadRequest(f"Invalid is_public filter [{text}]") from None


def _flavor_id(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        raise schema.invalid(name, value, f"{value!r} is not of type 'string', 'number', 'null'")
    return schema.string(255, 1, _ID)(name, schema.string(None, 1)(name, value))


def _create_fields(version: Version) -> dict[str, schema.Check]:
    fields: dict[str, schema.Check] = {
        "name": schema.name_of(version),
        "id": _flavor_id,
        "ram": schema.integer(1),
        "vcpus": schema.integer(1),
        "disk": schema.integer(0),
        "OS-FLV-EXT-DATA:ephemeral": schema.integer(0),
        "swap": schema.integer(0),
        "os-flavor-access:is_public": schema.boolean,
    }
    if version < (2, 102):
        fields["rxtx_factor"] = schema.positive_number()
    if version >= (2, 55):
        fields["description"] = _DESCRIPTION
    return fields
