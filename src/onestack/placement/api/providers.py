"""Resource providers."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict
from onestack.core.http import Request, Response
from onestack.placement import dialect, filters
from onestack.placement.api import common
from onestack.placement.capacity import fits
from onestack.placement.models import Allocation, Inventory, Provider, ProviderAggregate, ProviderTrait
from onestack.placement.public import stock_of


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    uuid: str | None = None
    parent_provider_uuid: str | msgspec.UnsetType | None = msgspec.UNSET


def render_provider(provider: Provider, version: Version) -> dict[str, Any]:
    here = f"/resource_providers/{provider.uuid}"
    below = [("inventories", (1, 0)), ("usages", (1, 0)), ("aggregates", (1, 1)), ("traits", (1, 6)),
             ("allocations", (1, 11))]  # fmt: skip
    links = [{"rel": "self", "href": here}]
    links += [{"rel": rel, "href": f"{here}/{rel}"} for rel, since in below if version >= since]
    body = {"uuid": provider.uuid, "name": provider.name, "generation": provider.generation, "links": links}
    if version >= (1, 14):
        body["parent_provider_uuid"] = provider.parent_uuid
        body["root_provider_uuid"] = provider.root_uuid
    return body


def index(req: Request) -> dict[str, Any]:
    version = req.version
    allowed = {"name": (1, 0), "uuid": (1, 0), "member_of": (1, 3), "resources": (1, 4), "in_tree": (1, 14),
               "required": (1, 18)}  # fmt: skip
    repeated = [key for key, since in (("member_of", (1, 24)), ("required", (1, 39))) if version >= since]
    common.only(req, [key for key, since in allowed.items() if version >= since], repeated)
    query = sa.select(Provider).order_by(Provider.name)
    for key, column in (("name", Provider.name), ("uuid", Provider.uuid)):
        value = req.get(key)
        if value is not None:
            if key == "uuid" and not common.is_uuid(value):
                raise BadRequest(f"Invalid query string parameters: '{value}' is not a 'uuid'")
            query = query.where(column == value)
    with req.cloud.db.read() as session:
        if req.get("member_of") is not None:
            query = query.where(filters.by_aggregates(req.get_all("member_of"), version))
        if req.get("required") is not None:
            query = query.where(filters.by_traits(session, req.get_all("required"), version))
        if req.get("in_tree") is not None:
            query = query.where(filters.by_tree(session, req.get("in_tree") or ""))
        found = list(session.scalars(query))
        if req.get("resources") is not None:
            found = _with_resources(session, found, common.parse_resources(req.get("resources") or ""))
    return {"resource_providers": [render_provider(row, version) for row in found]}


def _with_resources(session: Session, found: list[Provider], wanted: dict[str, int]) -> list[Provider]:
    common.known_classes(session, wanted)
    stocks = stock_of(session, wanted)
    return [
        row for row in found if all(fits(stocks[row.uuid][1].get(name), amount) for name, amount in wanted.items())
    ]  # fmt: skip


def create(req: Request) -> Response:
    body: Body = req.body
    uuid = body.uuid or req.cloud.ids.uuid()
    _check(req, body, uuid)
    with req.cloud.db.write() as session:
        _free(session, body.name, uuid)
        root = uuid
        if isinstance(body.parent_provider_uuid, str):
            parent = session.get(Provider, body.parent_provider_uuid)
            if parent is None:
                raise BadRequest(
                    "Unable to create resource provider: parent provider UUID provided does not exist.",
                    kind=dialect.PROVIDER_NOT_FOUND,
                )
            root = parent.root_uuid
        provider = Provider(
            uuid=uuid, name=body.name, generation=0, root_uuid=root, updated_at=req.cloud.clock.now(),
            parent_uuid=body.parent_provider_uuid or None,
        )  # fmt: skip
        session.add(provider)
    headers = {"Location": f"{req.base_url}/resource_providers/{uuid}"}
    if req.version >= (1, 20):
        return Response(render_provider(provider, req.version), 200, headers)
    return Response(None, 201, headers)


def show(req: Request, uuid: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return render_provider(common.provider(session, uuid), req.version)


def update(req: Request, uuid: str) -> dict[str, Any]:
    body: Body = req.body
    _check(req, body, uuid)
    if body.uuid is not None:
        raise BadRequest("JSON does not validate: Additional properties are not allowed ('uuid' was unexpected)")
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        if provider.name != body.name:
            _free(session, body.name, None)
        provider.name = body.name
        provider.updated_at = req.cloud.clock.now()
        if body.parent_provider_uuid is not msgspec.UNSET:
            _reparent(session, provider, body.parent_provider_uuid or None, req.version)
        session.flush()
        return render_provider(provider, req.version)


def delete(req: Request, uuid: str) -> None:
    with req.cloud.db.write() as session:
        common.locked(session, uuid)
        if session.scalar(sa.select(Allocation.consumer_uuid).where(Allocation.provider_uuid == uuid).limit(1)):
            raise Conflict(
                "Unable to delete resource provider " + uuid + ": Resource provider has allocations.",
                kind=dialect.PROVIDER_IN_USE,
            )
        if session.scalar(sa.select(Provider.uuid).where(Provider.parent_uuid == uuid).limit(1)):
            raise Conflict(
                f"Unable to delete parent resource provider {uuid}: it has child resource providers.",
                kind=dialect.PARENT,
            )
        for table in (Inventory, ProviderTrait, ProviderAggregate):
            session.execute(sa.delete(table).where(table.provider_uuid == uuid))
        session.execute(sa.delete(Provider).where(Provider.uuid == uuid))


def _check(req: Request, body: Body, uuid: str) -> None:
    if not common.is_uuid(uuid):
        raise BadRequest(f"JSON does not validate: '{uuid}' is not a 'uuid'")
    if not 1 <= len(body.name) <= 200:
        raise BadRequest("JSON does not validate: the name must have from 1 to 200 characters")
    if body.parent_provider_uuid is not msgspec.UNSET:
        if req.version < (1, 14):
            raise BadRequest(
                "JSON does not validate: Additional properties are not allowed ('parent_provider_uuid' was unexpected)"
            )
        if body.parent_provider_uuid is not None and not common.is_uuid(body.parent_provider_uuid):
            raise BadRequest(f"JSON does not validate: '{body.parent_provider_uuid}' is not a 'uuid'")


def _free(session: Session, name: str, uuid: str | None) -> None:
    """Raises Conflict when another provider has the name or the uuid."""
    same: sa.ColumnElement[bool] = Provider.name == name
    if uuid is not None:
        same = sa.or_(same, Provider.uuid == uuid)
    row = session.execute(sa.select(Provider.name, Provider.uuid).where(same)).first()
    if row is not None:
        what = f"name {name}" if row.name == name else f"uuid {uuid}"
        raise Conflict(f"Conflicting resource provider {what} already exists.", kind=dialect.DUPLICATE)


def _reparent(session: Session, provider: Provider, parent_uuid: str | None, version: Version) -> None:
    if parent_uuid == provider.parent_uuid:
        return
    if provider.parent_uuid is not None and version < (1, 37):
        raise BadRequest("Unable to save resource provider: re-parenting a provider is not currently allowed.")
    root = provider.uuid
    if parent_uuid is not None:
        parent = session.get(Provider, parent_uuid)
        if parent is None:
            raise BadRequest("Unable to save resource provider: parent provider UUID does not exist.")
        ancestor: Provider | None = parent
        while ancestor is not None:
            if ancestor.uuid == provider.uuid:
                raise BadRequest("Unable to save resource provider: creating loop in the provider tree is not allowed.")
            ancestor = session.get(Provider, ancestor.parent_uuid) if ancestor.parent_uuid else None
        root = parent.root_uuid
    provider.parent_uuid = parent_uuid
    _set_root(session, provider, root)


def _set_root(session: Session, provider: Provider, root: str) -> None:
    provider.root_uuid = root
    session.flush()
    for child in session.scalars(sa.select(Provider).where(Provider.parent_uuid == provider.uuid)):
        _set_root(session, child, root)
