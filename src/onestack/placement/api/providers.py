"""Resource providers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response
from onestack.placement import dialect, filters, forms, schemas
from onestack.placement.api import common
from onestack.placement.capacity import fits
from onestack.placement.models import Allocation, Inventory, Provider, ProviderAggregate, ProviderTrait
from onestack.placement.public import stock_of


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
    asked = common.query(req, schemas.provider_query(version))
    query = sa.select(Provider).order_by(Provider.name)
    if "member_of" in asked:
        query = query.where(filters.by_aggregates(req.get_all("member_of"), version))
    wanted = common.parse_resources(asked["resources"]) if "resources" in asked else {}
    if asked.get("name"):  # an empty one is none
        query = query.where(Provider.name == asked["name"])
    if "uuid" in asked:
        query = query.where(Provider.uuid == asked["uuid"])
    with req.cloud.db.read() as session:
        if "required" in asked:
            refused = 'Invalid trait(s) in "required" parameter: '
            query = query.where(filters.by_traits(session, req.get_all("required"), version, refused))
        if "in_tree" in asked:
            query = query.where(filters.by_tree(asked["in_tree"]))
        common.known_classes(session, wanted, "Invalid resource class in resources parameter: ")
        found = list(session.scalars(query))
        if wanted:
            found = _with_resources(session, found, wanted)
    return {"resource_providers": [render_provider(row, version) for row in found]}


def _with_resources(session: Session, found: list[Provider], wanted: dict[str, int]) -> list[Provider]:
    stocks = stock_of(session, wanted)
    return [
        row for row in found if all(fits(stocks[row.uuid][1].get(name), amount) for name, amount in wanted.items())
    ]  # fmt: skip


def create(req: Request) -> Response:
    body = common.checked(req.body, schemas.provider(req.version, new=True))
    name, parent_uuid = body["name"], body.get("parent_provider_uuid")
    uuid = forms.dashed(body["uuid"]) if "uuid" in body else req.cloud.ids.uuid()
    refused = f'Unable to create resource provider "{name}", {uuid}: Object action create failed because: '
    if not name:
        raise BadRequest(f"{refused}name is required")
    if parent_uuid == uuid:
        raise BadRequest(
            f"{refused}parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there "
            "is no parent."
        )
    with req.cloud.db.write() as session:
        root = uuid
        if parent_uuid is not None:
            parent = session.get(Provider, parent_uuid)
            if parent is None:
                raise BadRequest(f"{refused}parent provider UUID does not exist.")
            root = parent.root_uuid
        _free(session, name, uuid)
        provider = Provider(
            uuid=uuid, name=name, generation=0, root_uuid=root, updated_at=req.cloud.clock.now(),
            parent_uuid=parent_uuid,
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
    with req.cloud.db.write() as session:
        provider = common.locked(session, uuid)
        body = common.checked(req.body, schemas.provider(req.version, new=False))
        if "parent_provider_uuid" in body:
            _reparent(session, provider, body["parent_provider_uuid"], req.version)
        if provider.name != body["name"]:
            _free(session, body["name"], None)
        provider.name = body["name"]
        provider.updated_at = req.cloud.clock.now()
        session.flush()
        return render_provider(provider, req.version)


def delete(req: Request, uuid: str) -> None:
    with req.cloud.db.write() as session:
        if session.get(Provider, uuid) is None:
            raise NotFound(f"No resource provider with uuid {uuid} found for delete")
        common.locked(session, uuid)
        if session.scalar(sa.select(Allocation.consumer_uuid).where(Allocation.provider_uuid == uuid).limit(1)):
            raise Conflict(
                f"Unable to delete resource provider {uuid}: Resource provider has allocations.",
                kind=dialect.PROVIDER_IN_USE,
            )
        if session.scalar(sa.select(Provider.uuid).where(Provider.parent_uuid == uuid).limit(1)):
            raise Conflict(
                f"Unable to delete parent resource provider {uuid}: It has child resource providers.",
                kind=dialect.PARENT,
            )
        for table in (Inventory, ProviderTrait, ProviderAggregate):
            session.execute(sa.delete(table).where(table.provider_uuid == uuid))
        session.execute(sa.delete(Provider).where(Provider.uuid == uuid))


def _free(session: Session, name: str, uuid: str | None) -> None:
    """Raises Conflict when another provider has the name or the uuid."""
    same: sa.ColumnElement[bool] = Provider.name == name
    if uuid is not None:
        same = sa.or_(same, Provider.uuid == uuid)
    row = session.execute(sa.select(Provider.name, Provider.uuid).where(same)).first()
    if row is not None:
        what = f"uuid: {uuid}" if row.uuid == uuid else f"name: {name}" if uuid else name
        raise Conflict(f"Conflicting resource provider {what} already exists.", kind=dialect.DUPLICATE)


def _reparent(session: Session, provider: Provider, parent_uuid: str | None, version: Version) -> None:
    """Once in a tree, a provider can be moved, or taken out of it, from 1.37."""
    if parent_uuid == provider.parent_uuid:
        return

    def refuse(reason: str, action: str = "update") -> BadRequest:
        return BadRequest(
            f"Unable to save resource provider {provider.uuid}: Object action {action} failed because: {reason}"
        )

    parent = session.get(Provider, parent_uuid) if parent_uuid is not None else None
    if parent is None and parent_uuid is not None:
        raise refuse("parent provider UUID does not exist.", "create")
    if provider.parent_uuid is not None and version < (1, 37):
        raise refuse(f"{'un' if parent is None else 're'}-parenting a provider is not currently allowed.")
    ancestor = parent
    while ancestor is not None:
        if ancestor.uuid == provider.uuid:
            raise refuse("creating loop in the provider tree is not allowed.")
        ancestor = session.get(Provider, ancestor.parent_uuid) if ancestor.parent_uuid else None
    provider.parent_uuid = parent_uuid
    _set_root(session, provider, provider.uuid if parent is None else parent.root_uuid)


def _set_root(session: Session, provider: Provider, root: str) -> None:
    provider.root_uuid = root
    session.flush()
    for child in session.scalars(sa.select(Provider).where(Provider.parent_uuid == provider.uuid)):
        _set_root(session, child, root)
