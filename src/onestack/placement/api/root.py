"""GET /: version discovery."""

from __future__ import annotations

from typing import Any

from onestack.core.http import Request
from onestack.placement.dialect import MAXIMUM, MINIMUM


def home(req: Request) -> dict[str, Any]:
    low, high = (f"{version[0]}.{version[1]}" for version in (MINIMUM, MAXIMUM))
    links = [{"rel": "self", "href": ""}]  # relative on purpose, as the real service has it
    version = {"id": f"v{low}", "max_version": high, "min_version": low, "status": "CURRENT", "links": links}
    return {"versions": [version]}
