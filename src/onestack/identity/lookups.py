"""Users, projects and domains as the body of an authentication names them: by id, or by name and domain."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.identity.backends import BACKEND
from onestack.identity.dialect import expecting
from onestack.identity.models import NO_DOMAIN, Project, User


def find_user(session: Session, given: dict[str, Any]) -> User | None:
    """The user that `{"id"}` or `{"name", "domain"}` names, of an enabled domain."""
    if isinstance(given.get("id"), str):
        user = BACKEND.user(session, given["id"])
    elif isinstance(given.get("name"), str):
        domain = find_domain(session, given, "user")
        user = BACKEND.user_by_name(session, given["name"], domain.id) if domain is not None else None
    else:
        raise expecting("id or name", "user")
    if user is None:
        return None
    home = session.get(Project, user.domain_id)
    return user if home is not None and home.enabled else None


def find_project(session: Session, given: dict[str, Any]) -> Project | None:
    if isinstance(given.get("id"), str):
        return session.get(Project, given["id"])
    if not isinstance(given.get("name"), str):
        raise expecting("id or name", "project")
    domain = find_domain(session, given, "project")
    if domain is None:
        return None
    query = sa.select(Project).where(Project.name == given["name"], Project.domain_id == domain.id)
    return session.scalars(query).first()


def find_domain(session: Session, given: dict[str, Any], target: str) -> Project | None:
    """The domain in `given["domain"]`; `target` says in errors where it is missing."""
    domain = given.get("domain")
    if not isinstance(domain, dict):
        raise expecting("domain", target)
    query = sa.select(Project).where(Project.is_domain.is_(True))
    if isinstance(domain.get("id"), str):
        query = query.where(Project.id == domain["id"])
    elif isinstance(domain.get("name"), str):
        query = query.where(Project.name == domain["name"], Project.domain_id == NO_DOMAIN)
    else:
        raise expecting("id or name", "domain")
    return session.scalars(query).first()
