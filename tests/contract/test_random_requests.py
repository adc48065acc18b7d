"""Random requests on every route of every service: never a 5xx, never a hang, always the service's own form of error,
and a request that was refused has changed nothing.

`pytest tests/contract --hypothesis-profile=deep` looks for much longer, and each time elsewhere.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.contract import checks, requests
from tests.contract.conftest import profile
from tests.contract.world import SECOND, SERVICES, all_routes

# An upload that is refused had been begun: in v2 the image goes back to what it was, at a later time; in v1 it stays,
# killed.
UPLOADS = (
    (re.compile(r"^/v2/images/\{image_id\}/(file|stage)$"), ("images",)),
    (re.compile(r"^/v1/images(/\{image_id\})?$"), ("images", "image_properties")),
)
ROUTES = all_routes(*SERVICES, *SECOND, "metadata", "agent")


@pytest.mark.parametrize(("service", "route"), ROUTES, ids=[f"{name}-{r.method}-{r.path}" for name, r in ROUTES])
def test_every_route(world, service, route):
    @settings(profile())
    @given(st.data())
    def ask(data):
        world.restore()
        persona, sent = data.draw(requests.requests(world, service, route))
        note(f"as {persona}: {sent}")
        answer = world.callers[service].send(sent)
        note(f"{answer.status} {answer.headers} {answer.body[:2000]!r}")
        checks.check_answer(service, sent.method, answer)
        if answer.status >= 400:
            changed = world.differences()
            for path, tables in UPLOADS:
                if path.match(route.path) and route.stream:
                    changed = {table: rows for table, rows in changed.items() if table not in tables}
            assert not changed
            assert not world.new_files()

    ask()
