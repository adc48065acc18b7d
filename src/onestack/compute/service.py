"""The compute service: Nova's API ("compute") and the agents' API ("agent")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from onestack.compute import operations, policies, routes, servers
from onestack.compute.agentapi import routes as agentapi
from onestack.compute.agentapi.dialect import AgentDialect
from onestack.compute.dialect import ComputeDialect, entered, without_project
from onestack.compute.microversions import MINIMUM
from onestack.core.cloud import Cloud
from onestack.core.http import Service
from onestack.core.routes import Route


def build(cloud: Cloud) -> dict[str, Any]:
    """The applications of compute by their names in config.PORTS, and "agent"."""
    compute = Service(
        cloud, "compute", ComputeDialect(), [*routes.VERSIONS, *mounted(routes.ROUTES)], policies.POLICIES,
        rewrite=without_project,
    )  # fmt: skip
    agent = Service(cloud, "agent", AgentDialect(), agentapi.routes(), {})
    cloud.runners[(servers.OBJECT, "create")] = operations.Scheduler(cloud).runner()
    return {"compute": compute, "agent": agent}


def mounted(table: Iterable[Route]) -> list[Route]:
    """Each route below /v2.1, and those of the first microversion below /v2 as well."""
    found = []
    for route in table:
        handler = route.handler if route.stream else entered(route.handler, legacy=False)
        found.append(msgspec.structs.replace(route, path=f"/v2.1{route.path}", handler=handler))
        if route.serves(MINIMUM):
            handler = route.handler if route.stream else entered(route.handler, legacy=True)
            found.append(
                msgspec.structs.replace(route, path=f"/v2{route.path}", handler=handler, since=None, until=None)
            )
    return found
