"""How the agents' API speaks: plain errors; reports of many servers are large."""

from __future__ import annotations

from onestack.core.dialect import Dialect


class AgentDialect(Dialect):
    max_body = 32 << 20
    quiet = True  # the work of a host is asked for all the time
