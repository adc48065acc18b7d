"""Where groups of resources would fit together: each candidate is within one tree of providers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.placement import filters
from onestack.placement.candidate_query import Group, Query
from onestack.placement.capacity import Stock, fits
from onestack.placement.models import Provider, ProviderTrait

Stocks = dict[str, tuple[str, dict[str, Stock]]]
TRIED = 100_000  # ways of one tree that are looked at
NESTED = (1, 29)  # before, nobody is given several providers of one tree


class Slot(NamedTuple):
    """What one provider gives: all of a group that has a suffix, one class of the group that has none."""

    suffix: str
    resources: dict[str, int]


Candidate = list[tuple[Slot, str]]  # with the provider of each


class Forest:
    """The providers as they are now, by name."""

    def __init__(self, session: Session, stocks: Stocks, names: set[str]) -> None:
        """`names`: the traits that matter."""
        self.stocks = stocks
        self.parents: dict[str, str | None] = {}
        self.trees: dict[str, list[str]] = {}  # root → its providers
        self.traits: dict[str, set[str]] = {}
        rows = sa.select(Provider.uuid, Provider.parent_uuid, Provider.root_uuid).order_by(Provider.name)
        for uuid, parent, root in session.execute(rows):
            self.parents[uuid] = parent
            self.trees.setdefault(root, []).append(uuid)
        of = sa.select(ProviderTrait.provider_uuid, ProviderTrait.trait).where(ProviderTrait.trait.in_(names))
        for uuid, trait in session.execute(of):
            self.traits.setdefault(uuid, set()).add(trait)

    def has(self, uuid: str) -> set[str]:
        return self.traits.get(uuid, set())

    def fits(self, uuid: str, resources: dict[str, int]) -> bool:
        stock = self.stocks[uuid][1]
        return all(fits(stock.get(name), amount) for name, amount in resources.items())

    def in_one_subtree(self, uuids: set[str]) -> bool:
        """One of them is above all others."""
        above = uuids.intersection(*(self._upward(uuid) for uuid in uuids))
        return bool(above) or not uuids

    def _upward(self, uuid: str) -> Iterator[str]:
        above: str | None = uuid
        while above is not None:
            yield above
            above = self.parents[above]


def totals(candidate: Candidate) -> dict[str, dict[str, int]]:
    """{provider: {class: amount}}"""
    result: dict[str, dict[str, int]] = {}
    for slot, uuid in candidate:
        for name, amount in slot.resources.items():
            entry = result.setdefault(uuid, {})
            entry[name] = entry.get(name, 0) + amount
    return result


def candidates(session: Session, query: Query, forest: Forest, version: Version) -> Iterator[Candidate]:
    slots = [slot for suffix, group in query.groups.items() for slot in _slots(suffix, group)]
    allowed = {suffix: _allowed(session, suffix, group, version) for suffix, group in query.groups.items()}
    for root, members in forest.trees.items():
        if not query.root.held_by(forest.has(root)):
            continue
        possible = [
            [uuid for uuid in members if _may_give(forest, slot, query.groups[slot.suffix], allowed[slot.suffix], uuid)]
            for slot in slots
        ]
        for choice in itertools.islice(itertools.product(*possible), TRIED):
            candidate = list(zip(slots, choice, strict=True))
            if _holds(forest, query, candidate, version):
                yield candidate


def _slots(suffix: str, group: Group) -> list[Slot]:
    if suffix or not group.resources:
        return [Slot(suffix, group.resources)]
    return [Slot(suffix, {name: amount}) for name, amount in group.resources.items()]


def _allowed(session: Session, suffix: str, group: Group, version: Version) -> set[str] | None:
    """The providers that aggregates and trees leave, None for all."""
    if not group.member_of and group.in_tree is None:
        return None
    query = sa.select(Provider.uuid)
    if group.member_of:
        query = query.where(filters.by_aggregates(group.member_of, version, suffix, of_tree=not suffix))
    if group.in_tree is not None:
        query = query.where(filters.by_tree(group.in_tree))
    return set(session.scalars(query))


def _may_give(forest: Forest, slot: Slot, group: Group, allowed: set[str] | None, uuid: str) -> bool:
    if allowed is not None and uuid not in allowed:
        return False
    has = forest.has(uuid)
    suits = group.traits.held_by(has) if slot.suffix else not group.traits.forbidden & has
    return suits and forest.fits(uuid, slot.resources)


def _holds(forest: Forest, query: Query, candidate: Candidate, version: Version) -> bool:
    """What concerns several slots: the traits of the group without suffix, isolation, subtrees, and the sums."""
    if version < NESTED and len({uuid for _, uuid in candidate}) > 1:
        return False
    plain = [uuid for slot, uuid in candidate if not slot.suffix]
    if plain and not query.groups[""].traits.held_by(set().union(*(forest.has(uuid) for uuid in plain))):
        return False
    granular = [uuid for slot, uuid in candidate if slot.suffix and slot.resources]
    if query.isolate and len(set(granular)) != len(granular):
        return False
    for suffixes in query.together:
        if not forest.in_one_subtree({uuid for slot, uuid in candidate if slot.suffix in suffixes}):
            return False
    return all(forest.fits(uuid, resources) for uuid, resources in totals(candidate).items())
