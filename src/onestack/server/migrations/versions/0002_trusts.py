"""Trusts, codes of second factors that were used, and what else a revocation can name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_REVOCATIONS = "identity_revocations"
_NEW_COLUMNS = ("role_id", "trust_id", "consumer_id", "access_token_id")


def upgrade() -> None:
    op.create_table(
        "identity_trusts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("trustor_user_id", sa.String(length=64), nullable=False),
        sa.Column("trustee_user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("remaining_uses", sa.Integer(), nullable=True),
        sa.Column("redelegated_trust_id", sa.String(length=64), nullable=True),
        sa.Column("redelegation_count", sa.Integer(), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_trusts")),
        sa.UniqueConstraint(
            "trustor_user_id", "trustee_user_id", "project_id", "impersonation", "expires_at",
            name=op.f("uq_identity_trusts_delegation"),
        ),
    )  # fmt: skip
    for column in ("trustee_user_id", "project_id", "redelegated_trust_id"):
        op.create_index(op.f(f"ix_identity_trusts_{column}"), "identity_trusts", [column])
    op.create_table(
        "identity_used_codes",
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("interval", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_identity_used_codes")),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["identity_credentials.id"], ondelete="CASCADE",
            name=op.f("fk_identity_used_codes_credential_id"),
        ),
    )  # fmt: skip
    for column in _NEW_COLUMNS:
        op.add_column(_REVOCATIONS, sa.Column(column, sa.String(length=64), nullable=True))
        op.create_index(op.f(f"ix_{_REVOCATIONS}_{column}"), _REVOCATIONS, [column])
