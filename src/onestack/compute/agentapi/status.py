"""POST /v1/status: what became of servers."""

from __future__ import annotations

from typing import Any

from onestack.compute import statuses
from onestack.compute.agentapi.auth import agent_in, hosts_of
from onestack.core.http import Request
from onestack.wire import StatusReport


def status(req: Request) -> dict[str, Any]:
    report: StatusReport = req.body
    with req.cloud.db.write() as session:
        agent = agent_in(session, req)
        statuses.process(session, req.cloud, hosts_of(session, agent), report.servers)
    return {}
