"""Several nodes: whose the copies in the image cache and the staged files are, and the work on them; leases of objects
that are written.

What is there is marked as nobody's. It becomes that of the node which has the files, when that node starts.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("operations", sa.Column("node", sa.String(length=64), nullable=True))
    op.add_column("image_locations", sa.Column("lease_until", sa.DateTime(), nullable=True))
    written = sa.table("image_locations", sa.column("status", sa.String), sa.column("lease_until", sa.DateTime))
    tomorrow = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=1)
    op.execute(written.update().where(written.c.status == "writing").values(lease_until=tomorrow))
    op.add_column("images", sa.Column("staged_on", sa.String(length=64), nullable=True))
    bind = op.get_bind()
    old = sa.Table("image_cache", sa.MetaData(), autoload_with=bind)
    rows = [{"node": "", **row._mapping} for row in bind.execute(sa.select(old))]
    op.drop_table("image_cache")
    new = op.create_table(
        "image_cache",
        sa.Column("node", sa.String(length=64), server_default="", nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("accessed_at", sa.DateTime(), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("node", "image_id", name=op.f("pk_image_cache")),
    )
    op.bulk_insert(new, rows)
