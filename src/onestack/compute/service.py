"""The compute service: Nova's API ("compute"), metadata, the console proxy and the agents' API ("agent")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from onestack.compute import (
    operations,
    policies,
    policies_admin,
    policies_console,
    routes,
    routes_admin,
    routes_console,
    routes_gone,
    servers,
)  # fmt: skip
from onestack.compute.agentapi import routes as agentapi
from onestack.compute.agentapi.dialect import AgentDialect
from onestack.compute.console.agents import AgentSocket
from onestack.compute.console.proxy import ConsoleProxy
from onestack.compute.console.streams import Streams
from onestack.compute.dialect import ComputeDialect, without_project
from onestack.compute.metadata import service as metadata
from onestack.compute.microversions import MINIMUM
from onestack.core.cloud import Cloud
from onestack.core.http import Service
from onestack.core.routes import Route


def build(cloud: Cloud) -> dict[str, Any]:
    """The applications of compute by their names in config.PORTS, and "agent"."""
    table = [*routes.ROUTES, *routes_admin.ROUTES, *routes_console.ROUTES, *routes_gone.ROUTES]
    compute = Service(
        cloud, "compute", ComputeDialect(), [*routes.VERSIONS, *mounted(table)],
        {**policies.POLICIES, **policies_admin.POLICIES, **policies_console.POLICIES}, rewrite=without_project,
    )  # fmt: skip
    agent = Service(cloud, "agent", AgentDialect(), agentapi.routes(), {})
    cloud.runners[(servers.OBJECT, "create")] = operations.Scheduler(cloud).runner()
    streams = Streams()
    return {
        "compute": compute, "metadata": metadata.build(cloud), "console": ConsoleProxy(cloud, streams),
        "agent": AgentSocket(agent, streams),
    }  # fmt: skip


def mounted(table: Iterable[Route]) -> list[Route]:
    """Each route below /v2.1, and those of the first microversion below /v2 as well."""
    found = []
    for route in table:
        found.append(msgspec.structs.replace(route, path=f"/v2.1{route.path}"))
        if route.serves(MINIMUM):
            found.append(msgspec.structs.replace(route, path=f"/v2{route.path}", since=None, until=None))
    return found
