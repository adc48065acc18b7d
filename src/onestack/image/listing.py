"""GET /v2/images: filters, sorting and paging, as one query."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from onestack.core import paging
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.image.models import Image, ImageMember, ImageProperty, ImageTag

DEFAULT_LIMIT, MAXIMUM_LIMIT = 25, 1000
SORT_KEYS = {
    name: getattr(Image, name)
    for name in ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
}
_IN = ("name", "id", "status", "container_format", "disk_format")
_RANGES = ("size", "virtual_size", "min_ram", "min_disk")
_PLAIN = ("owner", "checksum", "os_hash_algo", "os_hash_value")
_NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
_HUGE = (1 << 63) - 1  # no image has more of anything
_TRUTHS = ("protected", "os_hidden")
_TAKEN = ("limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "visibility", "deleted")
Condition = sa.ColumnElement[bool]
Query = list[tuple[str, str]]


def first(query: Query, name: str, default: Any = None) -> Any:
    """Of a parameter of pages that is given twice Glance takes the first value."""
    return next((value for key, value in query if key == name), default)


def visible(ctx: Context, visibility: str | None, member_status: str) -> Condition:
    """What the caller's list shows. Community images of others only when asked for them."""
    if visibility not in (None, "", "community", "public", "private", "shared", "all"):
        raise BadRequest(f"Invalid visibility value: {visibility}")
    if member_status not in ("pending", "accepted", "rejected", "all"):
        raise BadRequest(f"Invalid status: {member_status}")
    terms: list[Condition] = []
    if visibility == "":
        return sa.false()
    if visibility is None:
        terms.append(sa.or_(Image.owner == ctx.project_id, Image.visibility != "community"))
    elif visibility != "all":
        terms.append(Image.visibility == visibility)
    if not ctx.is_admin:
        shared = sa.select(ImageMember.image_id).where(ImageMember.member_id == ctx.project_id)
        if member_status != "all":
            shared = shared.where(ImageMember.status == member_status)
        terms.append(
            sa.or_(
                Image.visibility.in_(("public", "community")),
                Image.owner == ctx.project_id,
                sa.and_(Image.visibility == "shared", Image.id.in_(shared)),
            )
        )
    return sa.and_(sa.true(), *terms)


def filters(query: Query, may_read: Callable[[str], bool]) -> list[Condition]:
    """A condition for each parameter that isn't about paging. Raises BadRequest.

    `may_read`: of the name of a custom property; what the caller may not read can't be found out by asking for it.
    """
    conditions: list[Condition] = [Image.status != "killed"]
    truths = {"os_hidden": "false"} | {key: value for key, value in query if key in _TRUTHS}
    others = [(key, value) for key, value in query if key not in (*_TAKEN, *_TRUTHS)]
    return conditions + [_filter(key, value, may_read) for key, value in (*others, *truths.items())]


def _filter(key: str, value: str, may_read: Callable[[str], bool]) -> Condition:
    if key == "tag":
        return Image.id.in_(sa.select(ImageTag.image_id).where(ImageTag.tag == value.strip()))
    if key.endswith(("_min", "_max")):
        bound = _number(value)
        if key[:-4] in _RANGES:
            column = getattr(Image, key[:-4])
            return column >= bound if key.endswith("_min") else column <= bound
    if key in ("created_at", "updated_at"):
        return _time(key, value)
    if key in _IN:
        operator, wanted = _split(value)
        column = getattr(Image, key)
        if operator == "in":
            return column.in_(_quoted(wanted))
        if operator != "eq":
            raise BadRequest(f"Unable to filter by unknown operator '{operator}'.")
        return column == wanted
    if key in _PLAIN:
        return getattr(Image, key) == value
    if key in _NUMBERS:
        return getattr(Image, key) == _number(value)
    if key in _TRUTHS:
        return getattr(Image, key).is_(_truth(key, value))
    if key == "changes-since":
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    return has_property(key, value) if may_read(key) else sa.false()


def has_property(name: str, value: str) -> Condition:
    has = sa.select(ImageProperty.image_id).where(ImageProperty.name == name, ImageProperty.value == value)
    return Image.id.in_(has)


