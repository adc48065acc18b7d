"""Host aggregates: /os-aggregates. Source: the compute API reference, "Host aggregates"."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import aggregates, availability, schema
from onestack.compute.models_admin import Aggregate
from onestack.core.clock import micros
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request, Response
from onestack.image import public as image_service

_ACTIONS = ("add_host", "remove_host", "set_metadata")
# Keys and values as of any metadata; a value of null takes the key away.
_METADATA = schema.pairs(schema.string(255, null=True))


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = list(session.scalars(sa.select(Aggregate).order_by(Aggregate.id)))
        members = aggregates.members(session, [row.id for row in rows])
    return {"aggregates": [render_aggregate(req, row, members.get(row.id, [])) for row in rows]}


def show(req: Request, aggregate_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return _shown(req, session, aggregates.load(session, aggregate_id))


def create(req: Request) -> dict[str, Any]:
    values = schema.body(req.body, "aggregate", _fields(req.version), req.version, required=("name",))
    req.authorize()
    zone = values.get("availability_zone")
    row = Aggregate(
        uuid=req.cloud.ids.uuid(), name=values["name"], meta={availability.KEY: zone} if zone else {},
        created_at=req.cloud.clock.now(), updated_at=None,
    )  # fmt: skip
    with req.cloud.db.write() as session:
        aggregates.check_name(session, row.name)
        session.add(row)
        session.flush()
    body = render_aggregate(req, row, [])
    # The answer to a create has always been without these two.
    del body["hosts"], body["metadata"]
    return {"aggregate": body}


def update(req: Request, aggregate_id: str) -> dict[str, Any]:
    fields = {**_fields(req.version), "name": schema.loose_name}
    values = schema.body(req.body, "aggregate", fields, req.version)
    if not values:
        raise schema.invalid("aggregate", {}, "{} is not valid under any of the given schemas")
    req.authorize()
    with req.cloud.db.write() as session:
        row = aggregates.load(session, aggregate_id)
        if "name" in values:
            aggregates.check_name(session, values["name"], row.id)
            row.name = values["name"]
        row.updated_at = req.cloud.clock.now()
        if "availability_zone" in values:
            change = {availability.KEY: values["availability_zone"]}
            aggregates.set_metadata(session, req.cloud, row, change, "")
        session.flush()
        return _shown(req, session, row)


def delete(req: Request, aggregate_id: str) -> Response:
    with req.cloud.db.write() as session:
        aggregates.delete(session, aggregates.load(session, aggregate_id))
    return Response()


def action(req: Request, aggregate_id: str) -> dict[str, Any]:
    name, _argument = schema.one_action(req.body, empty=not req.falcon.content_length)
    if name not in _ACTIONS:
        raise BadRequest(f"There is no such action: {name}")
    fields: dict[str, schema.Check] = {"host": schema.fqdn}
    if name == "set_metadata":
        fields = {"metadata": _METADATA}
    values = schema.body(req.body, name, fields, req.version, required=tuple(fields))
    req.authorize({}, f"os_compute_api:os-aggregates:{name}")
    with req.cloud.db.write() as session:
        row = aggregates.load(session, aggregate_id)
        if name == "add_host":
            aggregates.add_host(session, req.cloud, row, values["host"])
        elif name == "remove_host":
            aggregates.remove_host(session, req.cloud, row, values["host"])
        else:
            aggregates.set_metadata(session, req.cloud, row, values["metadata"])
        session.flush()
        return _shown(req, session, row)


def cache_images(req: Request, aggregate_id: str) -> Response:
    """POST …/images, since 2.81: a wish that a host may ignore, as hosts fetch an image when they need it first."""
    entry = schema.obj({"id": schema.uuid_string}, ("id",), req.version)
    wanted = schema.array(entry, unique=True, minimum=1)
    images = schema.obj({"cache": wanted}, ("cache",), req.version)("", req.body)["cache"]
    req.authorize()
    with req.cloud.db.read() as session:
        aggregates.load(session, aggregate_id)
        for image in images:
            try:
                image_service.boot_image(req.cloud, session, req.ctx, image["id"])
            except NotFound:
                raise BadRequest(f"Image {image['id']} could not be found.") from None
    return Response()


def render_aggregate(req: Request, row: Aggregate, hostnames: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "availability_zone": row.meta.get(availability.KEY),
        "hosts": hostnames,
        "metadata": row.meta,
        "created_at": micros(row.created_at),
        "updated_at": micros(row.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    if req.version >= (2, 41):
        body["uuid"] = row.uuid
    return body


def _shown(req: Request, session: Session, row: Aggregate) -> dict[str, Any]:
    return {"aggregate": render_aggregate(req, row, aggregates.hosts_of(session, row))}


def _fields(version: Version) -> dict[str, schema.Check]:
    name = schema.name_of(version)
    return {"name": name, "availability_zone": schema.either(schema.null, schema.without_colon(name))}
