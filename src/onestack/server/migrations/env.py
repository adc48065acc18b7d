"""Alembic's entry: runs the migrations on the connection that schema.py hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from onestack.core.db import Json


def render_item(kind: str, item: Any, _autogenerate: Any) -> str | Literal[False]:
    """A migration names the type in the database, not ours: ours may change."""
    return "sa.Text()" if kind == "type" and isinstance(item, Json) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes["metadata"],
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