def _number(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise BadRequest("Unable to filter on a range with a non-numeric value.") from None
    return min(max(value, -_HUGE), _HUGE)


def _truth(key: str, text: str) -> bool:
    word = text.lower() if key == "os_hidden" else text
    if word not in ("true", "false"):
        raise BadRequest(f"Invalid value '{word}' for '{key}' filter. Valid values are 'true' or 'false'.")
    return word == "true"


_COMPARE: dict[str, Callable[[Any, Any], Condition]] = {
    "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b, "neq": lambda a, b: a != b,
}  # fmt: skip


def _split(text: str) -> tuple[str, str]:
    """`gt:5` → gt and 5; without an operator it is eq, and a time has colons of its own."""
    operator, colon, rest = text.partition(":")
    return (operator, rest) if colon and _moment(text) is None else ("eq", text)


def _moment(text: str) -> datetime.datetime | None:
    """A time of ISO 8601 in UTC, None when it is none. A year or a month is its beginning."""
    if _PERIOD.fullmatch(text):
        text = f"{text}-01-01"[:10]
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _time(key: str, value: str) -> Condition:
    operator, rest = _split(value)
    moment = _moment(rest)
    if moment is None:
        raise BadRequest(f'Bad "{key}" query filter format. Use ISO 8601 DateTime notation.')
    if operator not in _COMPARE:
        raise BadRequest("Unable to filter on a unknown operator.")
    return _COMPARE[operator](getattr(Image, key), moment)


_PERIOD = re.compile(r"\d{4}(-\d\d)?", re.ASCII)
_PART = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)",?|([^,]+),?|,')


def _quoted(text: str) -> list[str]:
    """`a,"b,c"` → a and b,c. Raises BadRequest when quotes aren't around whole values."""
    quotes = [place for place, character in enumerate(text) if character == '"' and text[max(place - 1, 0)] != "\\"]
    for number, place in enumerate(quotes):
        before, after = text[:place][-1:], text[place + 1 :][:1]
        if number % 2 == 0 and before not in ("", ","):
            raise BadRequest(f"Invalid filter value {text}. There is no comma before opening quotation mark.")
        if number % 2 and after not in ("", ","):
            raise BadRequest(f"Invalid filter value {text}. There is no comma after closing quotation mark.")
    if len(quotes) % 2:
        raise BadRequest(f"Invalid filter value {text}. The quote is not closed.")
    return [match[1] or match[2] or "" for match in _PART.finditer(text)]


def limit_of(text: str | None) -> int:
    """How many images a page has. Raises BadRequest."""
    try:
        limit = DEFAULT_LIMIT if text is None else int(text)
    except ValueError:
        raise BadRequest("limit param must be an integer") from None
    if limit < 0:
        raise BadRequest("limit param must be positive")
    return min(limit, MAXIMUM_LIMIT)


def sorts(query: Query) -> list[paging.Sort]:
    """From `sort=name:asc,size` or sort_key and sort_dir; always ends with the id. Raises BadRequest."""
    keys = [value.strip() for key, value in query if key == "sort_key"]
    directions = [value.strip() for key, value in query if key == "sort_dir"]
    texts = [value for key, value in query if key == "sort"]
    if texts:
        if keys or directions:
            raise BadRequest("Old and new sorting syntax cannot be combined")
        pairs = [part.partition(":") for part in texts[0].strip().split(",")]
        keys = [key.strip() for key, _, _ in pairs]
        directions = [direction.strip() or "desc" for _, _, direction in pairs]
    for key in keys:
        if key not in SORT_KEYS:
            available = ", ".join(SORT_KEYS)
            raise BadRequest(f"Invalid sort key: {key}. It must be one of the following: {available}.")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction}")
    if len(directions) > 1 and len(directions) != len(keys):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    keys = keys or ["created_at"]
    directions = directions or ["desc"]
    if len(directions) == 1:
        directions = directions * len(keys)
    first = dict(reversed(list(zip(keys, directions, strict=True))))  # a key counts where it comes first
    result = [(key, first[key]) for key in dict.fromkeys(keys)]
    for key in ("created_at", "id"):
        if key not in keys:
            result.append((key, directions[-1]))
    return result
