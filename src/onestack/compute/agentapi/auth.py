"""Who an agent is: a bearer token belongs to one agent, and an agent to its hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Host, HostToken
from onestack.core.errors import Unauthorized
from onestack.core.http import Request


def agent_of(req: Request) -> str:
    """The agent that the request's token belongs to. Raises Unauthorized."""
    with req.cloud.db.read() as session:
        return agent_in(session, req)


def agent_in(session: Session, req: Request) -> str:
    return agent_by(session, req.header("Authorization") or "")


def agent_by(session: Session, authorization: str) -> str:
    """The agent that an Authorization header's token belongs to. Raises Unauthorized."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() == "bearer" and token:
        digest = hashlib.sha256(token.encode()).hexdigest()
        agent = session.scalar(sa.select(HostToken.agent).where(HostToken.sha256 == digest))
        if agent is not None:
            return agent
    raise Unauthorized("The agent's token is not known here.")


def hosts_of(session: Session, agent: str) -> list[str]:
    """The names of the hosts that an agent is."""
    return list(session.scalars(sa.select(Host.hostname).where(Host.agent == agent).order_by(Host.hostname)))


def agent_only(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """For stream handlers: `handler(req, agent, …)`."""

    @wraps(handler)
    async def checked(req: Request, **params: Any) -> Any:
        return await handler(req, await req.run(agent_of, req), **params)

    return checked
