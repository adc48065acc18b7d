"""Links to oneself, and the limit and marker of lists."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any

from onestack.compute.dialect import project_in_path
from onestack.compute.microversions import LEGACY
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.core.words import whole

MAX_LIMIT = 1000  # of every list, as Nova's [api]max_limit


def root(req: Request) -> str:
    """`http://host:8774/v2.1`, with the project id when the client's path had it."""
    version = "v2" if req.version == LEGACY else "v2.1"
    project = project_in_path(req)
    return f"{req.base_url}/{version}/{project}" if project else f"{req.base_url}/{version}"


def bookmark_root(req: Request) -> str:
    project = project_in_path(req)
    return f"{req.base_url}/{project}" if project else req.base_url


def links(req: Request, collection: str, identifier: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{root(req)}/{collection}/{identifier}"},
        {"rel": "bookmark", "href": f"{bookmark_root(req)}/{collection}/{identifier}"},
    ]


def bookmark(req: Request, collection: str, identifier: str) -> list[dict[str, str]]:
    return [{"rel": "bookmark", "href": f"{bookmark_root(req)}/{collection}/{identifier}"}]


def limit(req: Request) -> int:
    """How many items at most: the client's `limit`, bounded by ours; 0 asks for none. The query's form was checked
    before (queries.whole)."""
    text = req.get("limit")
    return MAX_LIMIT if text is None else min(whole(text), MAX_LIMIT)


def offset(req: Request) -> int:
    """How many items are left out at the beginning; the query's form was checked before (queries.whole)."""
    return whole(req.get("offset") or "0")


def next_links(req: Request, collection: str, shown: int, size: int, last: str | None) -> list[dict[str, str]] | None:
    """The `…_links` of a page: only when it is full. `size` is what `limit` said, `last` the marker to go on from."""
    if shown < size or last is None:
        return None
    query = [(key, value) for key, value in req.query if key != "marker"] + [("marker", last)]
    return [{"rel": "next", "href": f"{root(req)}/{collection}?{urllib.parse.urlencode(query)}"}]


def refuse_unknown_query(req: Request, known: frozenset[str], since: tuple[int, int] = (2, 75)) -> None:
    """From 2.75 on an unknown query parameter is an error. Raises BadRequest."""
    if req.version < since:
        return
    unknown = sorted({key for key, _value in req.query} - known)
    if unknown:
        names = ", ".join(repr(key) for key in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        raise BadRequest(f"Additional properties are not allowed ({names} {verb} unexpected)")


def with_next(body: dict[str, Any], key: str, found: list[dict[str, str]] | None) -> dict[str, Any]:
    if found:
        body[f"{key}_links"] = found
    return body


def moment(name: str, text: str) -> datetime.datetime:
    """A point in time from the query, in UTC without a zone, as it is stored. Raises BadRequest."""
    try:
        value = datetime.datetime.fromisoformat(text.strip().replace(" ", "+"))
        return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value
    except (ValueError, OverflowError):
        raise BadRequest(
            f"Invalid input for query parameters {name}. Value: {text}. '{text}' is not a 'date-time'"
        ) from None
