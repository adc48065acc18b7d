"""The password that a guest made for itself, encrypted with its owner's key: only the owner can read it.

A guest posts it once to the metadata service (cloudbase-init does), the owner fetches it from the API.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Base

LARGEST = 1020  # bytes; Nova keeps it in four pieces of 255


class ServerPassword(Base):
    __tablename__ = "server_passwords"

    server_id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    password: Mapped[str] = mapped_column(sa.Text)


def stored(session: Session, server_id: str) -> str:
    """Empty when there is none."""
    return session.scalar(sa.select(ServerPassword.password).where(ServerPassword.server_id == server_id)) or ""


def store(session: Session, server_id: str, password: str) -> None:
    session.merge(ServerPassword(server_id=server_id, password=password))


def forget(session: Session, server_id: str) -> None:
    session.execute(sa.delete(ServerPassword).where(ServerPassword.server_id == server_id))
