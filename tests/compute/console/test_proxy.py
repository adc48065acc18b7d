"""The proxy, spoken to as ASGI: a user's socket, an agent's socket, and what the two see of each other."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from onestack.compute.console import proxy as proxy_module
from onestack.compute.console import tokens
from onestack.compute.console.proxy import ConsoleProxy, same_origin, token_of
from onestack.compute.console.streams import Streams
from onestack.core.errors import Conflict
from tests.compute.conftest import TOKEN

AGENT = {"authorization": f"Bearer {TOKEN}"}


class Socket:
    """One WebSocket of a test: what the application sent is in `sent`."""

    def __init__(self, app, path, query=b"", headers=None, subprotocols=()):
        self.incoming, self.sent = asyncio.Queue(), asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.scope = {
            "type": "websocket", "path": path, "query_string": query, "headers": pairs, "subprotocols": subprotocols,
        }  # fmt: skip
        self.task = asyncio.create_task(app(self.scope, self.incoming.get, self.sent.put))

    async def next(self):
        async with asyncio.timeout(10):
            return await self.sent.get()

    def say(self, data):
        self.incoming.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self):
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})

    async def ends(self):
        async with asyncio.timeout(10):
            await self.task


class World:
    """The proxy and the agents' socket over one cloud. `answer` says what becomes of a question."""

    def __init__(self, cloud, built, server_id, pool):
        self.cloud, self.server_id, self.pool = cloud, server_id, pool
        self.asked = asyncio.Queue()
        self.refusal = None
        socket = built["agent"]
        self.streams: Streams = socket._streams
        self.proxy = ConsoleProxy(cloud, self.streams, self.ask)
        self.app, self.agents = self.proxy.app(pool), socket.app(pool)

    async def ask(self, asker, host, server_id, kind, args):
        assert asker.cloud is self.cloud
        if self.refusal is not None:
            raise self.refusal
        self.asked.put_nowait(SimpleNamespace(host=host, server_id=server_id, kind=kind, args=args))
        await asyncio.Event().wait()

    def token(self, kind="novnc"):
        with self.cloud.db.write() as session:
            return tokens.issue(session, self.cloud, server_id=self.server_id, host="host1", console_type=kind)

    def user(self, token, **more):
        return Socket(self.app, "/", f"token={token}".encode(), **more)

    async def agent(self, headers=None):
        async with asyncio.timeout(10):
            question = await self.asked.get()
        path = f"/v1/streams/{question.args['stream_id']}"
        return question, Socket(self.agents, path, headers=AGENT if headers is None else headers)


@pytest.fixture
def play(cloud, built, nova):
    """`play(scene)`: run the coroutine function `scene(world)`."""
    server_id = nova.boot()

    def run(scene):
        async def main():
            with ThreadPoolExecutor(4) as pool:
                await scene(World(cloud, built, server_id, pool))

        asyncio.run(main())

    return run


async def opened(world, kind="novnc", **more):
    user = world.user(world.token(kind), **more)
    question, agent = await world.agent()
    assert await agent.next() == {"type": "websocket.accept"}
    accepted = await user.next()
    assert accepted["type"] == "websocket.accept"
    return question, user, agent, accepted


def test_bytes_go_both_ways(play):
    async def scene(world):
        question, user, agent, accepted = await opened(world, subprotocols=["binary", "base64"])
        assert (question.host, question.server_id, question.kind) == ("host1", world.server_id, "console_stream")
        assert question.args["type"] == "vnc"
        assert accepted["subprotocol"] == "binary"
        agent.say(b"RFB 003.008\n")
        assert await user.next() == {"type": "websocket.send", "bytes": b"RFB 003.008\n"}
        user.say(b"RFB 003.008\n")
        assert await agent.next() == {"type": "websocket.send", "bytes": b"RFB 003.008\n"}
        user.leave()
        assert (await agent.next())["type"] == "websocket.close"
        await user.ends()
        await agent.ends()

    play(scene)


def test_a_serial_console_asks_for_the_serial_line(play):
    async def scene(world):
        question, user, agent, accepted = await opened(world, "serial")
        assert question.args["type"] == "serial"
        assert "subprotocol" not in accepted
        agent.leave()
        assert (await user.next())["type"] == "websocket.close"
        await user.ends()
        await agent.ends()

    play(scene)


def test_two_users_of_one_token_get_a_stream_each(play):
    async def scene(world):
        token = world.token()
        users = [world.user(token), world.user(token)]
        agents = [(await world.agent())[1], (await world.agent())[1]]
        for number, agent in enumerate(agents):
            await agent.next()
            agent.say(b"%d" % number)
        said = set()
        for user in users:
            assert (await user.next())["type"] == "websocket.accept"
            said.add((await user.next())["bytes"])
            user.leave()
        assert said == {b"0", b"1"}
        for socket in [*users, *agents]:
            await socket.ends()

    play(scene)


