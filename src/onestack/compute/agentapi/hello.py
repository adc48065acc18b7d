"""POST /v1/hello: a host is there, and this is what it is."""

from __future__ import annotations

import sqlalchemy as sa

from onestack.compute import hosts
from onestack.compute.agentapi.auth import agent_in
from onestack.compute.models import Host
from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.wire import HostReport, Welcome


def hello(req: Request) -> Welcome:
    report: HostReport = req.body
    with req.cloud.db.write() as session:
        agent = agent_in(session, req)
        owner = session.scalar(sa.select(Host.agent).where(Host.hostname == report.hostname))
        # A name is the first agent's that uses it; only the fake hypervisor plays hosts with other names than its own.
        if (owner is not None and owner != agent) or (report.virt_type != "fake" and report.hostname != agent):
            raise Forbidden(f"The token does not belong to the host {report.hostname}.")
        host = hosts.greet(session, req.cloud, agent, report)
        return Welcome(host_id=host.id, heartbeat_seconds=hosts.HEARTBEAT_SECONDS)
