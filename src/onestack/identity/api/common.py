"""What every noun's handlers share: links, lists with filters, loading, storing."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core.errors import Fault
from onestack.core.http import Request
from onestack.core.words import truth
from onestack.identity import checks, listing
from onestack.identity.backends import BACKEND
from onestack.identity.dialect import not_found
from onestack.identity.listing import Filter, Selection
from onestack.identity.models import NO_DOMAIN, Base, Group, Project, Role, User

Row = TypeVar("Row", bound=Base)
Item = TypeVar("Item")
DEFAULT_DOMAIN = "default"
_LONGEST_PAGE = 1000  # items, when a client names a limit (Keystone's max_db_limit)


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
    """A bare `?effective` counts as true, only `0` as false."""
    value = req.get(name)
    return value is not None and value != "0"


def _is_yes(word: str) -> bool:
    """The value of a filter on a flag: whatever isn't a word for no is a yes."""
    return truth(word) is not False


def parse_filters(req: Request, names: Iterable[str], flags: tuple[str, ...] = ("enabled",)) -> tuple[Filter, ...]:
    """From the query: `name=x`, and `name__contains=x`, `name__istartswith=x` and so on; others are ignored."""
    found = []
    for key, value in checks.first_values(req).items():
        name, _, how = key.partition("__")
        if name not in names:
            continue
        if key == name or how == "equals":
            found.append(Filter(name, _is_yes(value) if name in flags else value))
        elif name in flags:
            continue
        elif how.removeprefix("i") in listing.TEXT_COMPARISONS and value:
            found.append(Filter(name, value, how.removeprefix("i"), how.startswith("i")))
    return tuple(found)


def filters(req: Request, columns: Mapping[str, Any], flags: tuple[str, ...] = ("enabled",)) -> list[Any]:
    """The same as conditions on columns."""
    return listing.conditions(parse_filters(req, columns, flags), columns)


def selection(req: Request, names: Iterable[str]) -> Selection:
    return Selection(parse_filters(req, names), req.get("marker") or None, page_limit(req))


def page_limit(req: Request) -> int | None:
    """What the client or else the operator asked for. None: everything."""
    text = req.get("limit") or ""
    if text.isascii() and text.isdigit() and len(text) > 9:  # more than fits a column counts as a long page
        return _LONGEST_PAGE
    limit = req.get_int("limit") if text else None
    return min(limit, _LONGEST_PAGE) if limit else req.cloud.settings.identity.list_limit


def select(req: Request, rows: Iterable[Item], attributes: Mapping[str, str]) -> list[Item]:
    """The same of rows that aren't in a table: query parameter → attribute."""
    found = list(rows)
    for key, value in checks.first_values(req).items():
        name, _, how = key.partition("__")
        attribute = attributes.get(name)
        compare = _TESTS.get("equals" if key == name else how.removeprefix("i"))
        if attribute is None or compare is None:
            continue
        lower = how.startswith("i")
        found = [row for row in found if _fits(compare, getattr(row, attribute), value, lower)]
    return found


def _fits(compare: Callable[[str, str], bool], held: Any, wanted: str, lower: bool) -> bool:
    if not isinstance(held, str):
        return False
    return compare(held.lower(), wanted.lower()) if lower else compare(held, wanted)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def page(
    req: Request, session: Session, model: type[Row], conditions: list[Any], order: str = "name"
) -> tuple[list[Row], str | None]:
    """Rows in order, and the marker of the next page when the list was cut."""
    return listing.page(session, model, conditions, req.get("marker") or None, page_limit(req), order)


def window(req: Request, rows: Sequence[Item]) -> tuple[list[Item], str | None]:
    """One page of what was read whole, and the marker of the next one. A marker that isn't there is none."""
    ids = [row.id for row in rows]  # type: ignore[attr-defined]
    marker, limit = req.get("marker"), page_limit(req)
    start = ids.index(marker) + 1 if marker in ids else 0
    end = len(ids) if limit is None else start + limit
    return list(rows[start:end]), ids[end - 1] if end < len(ids) else None


def find(session: Session, model: type[Row], key: str) -> Row | None:
    """A row by its id; users and groups from where they are kept."""
    if model is User:
        return BACKEND.user(session, key)  # type: ignore[return-value]
    if model is Group:
        return BACKEND.group(session, key)  # type: ignore[return-value]
    return session.get(model, key)


def get(session: Session, model: type[Row], key: str, noun: str) -> Row:
    row = find(session, model, key)
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
    """The domain of something new: the one named, or that of a token for a domain, or the default one."""
    return given or req.ctx.domain_id or DEFAULT_DOMAIN


def target(**things: Any) -> dict[str, Any]:
    """Policy's view of rows: `target(user=user)` → {"target.user.id": …, "target.user.domain_id": …}.

    A domain that isn't there is left out for users and groups, which always have one: `None` would be what a token
    without a domain has as well.
    """
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
            value = None if value == NO_DOMAIN else value
            if value is not None or noun not in ("user", "group"):
                found[f"target.{noun}.{name}"] = value
    return found


def domain_target(req: Request) -> dict[str, Any]:
    """The target of lists: a domain's token sees its domain, so that is what is asked about."""
    domain_id = req.ctx.domain_id
    return {"target.domain_id": domain_id} if domain_id else {}


def load(req: Request, session: Session, model: type[Row], key: str, noun: str, rule: str | None = None) -> Row:
    """A row that the caller may touch. Policy comes first: who may not look isn't told whether it exists."""
    row = find(session, model, key)
    req.authorize(target(**{noun: row}), rule)
    if row is None:
        raise not_found(noun, key)
    return row


def merged_options(row: Project | Role | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """The options after a PATCH, or of something new: those named change, null takes one away."""
    merged = (row.options if row is not None else {}) | (known.get("options") or {})
    return {name: value for name, value in merged.items() if value is not None}
