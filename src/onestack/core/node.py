"""The name of this node: of the server processes that share one state directory, and the files in it.

Several machines may share a database. What is a file of one of them, staged data or a copy in the image cache, has the
node's name in its row, and work on it carries that name too (operations.py). The name lies beside those files, so it
stays when the machine is called otherwise, and machines that share the directory `images` are one node.
"""

from __future__ import annotations

import re
import secrets
import socket

from onestack.config import Settings
from onestack.core.secret import written_once

LONGEST = 64  # characters of a name


def name(settings: Settings) -> str:
    """Made at first use: the host's name and a mark, since hosts may have the same name."""
    return written_once(settings.path("images", "node"), _new)


def _new() -> str:
    mark = secrets.token_hex(4)
    host = re.sub(r"[^A-Za-z0-9.-]", "", socket.gethostname())
    return f"{host[: LONGEST - len(mark) - 1] or 'node'}-{mark}"
