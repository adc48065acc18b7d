"""Keyset paging: limit, marker, sort keys and directions, the same way in every list.

A page begins after the marker's row in the order asked for, so its cost does not grow with its distance from the
start. NULLs sort as the smallest value. The last sort key is always unique (the id), so the order is total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

Sort = tuple[str, str]  # key, "asc" or "desc"


def order_by(query: sa.Select[Any], columns: Mapping[str, Any], sorts: Sequence[Sort]) -> sa.Select[Any]:
    """`query` in the order of `sorts`; `columns` maps sort keys to columns."""
    terms = []
    for key, direction in sorts:
        column = columns[key]
        terms.append(column.asc().nulls_first() if direction == "asc" else column.desc().nulls_last())
    return query.order_by(*terms)


def after(columns: Mapping[str, Any], sorts: Sequence[Sort], marker: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    """The condition for "comes after the row whose values are `marker`" (sort key → value)."""
    alternatives = []
    for position, (key, direction) in enumerate(sorts):
        same = [_equal(columns[name], marker[name]) for name, _ in sorts[:position]]
        beyond = _beyond(columns[key], marker[key], direction)
        if beyond is not None:
            alternatives.append(sa.and_(*same, beyond))
    return sa.or_(*alternatives) if alternatives else sa.false()


def paginate(
    query: sa.Select[Any],
    columns: Mapping[str, Any],
    sorts: Sequence[Sort],
    *,
    marker: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> sa.Select[Any]:
    """Order, start after the marker, and cut. `sorts` must end with a unique key."""
    query = order_by(query, columns, sorts)
    if marker is not None:
        query = query.where(after(columns, sorts, marker))
    return query if limit is None else query.limit(limit)


def _equal(column: Any, value: Any) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _beyond(column: Any, value: Any, direction: str) -> sa.ColumnElement[bool] | None:
    if direction == "asc":
        return column.is_not(None) if value is None else column > value
    if value is None:
        return None
    return sa.or_(column < value, column.is_(None))
