"""Names that the agent gives to things on a host. All are made from ids, and ids are checked before they are used."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class BadName(ValueError):
    """Something that should be an id is not one; it must not become part of a path or of a command."""


def checked(value: str) -> str:
    """The id itself, if it is a UUID in its usual form. Raises BadName."""
    if not UUID.fullmatch(value):
        raise BadName(f"{value[:80]!r} is not a UUID")
    return value


def tap(port_id: str) -> str:
    """The tap of a port; Linux allows 15 characters."""
    return "tap" + checked(port_id)[:11]


def domain(server_id: str) -> str:
    """The libvirt name of a server; unique among clouds that share a libvirtd, because ids are."""
    return "instance-" + checked(server_id)


def cloud_id(state: Path) -> str:
    """The id that marks what belongs to this cloud on a host, kept in `<state>/secrets/cloud-id`.

    Made by the first agent that looks for it. Losing the file orphans the domains that carry the old id: they keep
    running, unmanaged.
    """
    file = state / "secrets" / "cloud-id"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        part = file.with_name(f"cloud-id.{os.getpid()}")
        part.write_text(str(uuid.uuid4()) + "\n")
        part.chmod(0o600)
        try:
            os.link(part, file)  # unlike a rename, it fails when another process was first
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return checked(file.read_text().strip())
