"""Unified limits, options of domains, endpoint filters, policies of endpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "identity_endpoint_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_endpoint_groups")),
    )
    op.create_table(
        "identity_policies",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_policies")),
    )
    op.create_table(
        "identity_registered_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_registered_limits")),
        sa.UniqueConstraint(
            "service_id",
            "region_id",
            "resource_name",
            name=op.f("uq_identity_registered_limits_resource"),
        ),
    )
    with op.batch_alter_table("identity_registered_limits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_registered_limits_region_id"), ["region_id"], unique=False)

    op.create_table(
        "identity_domain_options",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=255), nullable=False),
        sa.Column("option_name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("encrypted_value", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_domain_options_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("domain_id", "group_name", "option_name", name=op.f("pk_identity_domain_options")),
    )
    op.create_table(
        "identity_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("registered_limit_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("resource_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"],
            ["identity_registered_limits.id"],
            name=op.f("fk_identity_limits_registered_limit_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_limits")),
        sa.UniqueConstraint(
            "registered_limit_id",
            "project_id",
            "domain_id",
            name=op.f("uq_identity_limits_registered_limit_id_project_id_domain_id"),
        ),
    )
    with op.batch_alter_table("identity_limits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_limits_domain_id"), ["domain_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_limits_project_id"), ["project_id"], unique=False)

    op.create_table(
        "identity_policy_associations",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["identity_policies.id"],
            name=op.f("fk_identity_policy_associations_policy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "service_id", "region_id", name=op.f("pk_identity_policy_associations")),
    )
    with op.batch_alter_table("identity_policy_associations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_policy_associations_policy_id"), ["policy_id"], unique=False)

    op.create_table(
        "identity_project_endpoint_groups",
        sa.Column("endpoint_group_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_group_id"],
            ["identity_endpoint_groups.id"],
            name=op.f("fk_identity_project_endpoint_groups_endpoint_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_project_endpoint_groups_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_group_id", "project_id", name=op.f("pk_identity_project_endpoint_groups")),
    )
    with op.batch_alter_table("identity_project_endpoint_groups", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_identity_project_endpoint_groups_project_id"), ["project_id"], unique=False
        )

    op.create_table(
        "identity_project_endpoints",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_project_endpoints_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name=op.f("pk_identity_project_endpoints")),
    )
    with op.batch_alter_table("identity_project_endpoints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_project_endpoints_endpoint_id"), ["endpoint_id"], unique=False)
