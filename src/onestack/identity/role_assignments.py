"""The list of role assignments: as they were made, or (`effective`) what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.identity import assignments
from onestack.identity.backends import BACKEND
from onestack.identity.models import NO_DOMAIN, Assignment, Role


class Grant(NamedTuple):
    """An assignment, or one that follows from another; `via_…` say from what."""

    actor_type: str
    actor_id: str
    target_type: str
    target_id: str
    role_id: str
    inherited: bool = False
    via_group: str | None = None
    via_target: tuple[str, str] | None = None  # (type, id) that it is inherited from
    via_role: str | None = None  # the role that implies this one


class Filter(NamedTuple):
    """What a list is narrowed to. None: anything."""

    role_id: str | None = None
    user_id: str | None = None
    group_id: str | None = None
    system: bool = False
    domain_id: str | None = None
    project_ids: list[str] | None = None  # one, or one and its subtree
    inherited: bool | None = None


def direct(session: Session, wanted: Filter) -> list[Grant]:
    """Assignments as they were made."""
    return list(_rows(session, wanted, [_actor(wanted), *_exact_target(wanted), *_equal_role(wanted)]))


def effective(session: Session, wanted: Filter) -> list[Grant]:
    """Groups replaced by their members, inherited ones by those on each project below, implied roles added.

    Those on the system are left out unless they are asked for.
    """
    if wanted.domain_id is not None:
        wanted = wanted._replace(inherited=False)  # a domain inherits nothing
    forest = assignments.Forest(session)
    where = _any_target(forest, wanted)
    if wanted.user_id is not None:
        where.append(assignments.acts_for(session, wanted.user_id))
    grants = _expand_groups(session, list(_rows(session, wanted, where)), wanted.user_id)
    found = _expand_roles(session, _expand_inherited(forest, grants, wanted))
    if wanted.role_id is not None:
        found = [grant for grant in found if grant.role_id == wanted.role_id]
    return list(dict.fromkeys(found))


def _rows(session: Session, wanted: Filter, conditions: Iterable[sa.ColumnElement[bool]]) -> Iterator[Grant]:
    query = sa.select(
        Assignment.actor_type, Assignment.actor_id, Assignment.target_type, Assignment.target_id, Assignment.role_id,
        Assignment.inherited,
    ).where(*conditions)  # fmt: skip
    if wanted.inherited is not None:
        query = query.where(Assignment.inherited.is_(wanted.inherited))
    ordered = query.order_by(
        Assignment.target_type, Assignment.target_id, Assignment.actor_type, Assignment.actor_id, Assignment.role_id
    )
    for row in session.execute(ordered):
        yield Grant(*row)


def _actor(wanted: Filter) -> sa.ColumnElement[bool]:
    if wanted.user_id is not None:
        return sa.and_(Assignment.actor_type == "user", Assignment.actor_id == wanted.user_id)
    if wanted.group_id is not None:
        return sa.and_(Assignment.actor_type == "group", Assignment.actor_id == wanted.group_id)
    return sa.true()


def _equal_role(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    return [] if wanted.role_id is None else [Assignment.role_id == wanted.role_id]


def _exact_target(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    if wanted.system:
        return [Assignment.target_type == "system"]
    if wanted.domain_id is not None:
        return [Assignment.target_type == "domain", Assignment.target_id == wanted.domain_id]
    if wanted.project_ids is not None:
        return [Assignment.target_type == "project", Assignment.target_id.in_(wanted.project_ids)]
    return []


def _any_target(forest: assignments.Forest, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """Where an assignment may stand so that it comes to something on the target that is asked about."""
    if wanted.project_ids is None:
        return _exact_target(wanted) or [Assignment.target_type != "system"]
    here = sa.and_(Assignment.target_type == "project", Assignment.target_id.in_(wanted.project_ids))
    sources = {key for project_id in wanted.project_ids for key in forest.above(project_id)}
    domains = {forest.domains[key] for key in wanted.project_ids if key in forest.domains}
    above = sa.and_(
        Assignment.inherited.is_(True),
        sa.or_(
            sa.and_(Assignment.target_type == "project", Assignment.target_id.in_(sources)),
            sa.and_(Assignment.target_type == "domain", Assignment.target_id.in_(domains)),
        ),
    )
    return [sa.or_(here, above)]


def _expand_groups(session: Session, grants: list[Grant], user_id: str | None) -> list[Grant]:
    groups = {grant.actor_id for grant in grants if grant.actor_type == "group"}
    if user_id is not None:  # only groups with this user in them were read
        members = {key: [user_id] for key in groups}
    else:
        members = BACKEND.members(session, sorted(groups)) if groups else {}
    found = []
    for grant in grants:
        if grant.actor_type == "user":
            found.append(grant)
            continue
        found += [
            grant._replace(actor_type="user", actor_id=member, via_group=grant.actor_id)
            for member in members.get(grant.actor_id, ())
        ]
    return found


def _expand_inherited(forest: assignments.Forest, grants: Iterable[Grant], wanted: Filter) -> list[Grant]:
    projects = None if wanted.project_ids is None else set(wanted.project_ids)
    found = []
    for grant in grants:
        if not grant.inherited:
            found.append(grant)
            continue
        source = (grant.target_type, grant.target_id)
        found += [
            grant._replace(target_type="project", target_id=key, via_target=source)
            for key in forest.below(*source)
            if projects is None or key in projects
        ]
    return found


def _expand_roles(session: Session, grants: Iterable[Grant]) -> list[Grant]:
    """Implied roles as grants of their own; roles of a domain only stand for what they imply."""
    implied = assignments.implications(session)
    of_domains = set(session.execute(sa.select(Role.id).where(Role.domain_id != NO_DOMAIN)).scalars())
    found = []
    for grant in grants:
        if grant.role_id not in of_domains:
            found.append(grant)
        pending, seen = [grant.role_id], {grant.role_id}
        while pending:
            prior = pending.pop()
            for role_id in sorted(implied.get(prior, ())):
                if role_id not in seen:
                    seen.add(role_id)
                    pending.append(role_id)
                    if role_id not in of_domains:
                        found.append(grant._replace(role_id=role_id, via_role=prior))
    return found
