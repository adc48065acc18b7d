"""Access rules of application credentials, and what OAuth 1 needs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "identity_consumers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("encrypted_secret", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_consumers")),
    )
    op.create_table(
        "identity_access_rules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_access_rules_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_access_rules")),
        sa.UniqueConstraint(
            "user_id", "service", "path", "method", name=op.f("uq_identity_access_rules_user_id_service_path_method")
        ),
    )
    op.create_table(
        "identity_oauth_access_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("encrypted_secret", sa.Text(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["identity_consumers.id"],
            name=op.f("fk_identity_oauth_access_tokens_consumer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_oauth_access_tokens_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_oauth_access_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_oauth_access_tokens")),
    )
    with op.batch_alter_table("identity_oauth_access_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_oauth_access_tokens_consumer_id"), ["consumer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_oauth_access_tokens_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_oauth_access_tokens_user_id"), ["user_id"], unique=False)

    op.create_table(
        "identity_oauth_request_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("encrypted_secret", sa.Text(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("verifier_hash", sa.String(length=64), nullable=True),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["identity_consumers.id"],
            name=op.f("fk_identity_oauth_request_tokens_consumer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_oauth_request_tokens_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity_users.id"],
            name=op.f("fk_identity_oauth_request_tokens_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_oauth_request_tokens")),
    )
    with op.batch_alter_table("identity_oauth_request_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_oauth_request_tokens_consumer_id"), ["consumer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_oauth_request_tokens_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_oauth_request_tokens_user_id"), ["user_id"], unique=False)

    op.create_table(
        "identity_used_access_rules",
        sa.Column("application_credential_id", sa.String(length=64), nullable=False),
        sa.Column("access_rule_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_rule_id"], ["identity_access_rules.id"], name=op.f("fk_identity_used_access_rules_access_rule_id")
        ),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["identity_application_credentials.id"],
            name=op.f("fk_identity_used_access_rules_application_credential_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "application_credential_id", "access_rule_id", name=op.f("pk_identity_used_access_rules")
        ),
    )
    with op.batch_alter_table("identity_used_access_rules", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_identity_used_access_rules_access_rule_id"), ["access_rule_id"], unique=False
        )
