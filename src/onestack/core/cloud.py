"""What a service needs to work: settings, database, clock, ids, wake-ups, and the authenticator.

There is one Cloud per process and no global: it is handed to every service's `build`, and to every handler as
`req.cloud`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from onestack.config import Settings
from onestack.core import node
from onestack.core.clock import Clock, Ids
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.wakeups import Wakeups


class Worker(Protocol):
    """A control loop of the server: started after every service is built, stopped before the process ends."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _nobody(_token: str) -> Context | None:
    return None


@dataclass
class Cloud:
    settings: Settings
    db: Database
    clock: Clock = field(default_factory=Clock)
    ids: Ids = field(default_factory=Ids)
    wakeups: Wakeups = field(default_factory=Wakeups)
    # The agents' socket that only this server process answers; empty where there is but one process.
    own_agent_socket: str = ""
    # Token → who it is, None when it isn't valid. Identity sets it.
    authenticate: Callable[[str], Context | None] = _nobody
    # The same for a token that may have expired not long ago: what services use to finish what a user began.
    authenticate_late: Callable[[str], Context | None] = _nobody
    # Engine drivers by name ("network", …), set by the composition root.
    drivers: dict[str, Any] = field(default_factory=dict)
    # (object_type, action) → operations.Runner, and other loops. Services add to both in `build`.
    runners: dict[tuple[str, str], Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    @cached_property
    def node(self) -> str:
        """Which of the machines that share the database this one is."""
        return node.name(self.settings)
