"""Reading the northbound database and making it right: two or three transactions for any number of objects.

The first reads the rows concerned, by uuid, and a second who refers to those that are there. The last writes only
what differs, on the condition that what was read still holds; if somebody was faster, all is done again. Nothing is
remembered in between, so a restart of the database, another server or an operator with ovn-nbctl can't lead us astray.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from onestack.network.drivers.ovn import ovsdb, plan, schema
from onestack.network.drivers.ovn.ovsdb import Conflict, Operation, Ref
from onestack.network.drivers.ovn.plan import Observed, Plan
from onestack.network.drivers.ovn.schema import Piece, Place

log = logging.getLogger(__name__)

DATABASE = "OVN_Northbound"

# Adds one result to what was observed.
Taker = Callable[[Observed, list[dict[str, Any]]], None]


def read(client: ovsdb.Client, pieces: list[Piece]) -> Observed:
    """The rows that these pieces have, may have, or rely on."""
    operations: list[Operation] = []
    takers: list[Taker] = []
    own = {row.place for piece in pieces for row in piece.rows} | {place for piece in pieces for place in piece.slots}
    others = {place for piece in pieces for place in piece.needs}
    others |= {member.parent for piece in pieces for member in piece.members}
    for place in own | others:
        operations.append(
            ovsdb.select_rows(place.table, ovsdb.where_uuid(place.uuid), list(schema.COLUMNS[place.table]))
        )
        takers.append(_rows_of(place.table))
    for piece in pieces:
        for table in piece.scans:
            mark = ["external_ids", "includes", ovsdb.encode({schema.OWNER: piece.key})]
            operations.append(ovsdb.select_rows(table, [mark], list(schema.COLUMNS[table])))
            takers.append(_rows_of(table))
    observed = _fetch(client, operations, takers)
    _read_holders(client, observed, own | {place for place in observed.rows if place not in others})
    return observed


def _read_holders(client: ovsdb.Client, observed: Observed, children: Iterable[Place]) -> None:
    operations: list[Operation] = []
    takers: list[Taker] = []
    for place in children:
        if place not in observed.rows:
            continue
        for table, column in schema.SHARED.get(place.table, ()):
            member = [column, "includes", ["uuid", place.uuid]]
            operations.append(ovsdb.select_rows(table, [member], list(schema.COLUMNS[table])))
            takers.append(_holders_of(place, table, column))
    if operations:
        found = _fetch(client, operations, takers)
        for parent, columns in found.rows.items():
            observed.rows.setdefault(parent, columns)
        observed.holders.update(found.holders)


def read_all(client: ovsdb.Client, timeout: float) -> Observed:
    """Everything, whoever it belongs to."""
    operations, takers = [], []
    for table, columns in schema.COLUMNS.items():
        shared = schema.SHARED_BY_PARENT.get(table, ())
        operations.append(ovsdb.select_rows(table, [], [*columns, *shared]))
        takers.append(_rows_of(table))
    return _fetch(client, operations, takers, timeout)


def _fetch(
    client: ovsdb.Client, operations: list[Operation], takers: list[Taker], timeout: float | None = None
) -> Observed:
    observed = Observed()
    for take, result in zip(takers, client.transact(operations, timeout), strict=True):
        take(observed, result["rows"])
    return observed


def _child_table(table: str, column: str) -> str:
    return next(child for child, parents in schema.SHARED.items() if (table, column) in parents)


_CHILD = {
    (table, column): _child_table(table, column)
    for table, columns in schema.SHARED_BY_PARENT.items()
    for column in columns
}


def _rows_of(table: str) -> Taker:
    """Takes rows, and the members of their shared columns where those were read."""

    def take(observed: Observed, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            place = Place(table, ovsdb.decode(row.pop("_uuid")))
            values = {name: schema.normal(table, name, ovsdb.decode(value)) for name, value in row.items()}
            for column in schema.SHARED_BY_PARENT.get(table, ()):
                for child in values.pop(column, ()):
                    observed.holders[Place(_CHILD[table, column], child), table, column].add(place)
            observed.rows[place] = values

    return take


def _holders_of(child: Place, table: str, column: str) -> Taker:
    def take(observed: Observed, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            observed.holders[child, table, column].add(Place(table, ovsdb.decode(row["_uuid"])))
        _rows_of(table)(observed, rows)

    return take


def write(client: ovsdb.Client, steps: Plan, timeout: float | None = None) -> None:
    """Do the steps in one transaction. Raises Conflict when the database has changed since it was read, Refused."""
    if not steps:
        return
    operations: list[Operation] = []
    for place, before, _ in steps.updates:
        operations.append(ovsdb.expect(place.table, place.uuid, before))
    for place, before in steps.deletes:
        operations.append(ovsdb.expect(place.table, place.uuid, before))
    operations += [ovsdb.insert(row.place.table, row.place.uuid, row.columns) for row in steps.inserts]
    operations += [ovsdb.update(place.table, place.uuid, after) for place, _, after in steps.updates]
    joins = _mutations(steps.joins, "insert")
    checked = range(len(operations), len(operations) + len(joins))
    operations += joins + _mutations(steps.leaves, "delete")
    operations += [ovsdb.delete(place.table, place.uuid) for place, _ in steps.deletes]
    results = client.transact(operations, timeout)
    if any(results[at].get("count") != 1 for at in checked):
        # A parent vanished between reading and writing, and what was to hang on it with it.
        raise Conflict("a parent row is gone")


def _mutations(members: Iterable[schema.Membership], mutator: str) -> list[Operation]:
    together: dict[tuple[Place, str], frozenset[Ref]] = plan.grouped(members)
    return [
        ovsdb.mutate(parent.table, parent.uuid, column, mutator, children)
        for (parent, column), children in together.items()
    ]
