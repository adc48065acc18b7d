"""Rules of the tree of projects: where one may stand, and when it may be enabled or disabled."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden
from onestack.identity import assignments
from onestack.identity.dialect import not_found
from onestack.identity.models import Project

MAX_DEPTH = 5  # Keystone's max_project_tree_depth: projects below a domain, one below the other


def place(
    session: Session, domain_id: str | None, parent_id: str | None, default_domain: str, max_depth: int = MAX_DEPTH
) -> tuple[str, str]:
    """(domain id, parent id) of a new project from what the client gave. Raises BadRequest or Forbidden."""
    if parent_id is None:
        domain = session.get(Project, domain_id or default_domain)
        if domain is None or not domain.is_domain:
            raise BadRequest(not_found("domain", domain_id or default_domain).message)
        return domain.id, domain.id
    parent = session.get(Project, parent_id)
    if parent is None:
        raise BadRequest(not_found("project", parent_id).message)
    home = parent.id if parent.is_domain else parent.domain_id
    if domain_id is not None and domain_id != home:
        raise BadRequest(f"Invalid domain: project and its parent {parent_id} must be in the same domain.")
    above = [parent_id] + [key for kind, key in assignments.ancestors(session, parent) if kind == "project"]
    if not parent.is_domain and len(above) >= max_depth:
        raise Forbidden(f"Max hierarchy depth reached for {parent_id} branch.")
    if disabled(session, above):
        raise Forbidden(f"cannot create a project in a branch containing a disabled project: {parent_id}")
    return home, parent.id


def check_enabled(session: Session, project: Project, enabled: bool) -> None:
    """A project may be enabled below enabled ones only, and disabled above disabled ones only. Raises Forbidden."""
    if enabled:
        above = [key for _, key in assignments.ancestors(session, project)]
        if disabled(session, above):
            raise Forbidden(f"cannot enable project {project.id} since it has disabled parents")
        return
    below = assignments.subtree_ids(session, project.id)
    query = sa.select(Project.id).where(Project.id.in_(below), Project.enabled.is_(True)).limit(1)
    if below and session.execute(query).first() is not None:
        raise Forbidden(f"cannot disable project {project.id} since its subtree contains enabled projects.")


def disabled(session: Session, ids: list[str]) -> bool:
    query = sa.select(Project.id).where(Project.id.in_(ids), Project.enabled.is_(False)).limit(1)
    return session.execute(query).first() is not None
