"""Where the bytes of images are, tasks as Glance has them, the image cache.

An active image's file lies where it always did: in the folder itself, under its id, which is its key in the store
`file`. Tasks no longer go with their image, and those that are there were imports that have ended.
"""

from __future__ import annotations

import datetime
import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEPT = datetime.timedelta(hours=48)


def upgrade() -> None:
    op.create_table(
        "image_locations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.String(length=2048), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("location_metadata", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("writer", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_locations")),
    )
    op.create_index(op.f("ix_image_locations_image_id"), "image_locations", ["image_id"])
    op.create_index("ix_image_locations_status", "image_locations", ["status"])
    op.create_table(
        "image_cache",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("accessed_at", sa.DateTime(), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_cache")),
    )
    op.create_table(
        "image_jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=30), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_jobs")),
    )
    op.create_index(op.f("ix_image_jobs_image_id"), "image_jobs", ["image_id"])
    _locations()
    _tasks()
    op.drop_table("image_tasks")


def _locations() -> None:
    images = sa.table("images", sa.column("id"), sa.column("status"), sa.column("updated_at", sa.DateTime()))
    locations = sa.table(
        "image_locations", sa.column("image_id"), sa.column("store"), sa.column("object_key"), sa.column("position"),
        sa.column("location_metadata"), sa.column("status"), sa.column("created_at", sa.DateTime()),
    )  # fmt: skip
    held = sa.select(
        images.c.id, sa.literal("file"), images.c.id, sa.literal(0), sa.literal("{}"), sa.literal("active"),
        images.c.updated_at,
    ).where(images.c.status.in_(("active", "deactivated")))  # fmt: skip
    op.get_bind().execute(sa.insert(locations).from_select([column.name for column in locations.c], held))


def _tasks() -> None:
    bind = op.get_bind()
    old = sa.table(
        "image_tasks", sa.column("id"), sa.column("image_id"), sa.column("status"), sa.column("method"),
        sa.column("owner"), sa.column("user_id"), sa.column("request_id"), sa.column("message"),
        sa.column("created_at", sa.DateTime()),
    )  # fmt: skip
    new = sa.table(
        "image_jobs", sa.column("id"), sa.column("type"), sa.column("image_id"), sa.column("status"),
        sa.column("input"), sa.column("result"), sa.column("owner"), sa.column("user_id"), sa.column("request_id"),
        sa.column("message"), sa.column("created_at", sa.DateTime()), sa.column("updated_at", sa.DateTime()),
        sa.column("expires_at", sa.DateTime()),
    )  # fmt: skip
    for row in bind.execute(sa.select(old)).all():
        asked = {"image_id": row.image_id, "import_req": {"method": {"name": row.method}}, "backend": ["file"]}
        bind.execute(
            sa.insert(new).values(
                id=row.id, type="api_image_import", image_id=row.image_id, status=row.status, input=json.dumps(asked),
                result=json.dumps({"image_id": row.image_id}) if row.status == "success" else None, owner=row.owner,
                user_id=row.user_id, request_id=row.request_id, message=row.message, created_at=row.created_at,
                updated_at=row.created_at, expires_at=row.created_at + _KEPT,
            )
        )  # fmt: skip
