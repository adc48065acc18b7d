"""Who somebody would be with a token for a project, a domain or the system. No token is made."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.identity import assignments
from onestack.identity.models import NO_DOMAIN, Project, User


def context(
    session: Session, user: str, domain: str, *, project: str | None = None, of_domain: str | None = None,
    system: bool = False,
) -> Context:  # fmt: skip
    """`user`, `project` (both of `domain`) and `of_domain` are names or ids. Without a scope: none. Raises NotFound."""
    home = _domain(session, domain)
    person = _one(session, User, user, home.id, "user")
    who: dict[str, Any] = {"user_id": person.id, "user_name": person.name, "user_domain_id": person.domain_id}
    roles = []
    if project is not None:
        place = _one(session, Project, project, home.id, "project")
        roles = assignments.roles_on_project(session, person.id, place)
        who |= {"project_id": place.id, "project_name": place.name, "project_domain_id": place.domain_id}
    elif of_domain is not None:
        place = _domain(session, of_domain)
        roles = assignments.roles_on_domain(session, person.id, place.id)
        who |= {"domain_id": place.id}
    elif system:
        roles = assignments.roles_on_system(session, person.id)
        who |= {"system": True}
    return Context(roles=[role.name for role in roles], **who)


def _domain(session: Session, given: str) -> Project:
    return _one(session, Project, given, NO_DOMAIN, "domain")


def _one(session: Session, model: Any, given: str, domain_id: str, noun: str) -> Any:
    row = session.get(model, given)
    if row is not None and (noun != "domain" or row.is_domain):
        return row
    found = session.scalars(sa.select(model).where(model.name == given, model.domain_id == domain_id)).first()
    if found is None:
        raise NotFound(f"there is no {noun} {given!r}")
    return found
