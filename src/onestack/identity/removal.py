"""What goes with something that is deleted, and which tokens end with it. All in the caller's transaction."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import Forbidden
from onestack.identity import tokens, trusts
from onestack.identity.models import (
    ApplicationCredential,
    Assignment,
    Credential,
    Group,
    Project,
    Role,
    User,
)
from onestack.identity.models_limits import Limit


def remove_user(session: Session, cloud: Cloud, user: User) -> None:
    _forget_actor(session, "user", user.id)
    trusts.forget_user(session, user.id)
    session.execute(sa.delete(Credential).where(Credential.user_id == user.id))
    session.delete(user)
    tokens.revoke(session, cloud, user_id=user.id)


def remove_group(session: Session, group: Group) -> None:
    _forget_actor(session, "group", group.id)
    session.delete(group)
    tokens.changed(session)


def remove_role(session: Session, cloud: Cloud, role: Role) -> None:
    session.delete(role)
    tokens.revoke(session, cloud, role_id=role.id)


def remove_project(session: Session, cloud: Cloud, project: Project) -> None:
    """Raises Forbidden when there is something below it."""
    if session.execute(sa.select(Project.id).where(Project.parent_id == project.id).limit(1)).first() is not None:
        raise Forbidden(f"cannot delete the project {project.id} since it is not a leaf in the hierarchy.")
    _forget_project(session, cloud, project)


def remove_domain(session: Session, cloud: Cloud, domain: Project) -> None:
    """A disabled domain with everything in it. Raises Forbidden when it is enabled."""
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    for group in session.scalars(sa.select(Group).where(Group.domain_id == domain.id)):
        remove_group(session, group)
    for user in session.scalars(sa.select(User).where(User.domain_id == domain.id)):
        remove_user(session, cloud, user)
    for project in session.scalars(sa.select(Project).where(Project.domain_id == domain.id)):
        _forget_project(session, cloud, project)
    session.execute(sa.delete(Role).where(Role.domain_id == domain.id))
    _forget_target(session, "domain", domain.id)
    _forget_project(session, cloud, domain)
    tokens.revoke(session, cloud, domain_id=domain.id)


def forget_credentials(session: Session, user_ids: list[str], project_id: str) -> None:
    """An application credential ends when its owner loses a role on its project."""
    session.execute(
        sa.delete(ApplicationCredential).where(
            ApplicationCredential.user_id.in_(user_ids), ApplicationCredential.project_id == project_id
        )
    )


def _forget_project(session: Session, cloud: Cloud, project: Project) -> None:
    _forget_target(session, "project", project.id)
    trusts.forget_project(session, project.id)
    session.execute(sa.delete(Credential).where(Credential.project_id == project.id))
    session.execute(sa.delete(Limit).where(sa.or_(Limit.project_id == project.id, Limit.domain_id == project.id)))
    session.execute(sa.update(User).where(User.default_project_id == project.id).values(default_project_id=None))
    session.delete(project)
    session.flush()
    tokens.revoke(session, cloud, project_id=project.id)


def _forget_actor(session: Session, kind: str, key: str) -> None:
    session.execute(sa.delete(Assignment).where(Assignment.actor_type == kind, Assignment.actor_id == key))


def _forget_target(session: Session, kind: str, key: str) -> None:
    session.execute(sa.delete(Assignment).where(Assignment.target_type == kind, Assignment.target_id == key))
