"""GET /v1/work: what changed after a revision, waiting for it without a thread; POST /v1/answers."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import hosts, questions, spec
from onestack.compute.agentapi.auth import agent_in, agent_only, hosts_of
from onestack.compute.models import Host
from onestack.compute.models import Question as QuestionRow
from onestack.core.cloud import Cloud
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.core.revision import Revision
from onestack.network import public as network
from onestack.wire import NetworkSpec, Question, Work

LONGEST_WAIT = 60.0
_HAND_OUT_AGAIN_SECONDS = 2.0
_GATHER_SECONDS = 0.01  # changes come in bursts: one answer tells of many
_LOOK_AGAIN_SECONDS = 5.0  # the bound on what a lost wake-up costs


class Feeds:
    """One number for all hosts of an agent: the sum of their feeds' revisions, which only grows.

    An agent of one host is the common case, and its number is the feed's own. For one that plays many hosts the server
    remembers what the last sums were made of; after a restart it doesn't, and sends everything.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_of: OrderedDict[tuple[str, int], dict[str, int]] = OrderedDict()
        self._handed_out: OrderedDict[str, float] = OrderedDict()

    def after(self, agent: str, hostnames: list[str], number: int) -> dict[str, int] | None:
        if number == 0:
            return None
        if len(hostnames) == 1:
            return {hostnames[0]: number}
        with self._lock:
            known = self._made_of.get((agent, number))
        return None if known is None else {name: known.get(name, 0) for name in hostnames}

    def remember(self, agent: str, revisions: dict[str, int]) -> int:
        number = sum(revisions.values())
        if len(revisions) != 1:
            with self._lock:
                self._made_of[(agent, number)] = revisions
                while len(self._made_of) > 64:
                    self._made_of.popitem(last=False)
        return number

    def due(self, question_id: str, now: float) -> bool:
        """Whether to hand the question out: at once, and again after a while, because the poll that took it may have
        been a dead agent's. Agents know a question that they have already."""
        with self._lock:
            last = self._handed_out.get(question_id)
            if last is not None and now - last < _HAND_OUT_AGAIN_SECONDS:
                return False
            self._handed_out[question_id] = now
            while len(self._handed_out) > 1000:
                self._handed_out.popitem(last=False)
            return True


class Handlers:
    """The routes' handlers, with what they remember."""

    def __init__(self) -> None:
        self._feeds = Feeds()
        self.work = agent_only(self._work)

    async def _work(self, req: Request, agent: str) -> Response:
        after = req.get_int("after", 0) or 0
        wait = min(float(req.get_int("wait", 0) or 0), LONGEST_WAIT)
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        names: list[str] = await req.run(_seen, req.cloud, agent)
        topic = hosts.feed(names[0]) if len(names) == 1 else hosts.ANY_HOST
        while True:
            seen = req.cloud.wakeups.seen(topic)
            left = until - loop.time()
            work = await req.run(self._look, req.cloud, agent, after, left <= 0 or req.cloud.wakeups.closed)
            if work is not None:
                return Response(work)
            if await req.cloud.wakeups.wait_async(topic, seen, min(left, _LOOK_AGAIN_SECONDS)):
                await asyncio.sleep(_GATHER_SECONDS)

    def _look(self, cloud: Cloud, agent: str, number: int, now: bool) -> Work | None:
        """What there is for the agent; None when there is nothing new and it need not be answered `now`."""
        with cloud.db.read() as session:
            names = hosts_of(session, agent)
            current = self._feeds.remember(agent, _revisions(session, names))
            elapsed = cloud.clock.monotonic()
            asked = [question for question in _questions(session, names) if self._feeds.due(question.id, elapsed)]
            changed = current != number or number == 0
            if not (changed or asked or now):
                return None
            after = self._feeds.after(agent, names, number) if number <= current else None
            found = spec.specs(session, names, after) if changed else []
            return Work(
                revision=current,
                full=changed and after is None,
                servers=found,
                networks=_networks(session, names),
                questions=asked,
            )

    def answer(self, req: Request, question_id: str) -> dict[str, Any]:
        with req.cloud.db.write() as session:
            agent = agent_in(session, req)
            row = session.get(QuestionRow, question_id)
            if row is None or row.host not in hosts_of(session, agent):
                raise NotFound(f"Nobody waits for the answer to question {question_id} any more.")
            row.answer = req.body
        req.cloud.wakeups.notify(questions.topic(question_id))
        return {}


def _revisions(session: Session, names: list[str]) -> dict[str, int]:
    feeds = {hosts.feed(name): name for name in names}
    query = sa.select(Revision.feed, Revision.value).where(Revision.feed.in_(list(feeds)))
    found = dict.fromkeys(names, 0)
    found.update({feeds[row.feed]: row.value for row in session.execute(query)})
    return found


def _questions(session: Session, names: list[str]) -> list[Question]:
    query = sa.select(QuestionRow).where(QuestionRow.host.in_(names), QuestionRow.answer.is_(None))
    return [
        Question(id=row.id, kind=row.kind, server_id=row.server_id, args=row.args) for row in session.scalars(query)
    ]


def _networks(session: Session, names: list[str]) -> list[NetworkSpec]:
    """A real agent is one host; the fake ones plug no networks. The list is always whole, so it has no revision."""
    if len(names) != 1:
        return []
    return [
        NetworkSpec(
            id=found.id, revision=0, metadata_port_id=found.metadata_port_id, mac=found.mac, addresses=found.addresses,
            mtu=found.mtu,
        )
        for found in network.networks_on_host(session, names[0])
    ]  # fmt: skip


def _seen(cloud: Cloud, agent: str) -> list[str]:
    """The names of the agent's hosts. An agent that asks for work is alive: what its last hello said is refreshed when
    it is getting old."""
    now = cloud.clock.now()
    with cloud.db.read() as session:
        query = sa.select(Host.hostname, Host.seen_at).where(Host.agent == agent).order_by(Host.hostname)
        rows = session.execute(query).all()
    if old := [row.hostname for row in rows if (now - row.seen_at).total_seconds() > hosts.HEARTBEAT_SECONDS]:
        with cloud.db.write() as session:
            hosts.seen(session, cloud, old)
    return [row.hostname for row in rows]
