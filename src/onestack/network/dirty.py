"""What the engine, and the hosts' agents, must be told: noted in the transaction that makes the change.

Notes are gathered in the session and written once, just before it commits: one statement for the engine's changes,
whatever their number, and one revision for each host.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from onestack.core import revision
from onestack.core.cloud import Cloud
from onestack.core.db import on_commit
from onestack.network.drivers.base import Kind
from onestack.network.models import Change

TOPIC = "network"


def note(session: Session, cloud: Cloud, kind: Kind, ids: Iterable[str]) -> None:
    """These objects changed, or are gone."""
    found = {(kind, one) for one in ids if one}
    if found:
        _notes(session, cloud)["objects"] |= found


def note_hosts(session: Session, cloud: Cloud, hosts: Iterable[str]) -> None:
    """Something that the agents of these hosts see changed."""
    found = {host for host in hosts if host}
    if found:
        _notes(session, cloud)["hosts"] |= found


def _notes(session: Session, cloud: Cloud) -> dict[str, set[Any]]:
    notes: dict[str, set[Any]] | None = session.info.get("network_notes")
    if notes is None:
        notes = session.info["network_notes"] = {"objects": set(), "hosts": set()}
        event.listen(session, "before_commit", lambda current: _write(current, cloud), once=True)
    return notes


def _write(session: Session, cloud: Cloud) -> None:
    notes = session.info.pop("network_notes", None)
    if notes is None:
        return
    for host in sorted(notes["hosts"]):
        revision.advance(session, f"host:{host}")
        on_commit(session, _notifier(cloud, f"host:{host}"))
    if not notes["objects"]:
        return
    number = revision.advance(session, TOPIC)
    rows = [{"kind": kind, "id": one, "revision": number} for kind, one in sorted(notes["objects"])]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(rows), 1000):
        statement = insert(Change).values(rows[start : start + 1000])
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[Change.kind, Change.id], set_={"revision": statement.excluded.revision}
            )
        )
    on_commit(session, _notifier(cloud, TOPIC))


def _notifier(cloud: Cloud, topic: str) -> Any:
    return lambda: cloud.wakeups.notify(topic)


def pending(session: Session, limit: int) -> list[sa.Row[tuple[str, str, int]]]:
    """What the engine hasn't been told yet, oldest first."""
    return list(
        session.execute(sa.select(Change.kind, Change.id, Change.revision).order_by(Change.revision).limit(limit))
    )


def done(session: Session, rows: Iterable[Any]) -> None:
    """Forget what the engine took, except what changed again meanwhile."""
    by_revision: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        by_revision.setdefault((row.kind, row.revision), []).append(row.id)
    for (kind, number), ids in by_revision.items():
        session.execute(sa.delete(Change).where(Change.kind == kind, Change.revision == number, Change.id.in_(ids)))
