"""For commands that open the database or the keys: they do it as the server's user, who must be able to write later."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from onestack.cli.problems import Problem

if TYPE_CHECKING:
    from onestack.config import Settings


def server(settings: Settings) -> None:
    """From here on this process is whoever owns the keys. Nothing happens unless root asks and they are another's."""
    owner = settings.path("keys").stat()
    if os.geteuid() == owner.st_uid:
        return
    if os.geteuid() != 0:
        raise Problem(f"the cloud in {settings.state} is another user's", "the same command with sudo")
    name = pwd.getpwuid(owner.st_uid).pw_name
    os.initgroups(name, owner.st_gid)
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
