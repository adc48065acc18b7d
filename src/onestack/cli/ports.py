"""Who listens on a port: /proc/net/tcp says which socket, /proc/PID/fd whose it is."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

LISTEN = "0A"


def listening_inodes(port: int, root: Path = Path("/proc")) -> set[str]:
    """Inodes of the sockets that listen on a TCP port, on any address."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (root / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def owner(port: int, root: Path = Path("/proc")) -> str:
    """`nginx (pid 812)`, or a word on why that cannot be told."""
    wanted = {f"socket:[{inode}]" for inode in listening_inodes(port, root)}
    if not wanted:
        return "a connection that some program made from it, or another network namespace"
    for directory in root.glob("[0-9]*"):
        try:
            for handle in os.scandir(directory / "fd"):
                if os.readlink(handle.path) in wanted:
                    name = (directory / "comm").read_text(encoding="utf-8").strip()
                    return f"{name} (pid {directory.name})"
        except OSError:
            continue
    return "a process of another user"


def in_use(address: str, port: int, patience: float = 5.0) -> bool:
    """Whether we could not listen there.

    Some of our ports lie where the system takes those for outgoing connections from (35357 does). Such a connection
    is most often a short one, so one that nobody listens behind is given `patience` seconds to end.
    """
    until = time.monotonic() + patience
    while _taken(address, port):
        if listening_inodes(port) or time.monotonic() >= until:
            return True
        time.sleep(0.1)
    return False


def _taken(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError:
            return True
    return False
