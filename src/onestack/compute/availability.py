"""Which availability zone a host is in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

DEFAULT = "nova"  # of every host that no aggregate puts into another one


def zones(session: Session, hostnames: Iterable[str]) -> dict[str, str]:
    """Hostname → availability zone, for each of `hostnames`."""
    return dict.fromkeys(hostnames, DEFAULT)


def exists(session: Session, zone: str) -> bool:
    """Whether a server may ask for `zone`."""
    return zone == DEFAULT