def test_the_address_is_not_left_for_the_log(play):
    async def scene(world):
        user = world.user("nonsense")
        await user.next()
        assert user.scope["query_string"] == b""
        await user.ends()

    play(scene)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "host": "127.0.0.1:6080"},
        {"origin": "null", "host": "127.0.0.1:6080"},
        {"origin": "null"},
        {"origin": "http://[", "host": "127.0.0.1:6080"},
        {"origin": "file://127.0.0.1", "host": "127.0.0.1:6080"},
        {"origin": "", "host": "127.0.0.1:6080"},
    ],
)
def test_pages_from_elsewhere_are_refused(play, headers):
    async def scene(world):
        user = world.user(world.token(), headers=headers)
        assert (await user.next())["type"] == "websocket.close"
        await user.ends()
        assert world.asked.empty()

    play(scene)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:6080", "host": "127.0.0.1:6080"},
        {"origin": "https://cloud.example", "host": "cloud.example"},
        {"origin": "http://[::1]:6080", "host": "[::1]:6080"},
    ],
)
def test_our_own_pages_and_other_clients_are_not(headers):
    assert same_origin(headers)


def test_bad_tokens_are_refused(play):
    async def scene(world):
        old = world.token()
        world.cloud.clock.advance(600)
        for query in (b"", b"token=", b"token=nonsense", f"token={old}".encode(), b"token=%ff%00"):
            user = Socket(world.app, "/", query)
            assert (await user.next())["type"] == "websocket.close"
            await user.ends()
        assert world.asked.empty()

    play(scene)


@pytest.mark.parametrize(
    ("query", "headers", "token"),
    [
        (b"token=a", {}, "a"),
        (b"token=a&token=b", {}, "b"),
        (b"path=%3Ftoken%3Da", {}, "a"),
        (b"path=websockify%3Ftoken%3Da", {}, "a"),
        (b"", {"cookie": "x=1; token=a"}, "a"),
        (b"", {"cookie": "\x01=;;"}, None),
        (b"", {}, None),
    ],
)
def test_where_a_token_may_be(query, headers, token):
    assert token_of(query, headers) == token


def test_a_host_that_refuses(play):
    async def scene(world):
        world.refusal = Conflict("the guest has no console")
        user = world.user(world.token())
        assert (await user.next())["type"] == "websocket.close"
        await user.ends()

    play(scene)


def test_a_host_that_does_not_answer(play, monkeypatch):
    monkeypatch.setattr(proxy_module, "JOIN_SECONDS", 0.05)

    async def scene(world):
        user = world.user(world.token())
        assert (await user.next())["type"] == "websocket.close"
        await user.ends()
        _question, late = await world.agent()
        assert (await late.next())["type"] == "websocket.close"
        await late.ends()

    play(scene)


def test_a_user_who_leaves_while_the_host_is_asked(play):
    async def scene(world):
        user = world.user(world.token())
        user.leave()
        _question, agent = await world.agent()
        assert (await agent.next())["type"] == "websocket.accept"
        assert (await agent.next())["type"] == "websocket.close"
        await user.ends()
        await agent.ends()

    play(scene)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}])
def test_only_an_agent_opens_a_stream(play, headers):
    async def scene(world):
        user = world.user(world.token())
        question, stranger = await world.agent(headers)
        assert (await stranger.next())["type"] == "websocket.close"
        await stranger.ends()
        agent = Socket(world.agents, f"/v1/streams/{question.args['stream_id']}", headers=AGENT)
        assert (await agent.next())["type"] == "websocket.accept"
        user.leave()
        await user.ends()
        await agent.ends()

    play(scene)


def test_a_stream_is_for_the_servers_host_and_opened_once(play, nova, cloud):
    from onestack.compute import public
    from tests.compute.conftest import PlayedAgent

    with cloud.db.write() as session:
        public.register_host_token(session, cloud, "host2", "other-token")
    assert PlayedAgent(nova.agents, "host2", "other-token").hello().status_code == 200

    async def scene(world):
        user = world.user(world.token())
        question, stranger = await world.agent({"authorization": "Bearer other-token"})
        assert (await stranger.next())["type"] == "websocket.close"
        path = f"/v1/streams/{question.args['stream_id']}"
        agent, second = (Socket(world.agents, path, headers=AGENT) for _ in range(2))
        assert {(await agent.next())["type"], (await second.next())["type"]} == {
            "websocket.accept", "websocket.close",
        }  # fmt: skip
        user.leave()
        for socket in (user, stranger, agent, second):
            await socket.ends()

    play(scene)


def test_a_stream_nobody_asked_for(play):
    async def scene(world):
        for path in ("/v1/streams/nonsense", "/v1/work", "/"):
            agent = Socket(world.agents, path, headers=AGENT)
            assert (await agent.next())["type"] == "websocket.close"
            await agent.ends()

    play(scene)
