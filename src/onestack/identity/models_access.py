"""Tables of application credentials' access rules.

A rule is its owner's and outlives the credential that it was made for; the same rule is one row, however many
credentials use it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base


class AccessRule(Base):
    __tablename__ = "identity_access_rules"
    __table_args__ = (sa.UniqueConstraint("user_id", "service", "path", "method"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"))
    service: Mapped[str] = mapped_column(sa.String(64))
    path: Mapped[str] = mapped_column(sa.String(255))
    method: Mapped[str] = mapped_column(sa.String(16))


class UsedAccessRule(Base):
    """An application credential's rule. A rule that is used can't be deleted, unless its owner goes with it."""

    __tablename__ = "identity_used_access_rules"

    application_credential_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_application_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    access_rule_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_access_rules.id"), primary_key=True, index=True)
