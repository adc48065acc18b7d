"""The id that endpoints of identity v2.0 share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("identity_endpoints") as batch_op:
        batch_op.add_column(sa.Column("legacy_endpoint_id", sa.String(length=64), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_identity_endpoints_legacy_endpoint_id"), ["legacy_endpoint_id"], unique=False
        )
