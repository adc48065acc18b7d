"""Tags of projects and domains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.identity.models import Project, ProjectTag

_MANY = 100  # projects; with more all tags are read: a list of a thousand ids would cost more than it saves


def tags_of(session: Session, rows: Sequence[Project]) -> dict[str, list[str]]:
    """Project id → tags, in one query."""
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(ProjectTag.project_id, ProjectTag.name).order_by(ProjectTag.name)
    if len(rows) <= _MANY:
        query = query.where(ProjectTag.project_id.in_([row.id for row in rows]))
    for project_id, name in session.execute(query):
        found[project_id].append(name)
    return found


def tags(session: Session, project_id: str) -> list[str]:
    query = sa.select(ProjectTag.name).where(ProjectTag.project_id == project_id).order_by(ProjectTag.name)
    return list(session.execute(query).scalars())


def set_tags(session: Session, project_id: str, names: Iterable[str]) -> list[str]:
    """The tags as they are now."""
    wanted = sorted(set(names))
    session.execute(sa.delete(ProjectTag).where(ProjectTag.project_id == project_id))
    if wanted:
        session.execute(sa.insert(ProjectTag), [{"project_id": project_id, "name": name} for name in wanted])
    return wanted


def check_changeable(project: Project, verb: str) -> None:
    """Raises Forbidden when the project is immutable."""
    if project.options.get("immutable"):
        raise Forbidden(
            f"Cannot {verb} project tags for {project.id}, project is immutable. "
            'Set "immutable" option to false before creating project tags.'
        )
