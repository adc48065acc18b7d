"""What other services, and the bootstrap, may call. Each function takes the caller's session."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import flavors
from onestack.compute.models import HostToken
from onestack.core.cloud import Cloud


def bootstrap(session: Session, cloud: Cloud) -> None:
    """What a new cloud starts with: the default flavors."""
    flavors.ensure_defaults(session, cloud)


def register_host_token(session: Session, hostname: str, token: str) -> None:
    """Let the agent of the machine `hostname` in with `token`; an older token of it is no longer good."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    session.execute(sa.delete(HostToken).where(HostToken.agent == hostname, HostToken.sha256 != digest))
    session.merge(HostToken(sha256=digest, agent=hostname))
