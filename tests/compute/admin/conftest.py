"""Helpers for the operator's routes."""

from __future__ import annotations

import pytest

from onestack.compute import public
from tests.compute.conftest import PlayedAgent


class Operator:
    """An admin at 8774: `get("os-services", "2.53")` → the answer."""

    def __init__(self, client, as_="admin"):
        self.client, self.as_ = client, as_

    def ask(self, method, path, version="2.1", body=None, as_=None):
        more = {} if body is None else {"json": body}
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return self.client.request(method, f"/v2.1/{path}", as_=as_ or self.as_, headers=headers, **more)

    def get(self, path, version="2.1", **more):
        return self.ask("GET", path, version, **more)

    def post(self, path, body, version="2.1", **more):
        return self.ask("POST", path, version, body, **more)

    def put(self, path, body, version="2.1", **more):
        return self.ask("PUT", path, version, body, **more)

    def delete(self, path, version="2.1", **more):
        return self.ask("DELETE", path, version, **more)


@pytest.fixture
def operator(compute):
    return Operator(compute)


@pytest.fixture
def second(nova):
    """A second host, with its own agent."""
    with nova.cloud.db.write() as session:
        public.register_host_token(session, nova.cloud, "host2", "second-token")
    agent = PlayedAgent(nova.agents, "host2", "second-token")
    assert agent.hello().status_code == 200
    return agent
