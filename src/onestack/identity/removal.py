"""What goes with something that is deleted, and which tokens end with it. All in the caller's transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import Forbidden
from onestack.identity import tokens, trusts
from onestack.identity.backends import BACKEND
from onestack.identity.backends.base import Ids
from onestack.identity.models import (
    ApplicationCredential,
    Assignment,
    Credential,
    Group,
    Project,
    Role,
    User,
)
from onestack.identity.models_access import AccessRule
from onestack.identity.models_limits import Limit
from onestack.identity.projects import check_immutable


def remove_user(session: Session, cloud: Cloud, user: User) -> None:
    _forget_actor(session, "user", user.id)
    trusts.forget_users(session, [user.id])
    forget_application_credentials(session, user.id)
    session.execute(sa.delete(Credential).where(Credential.user_id == user.id))
    BACKEND.remove_user(session, user)
    tokens.revoke(session, cloud, user_id=user.id)


def remove_group(session: Session, group: Group) -> None:
    _forget_actor(session, "group", group.id)
    BACKEND.remove_group(session, group)
    tokens.changed(session)


def remove_role(session: Session, cloud: Cloud, role: Role) -> None:
    """With it go the application credentials of whoever has it on their project."""
    lost = sa.exists().where(
        Assignment.role_id == role.id,
        Assignment.actor_type == "user",
        Assignment.actor_id == ApplicationCredential.user_id,
        Assignment.target_type == "project",
        Assignment.target_id == ApplicationCredential.project_id,
    )
    session.execute(_kept(sa.delete(ApplicationCredential).where(lost)))
    session.delete(role)
    tokens.revoke(session, cloud, role_id=role.id)


def remove_project(session: Session, cloud: Cloud, project: Project) -> None:
    """Raises Forbidden when there is something below it."""
    if session.execute(sa.select(Project.id).where(Project.parent_id == project.id).limit(1)).first() is not None:
        raise Forbidden(
            f"Cannot delete the project {project.id} since it is not a leaf in the hierarchy. Use the cascade option "
            "if you want to delete a whole subtree."
        )
    _forget_projects(session, [project.id])
    tokens.revoke(session, cloud, project_id=project.id)


def remove_domain(session: Session, cloud: Cloud, domain: Project) -> None:
    """A disabled domain with everything in it. Raises Forbidden when it is enabled."""
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    for project in session.scalars(sa.select(Project).where(Project.domain_id == domain.id)):
        check_immutable(project, "project", "delete")
    users, groups = BACKEND.ids_in(session, domain.id)
    for kind, ids in (("user", users), ("group", groups)):
        session.execute(_kept(sa.delete(Assignment).where(Assignment.actor_type == kind, Assignment.actor_id.in_(ids))))
    trusts.forget_users(session, users)
    session.execute(_kept(sa.delete(Credential).where(Credential.user_id.in_(users))))
    BACKEND.remove_domain(session, domain.id)
    _forget_projects(session, sa.select(Project.id).where(Project.domain_id == domain.id))
    session.execute(_kept(sa.delete(Role).where(Role.domain_id == domain.id)))
    _forget_target(session, "domain", domain.id)
    _forget_projects(session, [domain.id])
    tokens.revoke(session, cloud, domain_id=domain.id)


def forget_application_credentials(session: Session, user_id: str) -> None:
    """A user who is deleted or disabled loses them for good, and the access rules as well."""
    session.execute(sa.delete(ApplicationCredential).where(ApplicationCredential.user_id == user_id))
    session.execute(sa.delete(AccessRule).where(AccessRule.user_id == user_id))


def forget_credentials(session: Session, user_ids: list[str], project_id: str) -> None:
    """An application credential ends when its owner loses a role on its project."""
    session.execute(
        sa.delete(ApplicationCredential).where(
            ApplicationCredential.user_id.in_(user_ids), ApplicationCredential.project_id == project_id
        )
    )


def _forget_projects(session: Session, ids: Ids) -> None:
    """Projects with what belongs to them alone."""
    at_them = sa.delete(Assignment).where(Assignment.target_type == "project", Assignment.target_id.in_(ids))
    session.execute(_kept(at_them))
    trusts.forget_projects(session, ids)
    session.execute(_kept(sa.delete(Credential).where(Credential.project_id.in_(ids))))
    session.execute(_kept(sa.delete(Limit).where(sa.or_(Limit.project_id.in_(ids), Limit.domain_id.in_(ids)))))
    default = sa.update(User).where(User.default_project_id.in_(ids)).values(default_project_id=None)
    session.execute(_kept(default))
    session.execute(_kept(sa.delete(Project).where(Project.id.in_(ids))))


def _kept(statement: Any) -> Any:
    """Objects of the session aren't brought up to date: nobody looks at them any more."""
    return statement.execution_options(synchronize_session=False)


def _forget_actor(session: Session, kind: str, key: str) -> None:
    session.execute(sa.delete(Assignment).where(Assignment.actor_type == kind, Assignment.actor_id == key))


def _forget_target(session: Session, kind: str, key: str) -> None:
    session.execute(sa.delete(Assignment).where(Assignment.target_type == kind, Assignment.target_id == key))
