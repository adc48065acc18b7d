"""What `look` answers, and the one exception that every engine raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["up", "down", "wrong", "absent"]


@dataclass(frozen=True)
class Health:
    """How one thing is. `reason` says why where something is wrong, and may say more where all is well."""

    name: str
    state: State
    reason: str = ""
    pid: int | None = None

    @property
    def good(self) -> bool:
        return self.state == "up"


class EngineError(Exception):
    """An engine cannot be started; the message is one line for the user."""
