"""What other services, and the bootstrap, may call. Each function takes the caller's session."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import flavors, hosts
from onestack.compute.models import HostToken
from onestack.config import ConfigError
from onestack.core.cloud import Cloud


def bootstrap(session: Session, cloud: Cloud) -> None:
    """What a new cloud starts with: the default flavors."""
    flavors.ensure_defaults(session, cloud)


def register_host_token(session: Session, cloud: Cloud, hostname: str, token: str) -> None:
    """Let the agent of the machine `hostname` in with `token`; an older token of it is no longer good. Raises
    ConfigError when an agent with another token is at work under that name: two machines would take turns."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    known = session.get(HostToken, digest) is not None
    if not known and any(host.agent == hostname for host in hosts.up(session, cloud)):
        raise ConfigError(
            f"host: {hostname!r} is another machine of this cloud, which is up. Give this one a name of its own: "
            'host = "…". (If it is this one, and its secrets/agent.token was lost: it may start once its agent has '
            f"been silent for {hosts.DOWN_AFTER_SECONDS} seconds.)"
        )
    session.execute(sa.delete(HostToken).where(HostToken.agent == hostname, HostToken.sha256 != digest))
    session.merge(HostToken(sha256=digest, agent=hostname))
