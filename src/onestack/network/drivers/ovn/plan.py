"""The difference between what the database holds and what it should hold, as steps. Pure.

The same comparison serves a few dirty objects and the whole world. For a few, only their own rows were read, and
only those can turn out surplus. For the world everything was read, and whatever carries this cloud's mark and is not
wanted is surplus.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from onestack.network.drivers.ovn import schema
from onestack.network.drivers.ovn.ovsdb import Ref
from onestack.network.drivers.ovn.schema import Membership, Piece, Place, Row


@dataclasses.dataclass(slots=True)
class Observed:
    """What was read. `rows`: our columns by place. `holders`: for a row and a shared column of a parent's table,
    the parents that have it as a member."""

    rows: dict[Place, dict[str, Any]] = dataclasses.field(default_factory=dict)
    holders: dict[tuple[Place, str, str], set[Place]] = dataclasses.field(default_factory=lambda: defaultdict(set))

    def owner(self, place: Place) -> str | None:
        return self.rows.get(place, {}).get("external_ids", {}).get(schema.OWNER)

    def cloud(self, place: Place) -> str | None:
        return self.rows.get(place, {}).get("external_ids", {}).get(schema.CLOUD)


@dataclasses.dataclass(slots=True)
class Plan:
    """Steps, to be done in one transaction.

    `updates`: place, columns before, columns after; `deletes`: place, columns before. What was before is what the
    decision rests on, and must still hold.
    """

    inserts: list[Row] = dataclasses.field(default_factory=list)
    updates: list[tuple[Place, dict[str, Any], dict[str, Any]]] = dataclasses.field(default_factory=list)
    joins: list[Membership] = dataclasses.field(default_factory=list)
    leaves: list[Membership] = dataclasses.field(default_factory=list)
    deletes: list[tuple[Place, dict[str, Any]]] = dataclasses.field(default_factory=list)
    repairs: list[str] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.inserts or self.updates or self.joins or self.leaves or self.deletes)


def make(
    observed: Observed, pieces: Iterable[Piece], cloud: str, *, world: bool, spared: frozenset[str] = frozenset()
) -> Plan:
    """Compare. Pieces whose parents are missing are left out, and named in `failed`.

    What an object that failed has in the database stays as it is; so does what the keys in `spared` have.
    """
    return _Comparison(observed, list(pieces), cloud, world, set(spared)).run()


class _Comparison:
    def __init__(self, observed: Observed, pieces: list[Piece], cloud: str, world: bool, spared: set[str]) -> None:
        self.observed = observed
        self.pieces = pieces
        self.cloud = cloud
        self.world = world
        self.spared = spared
        self.plan = Plan()
        self.wanted: dict[Place, Row] = {}
        self.surplus: set[Place] = set()

    def run(self) -> Plan:
        self._leave_out_orphans()
        self.wanted = {row.place: row for piece in self.pieces for row in piece.rows}
        self.surplus = self._find_surplus()
        self._compare_rows()
        self._compare_memberships()
        for place in sorted(self.surplus):
            columns = self.observed.rows[place]
            self.plan.repairs.append(f"{_title(place, columns)} is surplus")
            if place.table in schema.ROOTS:
                self.plan.deletes.append((place, {"external_ids": columns["external_ids"]}))
        return self.plan

    def _leave_out_orphans(self) -> None:
        """Keep the pieces whose parents and references are there, or are made in the same call."""
        slots = {place for piece in self.pieces for place in piece.slots}
        while True:
            made = {row.place for piece in self.pieces for row in piece.rows}
            lacking = {}
            for piece in self.pieces:
                for place in (*piece.needs, *(member.parent for member in piece.members)):
                    if place not in made and not self._stays(place, slots):
                        lacking[piece.key] = f"{place.table} {place.uuid} is not there"
                        break
            if not lacking:
                return
            self.plan.failed |= lacking
            self.spared |= lacking.keys()
            self.pieces = [piece for piece in self.pieces if piece.key not in lacking]

    def _stays(self, place: Place, slots: set[Place]) -> bool:
        """Whether a row that nobody wants in this call will still be there after it."""
        if place not in self.observed.rows:
            return False
        if self.observed.owner(place) in self.spared:
            return True
        return not self.world and place not in slots

    def _find_surplus(self) -> set[Place]:
        """Rows that must go: ours that nobody wants, and anything that has taken the name of one that is wanted."""
        owners = {piece.key for piece in self.pieces if piece.scans}
        slots = {place for piece in self.pieces for place in piece.slots}
        rows = self.wanted.values()
        names = {(row.place.table, row.columns["name"]) for row in rows if row.place.table in schema.UNIQUE_NAMES}
        found = set()
        for place, columns in self.observed.rows.items():
            if place in self.wanted or not (place.table in schema.ROOTS or place.table in schema.SHARED):
                continue
            owner = self.observed.owner(place)
            ours = self.observed.cloud(place) == self.cloud and owner not in self.spared
            in_the_way = (place.table, columns.get("name")) in names
            if in_the_way or place in slots or (ours and (self.world or owner in owners)):
                found.add(place)
        return found

    def _compare_rows(self) -> None:
        for place, row in self.wanted.items():
            have = self.observed.rows.get(place)
            if have is None:
                self.plan.inserts.append(row)
                self.plan.repairs.append(f"{_title(place, row.columns)} is missing")
                continue
            changed = sorted(name for name, value in row.columns.items() if have[name] != value)
            if changed:
                before = {name: have[name] for name in changed}
                self.plan.updates.append((place, before, {name: row.columns[name] for name in changed}))
                self.plan.repairs.append(f"{_title(place, row.columns)} differs in {', '.join(changed)}")

    def _compare_memberships(self) -> None:
        right = {member for piece in self.pieces for member in piece.members}
        have = {
            Membership(parent, column, child)
            for (child, _, column), parents in self.observed.holders.items()
            for parent in parents
        }
        for member in sorted(have - right):
            if member.parent not in self.surplus and self._must_leave(member):
                self.plan.leaves.append(member)
                if member.child not in self.surplus:
                    self.plan.repairs.append(f"{_line(member)} is a wrong member")
        inserted = {row.place for row in self.plan.inserts}
        for member in sorted(right - have):
            self.plan.joins.append(member)
            if member.child not in inserted and member.parent not in inserted:
                self.plan.repairs.append(f"{_line(member)} is a missing member")

    def _must_leave(self, member: Membership) -> bool:
        """Members that are not ours stay, except in port groups of ours: who is in one decides what is let through.
        And a port of ours may be in groups that somebody else made."""
        if self.observed.owner(member.child) in self.spared:
            return False
        concerned = member.child in self.surplus or member.child in self.wanted
        if member.parent.table != schema.GROUP:
            return concerned
        return self.observed.cloud(member.parent) == self.cloud and (concerned or self.world)


def _title(place: Place, columns: dict[str, Any]) -> str:
    name = columns.get("name") or columns.get("external_ids", {}).get(schema.OWNER) or place.uuid
    return f"{place.table} {name}"


def _line(member: Membership) -> str:
    return f"{member.parent.table} {member.parent.uuid} {member.column}: {member.child.uuid}"


def grouped(members: Iterable[Membership]) -> dict[tuple[Place, str], frozenset[Ref]]:
    """Memberships by parent and column: one step each."""
    together: dict[tuple[Place, str], set[Ref]] = defaultdict(set)
    for member in members:
        together[member.parent, member.column].add(Ref(member.child.uuid))
    return {key: frozenset(children) for key, children in together.items()}
