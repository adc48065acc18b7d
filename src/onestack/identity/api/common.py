"""What every noun's handlers share: links, lists with filters, loading, storing."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core.errors import Fault, Forbidden
from onestack.core.http import Request
from onestack.core.paging import paginate
from onestack.identity.dialect import not_found
from onestack.identity.models import NO_DOMAIN, Base, Group, Project, Role, User

Row = TypeVar("Row", bound=Base)
Item = TypeVar("Item")
DEFAULT_DOMAIN = "default"


def link(req: Request, *parts: str) -> str:
    return "/".join((req.base_url, "v3", *(urllib.parse.quote(part, safe="") for part in parts)))


def collection(req: Request, key: str, items: list[Any], following: str | None = None) -> dict[str, Any]:
    """A list as Keystone wraps it. `following`: the marker of the next page; None: this is the end."""
    query = f"?{req.falcon.query_string}" if req.falcon.query_string else ""
    links: dict[str, Any] = {"next": None, "self": f"{req.base_url}{req.falcon.path}{query}", "previous": None}
    answer: dict[str, Any] = {key: items, "links": links}
    if following is not None:
        left = [(name, value) for name, value in req.query if name != "marker"]
        links["next"] = f"{req.base_url}{req.falcon.path}?{urllib.parse.urlencode([*left, ('marker', following)])}"
        answer["truncated"] = True
    return answer


def is_true(req: Request, name: str) -> bool:
    """A bare `?effective` counts as true, only `0` and `false` as false."""
    value = req.get(name)
    return value is not None and value.strip().lower() not in ("0", "false", "no", "off", "f", "n")


# LIKE ignores case in one database and not in the other, so it is not used.
_COMPARISONS: dict[str, Callable[[Any, str], Any]] = {
    "contains": lambda column, value: sa.func.replace(column, value, "") != column,
    "startswith": lambda column, value: sa.func.substr(column, 1, len(value)) == value,
    "endswith": lambda column, value: sa.func.substr(column, sa.func.length(column) - len(value) + 1) == value,
}


def filters(req: Request, columns: Mapping[str, Any], flags: tuple[str, ...] = ("enabled",)) -> list[Any]:
    """Conditions from the query: `name=x`, and `name__contains=x`, `name__istartswith=x` and so on."""
    found = []
    for key, value in req.query:
        name, _, how = key.partition("__")
        column = columns.get(name)
        if column is None:
            continue
        if name in flags:
            found.append(column.is_(is_true(req, key)))
        elif not how:
            found.append(column == value)
        elif how.removeprefix("i") in _COMPARISONS and value:
            lower = how.startswith("i")
            subject = sa.func.lower(column) if lower else column
            found.append(_COMPARISONS[how.removeprefix("i")](subject, value.lower() if lower else value))
    return found


def select(req: Request, rows: Iterable[Item], attributes: Mapping[str, str]) -> list[Item]:
    """The same of rows that aren't in a table: query parameter → attribute."""
    found = list(rows)
    for key, value in req.query:
        name, _, how = key.partition("__")
        attribute = attributes.get(name)
        compare = _TESTS.get(how.removeprefix("i"))
        if attribute is None or compare is None or (how and not value):
            continue
        ignore = how.startswith("i")
        wanted = value.lower() if ignore else value
        found = [row for row in found if compare(_text(getattr(row, attribute), ignore), wanted)]
    return found


def _text(value: Any, lower: bool) -> str:
    text = value if isinstance(value, str) else ""
    return text.lower() if lower else text


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def page(
    req: Request, session: Session, model: type[Row], conditions: list[Any], order: str = "name"
) -> tuple[list[Row], str | None]:
    """Rows in order, and the marker of the next page when `limit` cut the list."""
    columns = {order: getattr(model, order), "id": model.id}  # type: ignore[attr-defined]
    limit = req.get_int("limit", minimum=1)
    marker = req.get("marker")
    values = None
    if marker is not None:
        row = session.get(model, marker)
        if row is None:
            raise Fault(f"Marker {marker} could not be found.", status=404)
        values = {order: getattr(row, order), "id": marker}
    query = paginate(
        sa.select(model).where(*conditions), columns, [(order, "asc"), ("id", "asc")],
        marker=values, limit=None if limit is None else limit + 1,
    )  # fmt: skip
    rows = list(session.scalars(query))
    if limit is None or len(rows) <= limit:
        return rows, None
    return rows[:limit], rows[limit - 1].id


def get(session: Session, model: type[Row], key: str, noun: str) -> Row:
    row = session.get(model, key)
    if row is None:
        raise not_found(noun, key)
    return row


def get_user(session: Session, key: str) -> User:
    return get(session, User, key, "user")


def get_group(session: Session, key: str) -> Group:
    return get(session, Group, key, "group")


def get_role(session: Session, key: str) -> Role:
    return get(session, Role, key, "role")


def get_project(session: Session, key: str) -> Project:
    """A project, or a domain acting as one."""
    return get(session, Project, key, "project")


def get_domain(session: Session, key: str) -> Project:
    row = session.get(Project, key)
    if row is None or not row.is_domain:
        raise not_found("domain", key)
    return row


def store(session: Session, row: Base | None, clash: Fault) -> None:
    """Write `row` (or what was changed) now; `clash` is raised when something of that name is there already."""
    if row is not None:
        session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise clash from None


def home_domain(req: Request, given: str | None) -> str:
    """The domain of something new: the one named, or that of the caller's token, or the default one."""
    if given:
        return given
    ctx = req.ctx
    return ctx.domain_id or ctx.project_domain_id or DEFAULT_DOMAIN


def target(**things: Any) -> dict[str, Any]:
    """Policy's view of rows: `target(user=user)` → {"target.user.id": …, "target.user.domain_id": …}."""
    found: dict[str, Any] = {}
    for noun, thing in things.items():
        if thing is None:
            continue
        for name in ("id", "domain_id", "name", "user_id", "project_id"):
            value = thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
            if isinstance(thing, dict) and name not in thing:
                continue
            if not isinstance(thing, dict) and not hasattr(thing, name):
                continue
            found[f"target.{noun}.{name}"] = None if value == NO_DOMAIN else value
    return found


def domain_target(req: Request) -> dict[str, Any]:
    """The target of lists: a domain's token sees its domain, so that is what is asked about."""
    domain_id = req.ctx.domain_id
    return {"target.domain_id": domain_id} if domain_id else {}


def load(req: Request, session: Session, model: type[Row], key: str, noun: str, rule: str | None = None) -> Row:
    """A row that the caller may touch. Policy comes first: who may not look isn't told whether it exists."""
    row = session.get(model, key)
    req.authorize(target(**{noun: row}), rule)
    if row is None:
        raise not_found(noun, key)
    return row


def check_immutable(row: Project | Role, noun: str, verb: str, known: Mapping[str, Any] | None = None) -> None:
    """What is marked immutable keeps still until that mark is taken off, by itself. Raises Forbidden."""
    if not row.options.get("immutable"):
        return
    if known is not None and set(known) == {"options"} and known["options"].get("immutable", True) in (False, None):
        return
    words = "Set resource option `immutable` to false first."
    raise Forbidden(f"Cannot {verb} immutable resource {noun}: {row.id}. {words}")


def merged_options(row: Project | Role, known: Mapping[str, Any]) -> dict[str, Any]:
    """The options after a PATCH: those named change, null takes one away."""
    merged = row.options | (known.get("options") or {})
    return {name: value for name, value in merged.items() if value is not None}
