"""The options of domains (domain_config.py)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json


class DomainOption(Base):
    """One option. A sensitive one is in `encrypted_value` (by the keys in keys/credential), any other in `value`."""

    __tablename__ = "identity_domain_options"

    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True)
    group_name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    option_name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[Any] = mapped_column(Json, nullable=True)
    encrypted_value: Mapped[str | None] = mapped_column(sa.Text)
