"""GET /allocation_candidates: where a request would fit."""

from __future__ import annotations

import itertools
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.placement import candidate_query, trees
from onestack.placement.api import common
from onestack.placement.models import Provider, ProviderTrait
from onestack.placement.public import stock_of

MAXIMUM = 1000  # candidates of one answer, whatever was asked


def index(req: Request) -> dict[str, Any]:
    query = candidate_query.parse(req)
    limit = min(query.limit or MAXIMUM, MAXIMUM)
    classes = {name for group in query.groups.values() for name in group.resources}
    with req.cloud.db.read() as session:
        common.known_classes(session, classes, "Invalid resource class in resources parameter: ")
        traits = query.root.names.union(*(group.traits.names for group in query.groups.values()))
        if missing := common.unknown_traits(session, traits):
            raise BadRequest(f"No such trait(s): {missing[0]}.")
        forest = trees.Forest(session, stock_of(session, None), traits)
        chosen = list(itertools.islice(trees.candidates(session, query, forest, req.version), limit))
        return {
            "allocation_requests": [_render(candidate, req.version) for candidate in chosen],
            "provider_summaries": _summaries(session, chosen, classes, forest.stocks, req.version),
        }


def _render(candidate: trees.Candidate, version: Version) -> dict[str, Any]:
    totals = trees.totals(candidate)
    allocations: Any = {uuid: {"resources": resources} for uuid, resources in totals.items()}
    if version < (1, 12):
        allocations = [
            {"resource_provider": {"uuid": uuid}, "resources": resources} for uuid, resources in totals.items()
        ]
    request: dict[str, Any] = {"allocations": allocations}
    if version >= (1, 34):
        mappings: dict[str, list[str]] = {}
        for slot, uuid in candidate:
            providers = mappings.setdefault(slot.suffix, [])
            if uuid not in providers:
                providers.append(uuid)
        request["mappings"] = mappings
    return request


def _summaries(
    session: Session, chosen: list[trees.Candidate], asked: set[str], stocks: trees.Stocks, version: Version
) -> dict[str, Any]:
    """Of all that is in a tree of which something is given; before 1.29 of what is given."""
    uuids = {uuid for candidate in chosen for _, uuid in candidate}
    query = sa.select(Provider.uuid, Provider.parent_uuid, Provider.root_uuid)
    if version >= trees.NESTED:
        roots = sa.select(Provider.root_uuid).where(Provider.uuid.in_(uuids))
        query = query.where(Provider.root_uuid.in_(roots.scalar_subquery()))
    else:
        query = query.where(Provider.uuid.in_(uuids))
    rows = session.execute(query).all()
    traits: dict[str, list[str]] = {}
    of = sa.select(ProviderTrait.provider_uuid, ProviderTrait.trait).where(
        ProviderTrait.provider_uuid.in_([row.uuid for row in rows])
    )
    for uuid, trait in session.execute(of.order_by(ProviderTrait.trait)):
        traits.setdefault(uuid, []).append(trait)
    result: dict[str, Any] = {}
    for uuid, parent, root in rows:
        resources = {
            name: {"capacity": stock.capacity, "used": stock.used}
            for name, stock in stocks[uuid][1].items()
            if version >= (1, 27) or name in asked
        }
        result[uuid] = {"resources": resources}
        if version >= (1, 17):
            result[uuid]["traits"] = traits.get(uuid, [])
        if version >= trees.NESTED:
            result[uuid]["parent_provider_uuid"] = parent
            result[uuid]["root_provider_uuid"] = root
    return result
