"""What projects used over a period: /os-simple-tenant-usage. Source: the compute API reference, "Usage reports"."""

from __future__ import annotations

import datetime
from typing import Any

from onestack.compute import links, usage
from onestack.core.errors import BadRequest
from onestack.core.http import Request

_FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")


def index(req: Request) -> dict[str, Any]:
    detailed = req.get("detailed", "0") == "1"
    found, more = _usages(req, None, detailed)
    return links.with_next({"tenant_usages": found}, "tenant_usages", more)


def show(req: Request, project_id: str) -> dict[str, Any]:
    req.authorize({"project_id": project_id})
    found, more = _usages(req, project_id, True)
    return links.with_next({"tenant_usage": found[0] if found else {}}, "tenant_usage", more)


def _usages(
    req: Request, project_id: str | None, detailed: bool
) -> tuple[list[dict[str, Any]], list[dict[str, str]] | None]:
    """The usages, and the link to the next page (of servers) since 2.40."""
    now = req.cloud.clock.now()
    start, stop = _time(req, "start", now), _time(req, "end", now)
    if start > stop:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    stop = min(stop, now)  # what will have run by then nobody knows
    paged = req.version >= (2, 40)
    size = links.limit(req) if paged else None
    with req.cloud.db.read() as session:
        marker = req.get("marker") if paged else None
        rows = usage.ran(session, start, stop, project_id, limit=size, marker=marker)
    found = usage.by_project(rows, start, stop, now, detailed=detailed)
    if size is None or not rows:
        return found, None
    path = "os-simple-tenant-usage" + (f"/{project_id}" if project_id else "")
    return found, links.next_links(req, path, len(rows), size, rows[-1].id)


def _time(req: Request, name: str, default: datetime.datetime) -> datetime.datetime:
    """A point in time from the query, in one of the three forms that have always been taken. Raises BadRequest."""
    text = req.get(name)
    if not text:
        return default
    for form in _FORMS:
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            continue
    raise BadRequest("Invalid datetime string: Datetime is in invalid format")
