"""Time and ids, injected so that tests can advance the one and repeat the other."""

from __future__ import annotations

import datetime
import time
import uuid


class Clock:
    """The real time. Datetimes are naive and in UTC, as they are stored."""

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock(Clock):
    """A clock that stands still until it is told to `advance`."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._now = start or datetime.datetime(2026, 1, 1, 12, 0, 0)
        self._elapsed = 0.0

    def now(self) -> datetime.datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._now += datetime.timedelta(seconds=seconds)
        self._elapsed += seconds


class Ids:
    """Where identifiers come from."""

    def uuid(self) -> str:
        """A random UUID with dashes: servers, ports, images."""
        return str(uuid.uuid4())

    def hex(self) -> str:
        """A random UUID without dashes: projects, users, roles."""
        return uuid.uuid4().hex


class CountingIds(Ids):
    """The same ids in each run: 00000000-0000-4000-8000-000000000001 and so on."""

    def __init__(self) -> None:
        self._count = 0

    def uuid(self) -> str:
        self._count += 1
        return str(uuid.UUID(int=(4 << 76) | (8 << 60) | self._count))

    def hex(self) -> str:
        return self.uuid().replace("-", "")


def seconds(value: datetime.datetime | None) -> str | None:
    """`2026-01-31T12:00:00Z`, the form of Nova, Neutron and Glance."""
    return None if value is None else value.isoformat(timespec="seconds") + "Z"


def micros(value: datetime.datetime | None) -> str | None:
    """`2026-01-31T12:00:00.000000`, the form of Nova's and Cinder's older resources."""
    return None if value is None else value.isoformat(timespec="microseconds")


def micros_z(value: datetime.datetime | None) -> str | None:
    """`2026-01-31T12:00:00.000000Z`, the form of Keystone."""
    return None if value is None else value.isoformat(timespec="microseconds") + "Z"
