"""The routes of consoles, below /v2.1; their actions join those of api/actions.py."""

from __future__ import annotations

from onestack.compute.api import actions, consoles
from onestack.compute.queries import Query
from onestack.core.routes import Route

_TOKEN = Query(closed=(2, 99))

ROUTES = [
    Route(
        "POST", "/servers/{server_id}/remote-consoles", consoles.create, consoles.RULE, dict, target="object",
        since=(2, 6),
    ),
    Route(
        "GET", "/os-console-auth-tokens/{token}", _TOKEN.before(consoles.show_token, authorize=False),
        "os_compute_api:os-console-auth-tokens",
    ),
]  # fmt: skip

actions.ACTIONS.update(consoles.ACTIONS)
