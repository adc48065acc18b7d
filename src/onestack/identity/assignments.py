"""Which roles somebody has, where: direct ones, those of their groups, inherited ones and implied ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.db import fetch, many
from onestack.identity.backends import BACKEND
from onestack.identity.models import NO_DOMAIN, Assignment, ImpliedRole, Project, Role

SYSTEM = "all"
_MAX_DEPTH = 32  # of a tree of projects; only a guard against a loop in the rows
_IMPLIED = sa.select(ImpliedRole.prior_role_id, ImpliedRole.implied_role_id)
_SHOWN = sa.select(Role.id, Role.name).where(Role.id.in_(many("ids")), Role.domain_id == NO_DOMAIN).order_by(Role.name)


class RoleRef(NamedTuple):
    id: str
    name: str


def ancestors(session: Session, project: Project) -> list[tuple[str, str]]:
    """(kind, id) of everything above `project`, nearest first, its domain last."""
    found: list[tuple[str, str]] = []
    parent = project.parent_id
    while parent and parent != project.domain_id and len(found) < _MAX_DEPTH:
        found.append(("project", parent))
        parent = session.execute(sa.select(Project.parent_id).where(Project.id == parent)).scalar()
    if not project.is_domain:
        found.append(("domain", project.domain_id))
    return found


def subtree_ids(session: Session, project_id: str) -> list[str]:
    """Ids of all projects below a project or domain, level by level."""
    found: list[str] = []
    level = [project_id]
    while level and len(found) < 100_000:
        level = list(session.execute(sa.select(Project.id).where(Project.parent_id.in_(level))).scalars())
        found.extend(level)
    return found


class Forest:
    """All trees of projects, read at once: for questions about many projects."""

    def __init__(self, session: Session) -> None:
        self.parents: dict[str, str | None] = {}
        self.domains: dict[str, str] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        self._in_domain: dict[str, list[str]] = defaultdict(list)
        query = sa.select(Project.id, Project.parent_id, Project.domain_id).order_by(Project.id)
        for key, parent, domain in session.execute(query):
            self.parents[key] = parent
            self.domains[key] = domain
            self._children[parent or ""].append(key)
            self._in_domain[domain].append(key)

    def above(self, key: str) -> list[str]:
        """Ids of what is above a project, nearest first, its domain last."""
        found: list[str] = []
        parent = self.parents.get(key)
        while parent and len(found) < _MAX_DEPTH:
            found.append(parent)
            parent = self.parents.get(parent)
        return found

    def below(self, kind: str, key: str) -> list[str]:
        """Ids of the projects below a project, or of all of a domain."""
        if kind == "domain":
            return self._in_domain.get(key, [])
        found: list[str] = []
        level = [key]
        while level and len(found) < len(self.parents):
            level = [child for parent in level for child in self._children.get(parent, ())]
            found.extend(level)
        return found


def acts_for(session: Session, user_id: str) -> sa.ColumnElement[bool]:
    """Assignments of a user and of the groups that they are in."""
    groups = BACKEND.group_ids(session, user_id)
    return sa.or_(
        sa.and_(Assignment.actor_type == "user", Assignment.actor_id == user_id),
        sa.and_(Assignment.actor_type == "group", Assignment.actor_id.in_(groups)),
    )


def implications(session: Session) -> dict[str, set[str]]:
    """Role id → ids of the roles that it implies at first hand."""
    found: dict[str, set[str]] = defaultdict(set)
    for prior, implied in fetch(session, _IMPLIED):
        found[prior].add(implied)
    return found


def closure(role_ids: Iterable[str], implied: dict[str, set[str]]) -> set[str]:
    """`role_ids` and all that they imply."""
    found: set[str] = set()
    pending = list(role_ids)
    while pending:
        role_id = pending.pop()
        if role_id not in found:
            found.add(role_id)
            pending.extend(implied.get(role_id, ()))
    return found


def effective_roles(session: Session, role_ids: Iterable[str]) -> list[RoleRef]:
    """`role_ids` and what they imply, as a token shows them: by name, without domain-specific roles."""
    ids = closure(role_ids, implications(session))
    if not ids:
        return []
    return [RoleRef(row.id, row.name) for row in fetch(session, _SHOWN, ids=sorted(ids))]


def roles_on_project(session: Session, user_id: str, project: Project) -> list[RoleRef]:
    return _roles_where(session, user_id, _on_project(session, project))


def role_ids_on_project(session: Session, user_id: str, project: Project) -> set[str]:
    """Ids of all roles that `user_id` has there, also implied and domain-specific ones."""
    query = sa.select(Assignment.role_id).where(acts_for(session, user_id), _on_project(session, project)).distinct()
    return closure(session.execute(query).scalars(), implications(session))


def _on_project(session: Session, project: Project) -> sa.ColumnElement[bool]:
    here = sa.and_(
        Assignment.target_type == "project", Assignment.target_id == project.id, Assignment.inherited.is_(False)
    )
    above = [
        sa.and_(Assignment.target_type == kind, Assignment.target_id == key, Assignment.inherited.is_(True))
        for kind, key in ancestors(session, project)
    ]
    return sa.or_(here, *above)


def roles_on_domain(session: Session, user_id: str, domain_id: str) -> list[RoleRef]:
    return _roles_where(
        session, user_id,
        sa.and_(Assignment.target_type == "domain", Assignment.target_id == domain_id, Assignment.inherited.is_(False)),
    )  # fmt: skip


def roles_on_system(session: Session, user_id: str) -> list[RoleRef]:
    return _roles_where(session, user_id, Assignment.target_type == "system")


def _roles_where(session: Session, user_id: str, target: sa.ColumnElement[bool]) -> list[RoleRef]:
    query = sa.select(Assignment.role_id).where(acts_for(session, user_id), target).distinct()
    return effective_roles(session, session.execute(query).scalars())


def projects_of(session: Session, user_id: str, wheres: Iterable[sa.ColumnElement[bool]] = ()) -> list[Project]:
    """Projects that a user has any role on, directly or inherited; those that `wheres` fit."""
    mine = acts_for(session, user_id)
    query = sa.select(Assignment.target_type, Assignment.target_id, Assignment.inherited).where(mine)
    direct: set[str] = set()
    above: set[str] = set()
    domains: set[str] = set()
    for kind, target, inherited in session.execute(query):
        if kind == "project":
            (above if inherited else direct).add(target)
        elif kind == "domain" and inherited:
            domains.add(target)
    if above:
        forest = Forest(session)
        direct.update(key for target in above for key in forest.below("project", target))
    where = sa.or_(Project.id.in_(direct), Project.domain_id.in_(domains))
    found = sa.select(Project).where(where, Project.is_domain.is_(False), *wheres).order_by(Project.name)
    return list(session.scalars(found))


def domains_of(session: Session, user_id: str) -> list[Project]:
    """Domains that a user has a role on."""
    targets = sa.select(Assignment.target_id).where(
        acts_for(session, user_id), Assignment.target_type == "domain", Assignment.inherited.is_(False)
    )
    return list(session.scalars(sa.select(Project).where(Project.id.in_(targets)).order_by(Project.name)))
