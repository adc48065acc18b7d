"""What a list is asked for, in words that don't depend on where the things are kept, and how SQL answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import NotFound
from onestack.core.paging import paginate
from onestack.identity.models import Base

Row = TypeVar("Row", bound=Base)


class Filter(NamedTuple):
    """`name` equals `value`, or as `how` says: contains, startswith, endswith, or lt, lte, gt, gte, neq of a time."""

    name: str
    value: Any
    how: str = "equals"
    ignore_case: bool = False


class Selection(NamedTuple):
    """One page of those that all filters fit."""

    filters: tuple[Filter, ...] = ()
    marker: str | None = None
    limit: int | None = None

    def only(self, **values: Any) -> Selection:
        """Narrowed further: attribute = value."""
        return self._replace(filters=(*self.filters, *(Filter(name, value) for name, value in values.items())))


# LIKE ignores case in one database and not in the other, so it is not used.
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "equals": lambda column, value: column.is_(value) if isinstance(value, bool) else column == value,
    "contains": lambda column, value: sa.func.replace(column, value, "") != column,
    "startswith": lambda column, value: sa.func.substr(column, 1, len(value)) == value,
    "endswith": lambda column, value: sa.func.substr(column, sa.func.length(column) - len(value) + 1) == value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "neq": lambda column, value: column != value,
}
TEXT_COMPARISONS = ("contains", "startswith", "endswith")


def conditions(filters: Iterable[Filter], columns: Mapping[str, Any]) -> list[Any]:
    """`filters` on columns; there must be a column for each."""
    found = []
    for item in filters:
        column, value = columns[item.name], item.value
        if item.ignore_case:
            column, value = sa.func.lower(column), value.lower()
        found.append(_COMPARISONS[item.how](column, value))
    return found


def page(
    session: Session,
    model: type[Row],
    wheres: list[Any],
    marker: str | None,
    limit: int | None,
    order: str = "name",
) -> tuple[list[Row], str | None]:
    """Rows in order, and the marker of the next page when `limit` cut the list."""
    columns = {order: getattr(model, order), "id": model.id}  # type: ignore[attr-defined]
    values = None
    if marker is not None:
        row = session.get(model, marker)
        if row is None:
            raise NotFound(f"Marker {marker} could not be found.")
        values = {order: getattr(row, order), "id": marker}
    query = paginate(
        sa.select(model).where(*wheres), columns, [(order, "asc"), ("id", "asc")],
        marker=values, limit=None if limit is None else limit + 1,
    )  # fmt: skip
    rows = list(session.scalars(query))
    if limit is None or len(rows) <= limit:
        return rows, None
    return rows[:limit], rows[limit - 1].id
