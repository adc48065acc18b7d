"""The description of a project, a domain or a group may be null."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("identity_projects", "identity_groups"):
        if op.get_context().dialect.name == "sqlite":
            # Alembic would drop the table and make it anew, and whatever refers to its rows would go with them.
            op.add_column(table, sa.Column("nullable_description", sa.Text(), nullable=True))
            columns = sa.table(table, sa.column("description"), sa.column("nullable_description"))
            op.execute(sa.update(columns).values(nullable_description=columns.c.description))
            op.execute(f"ALTER TABLE {table} DROP COLUMN description")
            op.execute(f"ALTER TABLE {table} RENAME COLUMN nullable_description TO description")
        else:
            op.alter_column(table, "description", existing_type=sa.Text(), nullable=True)
