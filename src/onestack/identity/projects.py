"""Rules of projects and domains: names, the tree of them, and when one may be enabled, disabled or changed at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.config import Settings
from onestack.core.errors import BadRequest, Forbidden
from onestack.identity import assignments
from onestack.identity.dialect import not_found
from onestack.identity.models import Project, Role

_RESERVED = frozenset(":/?#[]@!$&'()*+,;=")  # characters with a meaning in URLs (RFC 3986)


def check_name(settings: Settings, name: str, *, domain: bool) -> None:
    """Raises BadRequest when the operator wants names that can stand in a URL, and this one can't."""
    rule = settings.identity.domain_name_url_safe if domain else settings.identity.project_name_url_safe
    found = "".join(character for character in name if character in _RESERVED)
    if rule != "off" and found:
        kind = "Domain" if domain else "Project"
        raise BadRequest(f"{kind} name cannot contain the following reserved characters: {found}")


def check_immutable(row: Project | Role, noun: str, verb: str, known: Mapping[str, Any] | None = None) -> None:
    """What is marked immutable keeps still until that mark is taken off, by itself. Raises Forbidden."""
    if not row.options.get("immutable"):
        return
    if known is not None and set(known) == {"options"} and known["options"].get("immutable", True) in (False, None):
        return
    # The single backquote is Keystone's.
    words = 'Set resource option "immutable" to false first.'
    raise Forbidden(f"Unable to {verb} immutable {noun} resource: `{row.id}. {words}")


def place(session: Session, max_depth: int, domain_id: str, parent_id: str | None) -> tuple[str, str]:
    """(domain id, parent id) of a new project from what the client gave. Raises BadRequest or Forbidden."""
    if parent_id is None:
        domain = _domain(session, domain_id)
        _check_branch(session, domain, max_depth)
        return domain.id, domain.id
    parent = session.get(Project, parent_id)
    if parent is None:
        raise BadRequest(not_found("project", parent_id).message)
    home = parent.id if parent.is_domain else parent.domain_id
    if domain_id != home:
        _domain(session, domain_id)
        if parent.is_domain:
            raise BadRequest(
                f"Cannot create project, the parent ({parent.id}) is acting as a domain, but this project's domain id "
                f"({domain_id}) does not match the parent's id."
            )
        raise BadRequest(
            f"Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent in a "
            f"different domain ({home})."
        )
    _check_branch(session, parent, max_depth)
    return home, parent.id


def _domain(session: Session, domain_id: str) -> Project:
    domain = session.get(Project, domain_id)
    if domain is None or not domain.is_domain:
        raise BadRequest(not_found("domain", domain_id).message)
    return domain


def _check_branch(session: Session, parent: Project, max_depth: int) -> None:
    """Nothing above a new project may be disabled, and not too much may be there."""
    above = [parent.id, *(key for _, key in assignments.ancestors(session, parent))]
    disabled = first_disabled(session, above)
    if disabled is not None:
        raise BadRequest(f"cannot create a project in a branch containing a disabled project: {disabled}")
    if len(above) > max_depth:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")


def check_enabled(session: Session, project: Project, enabled: bool) -> None:
    """A project may be enabled below enabled ones only, and disabled above disabled ones only. Raises Forbidden."""
    if enabled:
        above = [key for _, key in assignments.ancestors(session, project)]
        if first_disabled(session, above) is not None:
            raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents")
        return
    below = assignments.subtree_ids(session, project.id)
    query = sa.select(Project.id).where(Project.id.in_(below), Project.enabled.is_(True)).limit(1)
    if below and session.execute(query).first() is not None:
        raise Forbidden(f"Cannot disable project {project.id} since its subtree contains enabled projects.")


def first_disabled(session: Session, ids: list[str]) -> str | None:
    query = sa.select(Project.id).where(Project.id.in_(ids), Project.enabled.is_(False)).limit(1)
    return session.execute(query).scalar()
