"""Networks and routers keep their availability zone hints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for table in ("networks", "routers"):
        op.add_column(table, sa.Column("availability_zone_hints", sa.Text(), nullable=False, server_default="[]"))
