"""Tables of OAuth 1: the programs that may ask, what they asked for, and what they were given.

Secrets are needed in clear to check a signature, so they are encrypted by the keys in keys/credential.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class Consumer(Base):
    __tablename__ = "identity_consumers"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    encrypted_secret: Mapped[str] = mapped_column(sa.Text)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class RequestToken(Base):
    """A consumer's wish, until somebody authorizes it and the consumer fetches an access token for it."""

    __tablename__ = "identity_oauth_request_tokens"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    consumer_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), index=True)
    encrypted_secret: Mapped[str] = mapped_column(sa.Text)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True)
    # Set when it is authorized.
    user_id: Mapped[str | None] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"), index=True)
    verifier_hash: Mapped[str | None] = mapped_column(sa.String(64))
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    expires_at: Mapped[datetime.datetime]


class AccessToken(Base):
    """What a user let a consumer do in their name."""

    __tablename__ = "identity_oauth_access_tokens"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    consumer_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), index=True)
    encrypted_secret: Mapped[str] = mapped_column(sa.Text)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"), index=True)
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    expires_at: Mapped[datetime.datetime]
