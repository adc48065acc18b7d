"""What the rules about passwords and accounts remember of a user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("identity_users", sa.Column("password_created_at", sa.DateTime(), nullable=True))
    op.add_column(
        "identity_users",
        sa.Column("password_self_service", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "identity_users", sa.Column("failed_auth_count", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("identity_users", sa.Column("failed_auth_at", sa.DateTime(), nullable=True))
    op.add_column("identity_users", sa.Column("last_active_at", sa.Date(), nullable=True))
    op.create_table(
        "identity_former_passwords",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("replaced_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity_users.id"],
            name=op.f("fk_identity_former_passwords_user_id_identity_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_former_passwords")),
    )
    op.create_index(op.f("ix_identity_former_passwords_user_id"), "identity_former_passwords", ["user_id"])
