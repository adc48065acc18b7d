"""What a guest's consoles said, and where they can be reached."""

from __future__ import annotations

import os
from pathlib import Path

import libvirt

from onestack.agent.drivers.base import NoConsole
from onestack.agent.drivers.libvirt import shape

MOST_BYTES = 100 * 1024  # as much as Nova gives


def console_output(logs: list[Path], length: int) -> str:
    """The last `length` lines (0: all) of the last 100 KiB; bytes that are no UTF-8 become U+FFFD. `logs`:
    oldest first."""
    if not logs:
        raise NoConsole("the server has no console output yet")
    data = b""
    for path in reversed(logs):
        room = MOST_BYTES - len(data)
        if room <= 0:
            break
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - room, 0))
                data = file.read(room) + data
        except FileNotFoundError:  # rotated away meanwhile
            continue
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    return "".join(lines[-length:] if length > 0 else lines)


def console_socket(domain: libvirt.virDomain | None, kind: str) -> str:
    """Path of the unix socket that libvirt chose (VNC) or that we did (serial)."""
    if domain is None or not domain.isActive():
        raise NoConsole("the server is not running")
    found = shape.read(domain.XMLDesc(0))
    path = {"vnc": found.vnc_socket, "serial": found.serial_socket}.get(kind, "")
    if not path:
        raise NoConsole(f"the server has no {kind} console")
    return path
