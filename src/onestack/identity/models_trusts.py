"""Trusts: what one user lets another do in their place (Keystone's OS-TRUST), and the codes of second factors."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class Trust(Base):
    """`role_ids` are those that were named: a role that is deleted later makes the trust worthless, not smaller."""

    __tablename__ = "identity_trusts"
    __table_args__ = (
        sa.UniqueConstraint(
            "trustor_user_id",
            "trustee_user_id",
            "project_id",
            "impersonation",
            "expires_at",
            name="uq_identity_trusts_delegation",
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    trustor_user_id: Mapped[str] = mapped_column(sa.String(64))
    trustee_user_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    project_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    impersonation: Mapped[bool]
    expires_at: Mapped[datetime.datetime | None]
    remaining_uses: Mapped[int | None]
    redelegated_trust_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    redelegation_count: Mapped[int]
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class UsedCode(Base):
    """The newest TOTP code of a credential that was used, by its interval: `[identity] totp_single_use`."""

    __tablename__ = "identity_used_codes"

    credential_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    interval: Mapped[int] = mapped_column(sa.BigInteger)
