"""What a server remembers of its image and of who made it, for images that are made of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("system_metadata", sa.Text(), server_default="{}", nullable=False))
