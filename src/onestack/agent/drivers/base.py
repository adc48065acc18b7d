"""The contract of a hypervisor driver.

A driver observes a server and runs single steps of a plan (plan.py). Every step *ensures*: run twice, or again after a
crash in its middle, it ends in the same state. Steps never wait long: one that needs the guest's help returns a number
of seconds, and is called again after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from onestack.wire import HostReport, NetworkSpec, Power, ServerSpec


class StepFailed(Exception):
    """A step can't succeed. `message` is for the user and says what to do, `details` is for the operator.

    `again`: it may have failed because the guest's process died under it, so it deserves another try.
    """

    def __init__(self, message: str, details: str = "", *, again: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.again = again


class Unavailable(Exception):
    """An engine (libvirtd, Open vSwitch, the server) does not answer now; the step will be tried again."""


class Superseded(Exception):
    """A newer spec came while a long step ran; the step gave up."""


class NoConsole(Exception):
    """The server has no such console now; the message says why."""


@dataclass(frozen=True)
class Observed:
    """How a server is on the host at this moment."""

    power: Power = "absent"  # "absent": not defined in the hypervisor
    disks: bool = False  # its local disks are complete
    leftovers: bool = False  # something of it is there: a domain, a directory, a tap
    nics: frozenset[str] = frozenset()  # ids of the ports whose interface the domain has
    unplugged: frozenset[str] = frozenset()  # of those, the ones that hang on no bridge
    strays: bool = False  # there are devices of ports that neither the spec nor the domain has
    mark: str = ""  # id of the last operation whose disruptive half is over (plan.py)
    asked: float | None = None  # when the guest was first asked to shut down, on the reconciler's clock
    copies: bool = False  # there are copies of its root disk, whole or not, or one is being made
    copied: bool = False  # one of them is whole, and the spec's operation's
    delivered: bool = False  # the server wants no copy for the spec's operation (any more)


@dataclass(frozen=True)
class Step:
    """One thing to ensure. The name is what os-instance-actions shows as the event."""

    name: str
    port_id: str = ""


@dataclass
class Context:
    """What a step may ask while it runs."""

    spec: ServerSpec
    cancelled: Callable[[], bool] = field(default=lambda: False)


class Driver(Protocol):
    """One hypervisor (or, for the fake one, several)."""

    def start(self, changed: Callable[[str], None]) -> None:
        """Connect, and from now on call `changed(server_id)` when a server changes by itself; "" means any of them.

        Returns at once even when the hypervisor is away; then it connects when it can.
        """

    def stop(self) -> None:
        """Let go of the hypervisor. Guests go on."""

    def hosts(self) -> list[HostReport]:
        """What to report about each host. Raises Unavailable."""

    def found(self) -> list[str]:
        """Ids of this cloud's servers that the hypervisor has. Raises Unavailable."""

    def observe(self, spec: ServerSpec) -> Observed:
        """How the server is. Raises Unavailable, StepFailed."""

    def run(self, step: Step, context: Context) -> float:
        """Ensure one step: 0 when it is done, else seconds after which to look again.

        Raises StepFailed, Unavailable, Superseded.
        """

    def networks(self, specs: Iterable[NetworkSpec]) -> None:
        """Plug the metadata ports of these networks, and unplug those of any other. Raises Unavailable."""

    def tidy(self) -> None:
        """Now and then: throw away what no server needs any more (cached images)."""

    def console_output(self, server_id: str, length: int) -> str:
        """The last `length` lines of the serial console (0: all that is kept). Raises NoConsole."""

    def console_socket(self, server_id: str, kind: str) -> str:
        """Path of the unix socket of the console `kind`, "vnc" or "serial". Raises NoConsole, Unavailable."""

    def diagnostics(self, server_id: str) -> dict[str, Any]:
        """Figures of a running server, as os-diagnostics (2.48) names them. Raises NoConsole, Unavailable."""
