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
_LOOK_AGAIN_SECONDS = 5.0  # the bound on what a lost wake-up costs


class Feeds:
    """One number for all hosts of an agent: the sum of their feeds' revisions, which only grows.

    An agent of one host is the common case, and its number is the feed's own. For one that plays many hosts the server
    remembers what the last sums were made of; after a restart it doesn't, and sends everything.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_of: OrderedDict[tuple[str, int], dict[str, int]] = OrderedDict()
        self._handed_out: OrderedDict[str, None] = OrderedDict()

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

    def first_time(self, question_id: str) -> bool:
        """Whether this process has not handed the question out yet."""
        with self._lock:
            if question_id in self._handed_out:
                return False
            self._handed_out[question_id] = None
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
        await req.run(_seen, req.cloud, agent)
        names: list[str] = await req.run(_hosts, req.cloud, agent)
        topic = hosts.feed(names[0]) if len(names) == 1 else hosts.ANY_HOST
        while True:
            seen = req.cloud.wakeups.seen(topic)
            work, changed = await req.run(self._look, req.cloud, agent, after)
            left = until - loop.time()
            if changed or left <= 0:
                return Response(work)
            await req.cloud.wakeups.wait_async(topic, seen, min(left, _LOOK_AGAIN_SECONDS))

    def _look(self, cloud: Cloud, agent: str, number: int) -> tuple[Work, bool]:
        """What there is for the agent now, and whether it is worth an answer."""
        with cloud.db.read() as session:
            names = hosts_of(session, agent)
            revisions = _revisions(session, names)
            current = self._feeds.remember(agent, revisions)
            asked = [question for question in _questions(session, names) if self._feeds.first_time(question.id)]
            if current == number and not asked and number != 0:
                return Work(revision=current, networks=_networks(session, names)), False
            after = self._feeds.after(agent, names, number) if number <= current else None
            found = spec.specs(session, names, after)
            work = Work(
                revision=current, full=after is None, servers=found, networks=_networks(session, names), questions=asked
            )
            return work, current != number or bool(asked) or number == 0

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


def _hosts(cloud: Cloud, agent: str) -> list[str]:
    with cloud.db.read() as session:
        return hosts_of(session, agent)


def _seen(cloud: Cloud, agent: str) -> None:
    """An agent that asks for work is alive: what its last hello said is refreshed when it is getting old."""
    now = cloud.clock.now()
    with cloud.db.read() as session:
        rows = session.execute(sa.select(Host.hostname, Host.seen_at).where(Host.agent == agent)).all()
    if old := [row.hostname for row in rows if (now - row.seen_at).total_seconds() > hosts.HEARTBEAT_SECONDS]:
        with cloud.db.write() as session:
            hosts.seen(session, cloud, old)
