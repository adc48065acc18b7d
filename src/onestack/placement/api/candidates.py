"""GET /allocation_candidates: where a request would fit. Each group of resources is taken from one provider."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.http import Request
from onestack.placement import candidate_query, filters
from onestack.placement.api import common
from onestack.placement.candidate_query import Group, Query
from onestack.placement.capacity import Stock, fits
from onestack.placement.models import Provider, ProviderTrait
from onestack.placement.public import stock_of

MAXIMUM = 1000  # candidates of one answer, whatever was asked
Stocks = dict[str, tuple[str, dict[str, Stock]]]
Combination = dict[str, str]  # suffix of the group → provider uuid


def index(req: Request) -> dict[str, Any]:
    query = candidate_query.parse(req)
    limit = min(query.limit or MAXIMUM, MAXIMUM)
    wanted = {suffix: group.resources for suffix, group in query.groups.items()}
    with req.cloud.db.read() as session:
        names = {name for resources in wanted.values() for name in resources}
        common.known_classes(session, names, "Invalid resource class in resources parameter: ")
        traits = query.root.names.union(*(group.traits.names for group in query.groups.values()))
        common.known_traits(session, traits)
        stocks = stock_of(session, None)
        roots = _roots(session, query)
        possible = {
            suffix: _providers(session, stocks, roots, group, req.version) for suffix, group in query.groups.items()
        }
        chosen = list(itertools.islice(_combine(query, possible, wanted, stocks, roots), limit))
        return _render(session, chosen, wanted, stocks, req.version)


def _roots(session: Session, query: Query) -> dict[str, str]:
    """provider → root, of the trees whose root has the traits that it must have."""
    found = sa.select(Provider.uuid, Provider.root_uuid).where(query.root.of(Provider.root_uuid))
    return {row.uuid: row.root_uuid for row in session.execute(found)}


def _providers(session: Session, stocks: Stocks, roots: dict[str, str], group: Group, version: Version) -> list[str]:
    """Providers that one group could come from, by name."""
    query = sa.select(Provider.uuid).order_by(Provider.name).where(group.traits.of(Provider.uuid))
    if group.member_of:
        query = query.where(filters.by_aggregates(group.member_of, version))
    if group.in_tree is not None:
        query = query.where(filters.by_tree(group.in_tree))
    return [
        uuid
        for uuid in session.scalars(query)
        if uuid in roots and all(fits(stocks[uuid][1].get(name), amount) for name, amount in group.resources.items())
    ]


def _combine(
    query: Query,
    possible: dict[str, list[str]],
    wanted: dict[str, dict[str, int]],
    stocks: Stocks,
    roots: dict[str, str],
) -> Iterator[Combination]:
    """Every way to take each group from one of its providers of one tree, such that all of them fit together."""
    suffixes = list(possible)
    for choice in itertools.product(*possible.values()):
        combination = dict(zip(suffixes, choice, strict=True))
        granular = [uuid for suffix, uuid in combination.items() if suffix]
        if len({roots[uuid] for uuid in choice}) > 1:
            continue
        if query.isolate and len(set(granular)) != len(granular):
            continue
        if any(len({uuid for suffix, uuid in combination.items() if suffix in group}) > 1 for group in query.together):
            continue
        totals = _totals(combination, wanted)
        if all(
            fits(stocks[uuid][1].get(name), amount)
            for uuid, resources in totals.items()
            for name, amount in resources.items()
        ):
            yield combination


def _totals(combination: Combination, wanted: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for suffix, uuid in combination.items():
        for name, amount in wanted[suffix].items():
            entry = totals.setdefault(uuid, {})
            entry[name] = entry.get(name, 0) + amount
    return totals


def _render(
    session: Session, chosen: list[Combination], wanted: dict[str, dict[str, int]], stocks: Stocks, version: Version
) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for combination in chosen:
        totals = _totals(combination, wanted)
        allocations: Any = {uuid: {"resources": resources} for uuid, resources in totals.items()}
        if version < (1, 12):
            allocations = [
                {"resource_provider": {"uuid": uuid}, "resources": resources} for uuid, resources in totals.items()
            ]
        request: dict[str, Any] = {"allocations": allocations}
        if version >= (1, 34):
            request["mappings"] = {suffix: [uuid] for suffix, uuid in combination.items()}
        requests.append(request)
    uuids = {uuid for combination in chosen for uuid in combination.values()}
    return {"allocation_requests": requests, "provider_summaries": _summaries(session, uuids, wanted, stocks, version)}


def _summaries(
    session: Session, uuids: set[str], wanted: dict[str, dict[str, int]], stocks: Stocks, version: Version
) -> dict[str, Any]:
    asked = {name for resources in wanted.values() for name in resources}
    traits: dict[str, list[str]] = {}
    query = sa.select(ProviderTrait.provider_uuid, ProviderTrait.trait).where(ProviderTrait.provider_uuid.in_(uuids))
    for uuid, trait in session.execute(query.order_by(ProviderTrait.trait)):
        traits.setdefault(uuid, []).append(trait)
    result: dict[str, Any] = {}
    parents = sa.select(Provider.uuid, Provider.parent_uuid, Provider.root_uuid).where(Provider.uuid.in_(uuids))
    for uuid, parent, root in session.execute(parents):
        resources = {
            name: {"capacity": stock.capacity, "used": stock.used}
            for name, stock in stocks[uuid][1].items()
            if version >= (1, 27) or name in asked
        }
        result[uuid] = {"resources": resources}
        if version >= (1, 17):
            result[uuid]["traits"] = traits.get(uuid, [])
        if version >= (1, 29):
            result[uuid]["parent_provider_uuid"] = parent
            result[uuid]["root_provider_uuid"] = root
    return result
