"""Moves of servers between hosts: /os-migrations. Source: the compute API reference, "Migrations".

No server of this cloud has moved: a list is empty, and there is no migration after which one could begin.
"""

from __future__ import annotations

from typing import Any

from onestack.compute import links
from onestack.core.errors import BadRequest
from onestack.core.http import Request


def index(req: Request) -> dict[str, Any]:
    """Raises BadRequest."""
    marker = req.get("marker") if req.version >= (2, 59) else None
    if marker:
        raise BadRequest(f"Marker {marker} could not be found.")
    since, before = req.get("changes-since"), req.get("changes-before")
    late = since and before and links.moment("changes-since", since) > links.moment("changes-before", before)
    if late and req.version >= (2, 66):
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    return {"migrations": []}
