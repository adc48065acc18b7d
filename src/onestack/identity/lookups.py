"""Users, projects and domains as the body of an authentication names them: by name and domain, else by id."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.identity.backends import BACKEND
from onestack.identity.dialect import expecting
from onestack.identity.models import NO_DOMAIN, Project, User


def find_user(session: Session, given: dict[str, Any]) -> User | None:
    """The user that `{"name", "domain"}` or `{"id"}` names, of an enabled domain."""
    user = None
    name = _text(given, "name")
    if name:
        domain = find_domain(session, given, "user")
        if domain is None and not any(_text(given["domain"], key) for key in ("id", "name")):
            raise expecting("id or name", "domain")
        user = BACKEND.user_by_name(session, name, domain.id) if domain is not None else None
    elif _text(given, "id"):
        user = BACKEND.user(session, given["id"])
    else:
        raise expecting("id or name", "user")
    if user is None:
        return None
    home = session.get(Project, user.domain_id)
    return user if home is not None and home.enabled else None


def find_project(session: Session, given: dict[str, Any]) -> Project | None:
    name = _text(given, "name")
    if not name:
        project = session.get(Project, _text(given, "id"))
        return project if project is not None and not project.is_domain else None
    domain = find_domain(session, given, "project")
    if domain is None:
        return None
    query = sa.select(Project).where(Project.name == name, Project.domain_id == domain.id)
    return session.scalars(query).first()


def find_domain(session: Session, given: dict[str, Any], target: str) -> Project | None:
    """The domain in `given["domain"]`; `target` says in errors where it is missing."""
    domain = given.get("domain")
    if not isinstance(domain, dict):
        raise expecting("domain", target)
    query = sa.select(Project).where(Project.is_domain.is_(True))
    name = _text(domain, "name")
    if name:
        query = query.where(Project.name == name, Project.domain_id == NO_DOMAIN)
    elif _text(domain, "id"):
        query = query.where(Project.id == domain["id"])
    else:
        return None
    return session.scalars(query).first()


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
