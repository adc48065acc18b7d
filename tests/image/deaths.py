"""A server process that dies in the middle, in process: where it dies, and what the next one does first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from onestack.core import operations
from onestack.image import objects, sweep
from onestack.image.models_stores import ImageLocation


class Killed(BaseException):
    """As the process were killed: nothing that is in memory is done any more."""


def dying(real: Callable[..., Any], times: int, when: str = "before") -> Callable[..., Any]:
    """`real`, but the process dies before or after it does its work for the so-manieth time."""
    left = [times]

    def call(*args: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            raise Killed
        result = real(*args, **more)
        if left[0] == 0:
            raise Killed
        return result

    return call


def again(cloud: Any) -> None:
    """Another process takes up what the dead one was at."""
    with cloud.db.write() as session:
        session.execute(sa.update(operations.Operation).values(state="queued", lease_owner=None, lease_until=None))


def begin_anew(cloud: Any, monkeypatch: Any) -> None:
    """What a server does as it starts after every other one died."""
    again(cloud)
    with cloud.db.write() as session:
        session.execute(sa.update(ImageLocation).where(ImageLocation.status == "writing").values(writer="gone:1:1"))
    monkeypatch.setattr(operations, "is_dead", lambda owner: True)
    sweep.everything(cloud)
    objects.recover(cloud)
    objects.collect(cloud)
