"""Console tokens. A token is a UUID; only its SHA-256 is stored, with what it opens and until when.

It may be used again until it expires: a browser that reloads the page keeps its console. It ends with its server, and
when the server leaves its host.
"""

from __future__ import annotations

import datetime
import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute.models import Server
from onestack.core.cloud import Cloud
from onestack.core.db import Base

LIFETIME = datetime.timedelta(seconds=600)  # Nova's own default

# What the user asked for → what the host's agent is asked for.
STREAM_TYPES = {"novnc": "vnc", "serial": "serial"}


class ConsoleToken(Base):
    __tablename__ = "console_tokens"

    token_sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    server_id: Mapped[str] = mapped_column(sa.String(36), index=True)
    host: Mapped[str] = mapped_column(sa.String(255))
    stream_type: Mapped[str] = mapped_column(sa.String(16))  # "vnc" or "serial": what the agent is asked for
    console_type: Mapped[str] = mapped_column(sa.String(16))  # "novnc" or "serial": what the user asked for
    expires_at: Mapped[datetime.datetime] = mapped_column(index=True)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def issue(session: Session, cloud: Cloud, *, server_id: str, host: str, console_type: str) -> str:
    """A new token for a console of a server. `console_type` is a key of STREAM_TYPES."""
    now = cloud.clock.now()
    session.execute(sa.delete(ConsoleToken).where(ConsoleToken.expires_at <= now))
    token = cloud.ids.uuid()
    session.add(
        ConsoleToken(
            token_sha256=_hash(token), server_id=server_id, host=host, stream_type=STREAM_TYPES[console_type],
            console_type=console_type, expires_at=now + LIFETIME,
        )
    )  # fmt: skip
    return token


def redeem(session: Session, cloud: Cloud, token: str) -> ConsoleToken | None:
    """What a token opens; None when there is no such token, it has expired, or its server isn't on that host."""
    query = (
        sa.select(ConsoleToken)
        .join(Server, sa.and_(Server.id == ConsoleToken.server_id, Server.host == ConsoleToken.host))
        .where(
            ConsoleToken.token_sha256 == _hash(token), ConsoleToken.expires_at > cloud.clock.now(),
            Server.deleted_at.is_(None),
        )
    )  # fmt: skip
    return session.scalars(query).first()


def forget(session: Session, server_id: str) -> None:
    """The server is gone: its tokens open nothing any more."""
    session.execute(sa.delete(ConsoleToken).where(ConsoleToken.server_id == server_id))


def url(cloud: Cloud, token: str, console_type: str) -> str:
    """Where a browser (novnc) or a WebSocket client (serial) opens the console, in Nova's form."""
    base = cloud.settings.url("console")
    if console_type == "serial":
        return f"{base.replace('http', 'ws', 1)}/?token={token}"
    return f"{base}/vnc_lite.html?path=%3Ftoken%3D{token}"
