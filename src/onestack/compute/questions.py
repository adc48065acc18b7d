"""Asking a host something while a user waits, without holding a thread.

A question is a row, so that whichever server process the agent speaks to hands it out, and whichever it answers to
takes the answer.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from onestack.compute import hosts
from onestack.compute.models import Question
from onestack.core.cloud import Cloud
from onestack.core.errors import Conflict, Unavailable
from onestack.wire import Answer

TIMEOUT_SECONDS = 20.0
_POLL_SECONDS = 1.0  # the bound on what a lost wake-up costs


class Asker(Protocol):
    """Who asks for a user: a core.http.Request, or the console proxy."""

    @property
    def cloud(self) -> Cloud: ...

    async def run(self, function: Callable[..., Any], *args: Any) -> Any: ...


def topic(question_id: str) -> str:
    return f"question:{question_id}"


async def ask(
    req: Asker, host: str, server_id: str, kind: str, args: dict[str, Any] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> dict[str, Any]:  # fmt: skip
    """The host's answer (wire.Question says what it is). Raises Conflict with the host's reason, or Unavailable when it
    doesn't answer in time."""
    cloud = req.cloud
    question_id = cloud.ids.uuid()
    waited = 0.0
    await req.run(_put, cloud, question_id, host, server_id, kind, args or {})
    try:
        while True:
            seen = cloud.wakeups.seen(topic(question_id))
            answer = await req.run(_get, cloud, question_id)
            if answer is not None:
                break
            if waited >= timeout:
                raise Unavailable(
                    "The host of the server does not answer. Try again, or ask the operator to look at it."
                )
            if cloud.wakeups.closed:  # the process ends, and still answers this
                await asyncio.sleep(_POLL_SECONDS)
            else:
                await cloud.wakeups.wait_async(topic(question_id), seen, _POLL_SECONDS)
            waited += _POLL_SECONDS
    finally:
        await req.run(_drop, cloud, question_id)
    if not answer.ok:
        raise Conflict(answer.error or "The host could not answer.")
    return answer.body


def _put(cloud: Cloud, question_id: str, host: str, server_id: str, kind: str, args: dict[str, Any]) -> None:
    with cloud.db.write() as session:
        now = cloud.clock.now()
        session.execute(sa.delete(Question).where(Question.created_at < now - datetime.timedelta(minutes=5)))
        session.add(Question(id=question_id, host=host, server_id=server_id, kind=kind, args=args, created_at=now))
    hosts.wake(cloud, host)


def _get(cloud: Cloud, question_id: str) -> Answer | None:
    with cloud.db.read() as session:
        value = session.scalar(sa.select(Question.answer).where(Question.id == question_id))
    return None if value is None else msgspec.convert(value, Answer)


def _drop(cloud: Cloud, question_id: str) -> None:
    with cloud.db.write() as session:
        session.execute(sa.delete(Question).where(Question.id == question_id))
