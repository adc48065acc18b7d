"""What other services and the composition root may use of identity."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.identity import catalog, passwords, tokens
from onestack.identity.backends import BACKEND
from onestack.identity.keys import KeyRepository
from onestack.identity.models import NO_DOMAIN, Assignment, ImpliedRole, Project, Region, Role, User
from onestack.identity.models_limits import NONE as NO_REGION
from onestack.identity.models_limits import Limit, RegisteredLimit

DEFAULT_DOMAIN = "default"
ROLES = ("admin", "manager", "member", "reader", "service")
IMPLIED = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
PROJECTS = {
    "admin": "The cloud's own project",
    "service": "Accounts of the services",
    "demo": "A project to try things in",
}


def authenticator(cloud: Cloud) -> Callable[[str], Context | None]:
    """Token → who it is, None when it doesn't hold. Any thread may call it; it costs some microseconds."""
    return tokens.Tokens(cloud).authenticate


def project_exists(session: Session, project_id: str) -> bool:
    query = sa.select(Project.id).where(Project.id == project_id, Project.is_domain.is_(False))
    return session.execute(query).first() is not None


def project_names(session: Session, project_ids: Iterable[str]) -> dict[str, str]:
    """Names of those of `project_ids` that exist."""
    query = sa.select(Project.id, Project.name).where(Project.id.in_(set(project_ids)))
    return {row.id: row.name for row in session.execute(query)}


def user_names(session: Session, user_ids: Iterable[str]) -> dict[str, str]:
    """Names of those of `user_ids` that exist."""
    return {row.id: row.name for row in BACKEND.named_users(session, user_ids).values()}


def find_project(session: Session, name: str, domain_id: str = DEFAULT_DOMAIN) -> str | None:
    """The id of a project by its name."""
    query = sa.select(Project.id).where(
        Project.name == name, Project.domain_id == domain_id, Project.is_domain.is_(False)
    )
    return session.execute(query).scalar()


def unified_limits(session: Session, service_type: str, project_id: str, region: str) -> dict[str, int]:
    """The limits of a service's resources that hold for a project: its own where it has one, else what is registered
    for the region, else what is registered everywhere. Resources without a registered limit aren't in it."""
    services = [service.id for service in catalog.services(session) if service.type == service_type]
    query = (
        sa.select(RegisteredLimit.resource_name, RegisteredLimit.default_limit, Limit.resource_limit)
        .outerjoin(Limit, sa.and_(Limit.registered_limit_id == RegisteredLimit.id, Limit.project_id == project_id))
        .where(RegisteredLimit.service_id.in_(services), RegisteredLimit.region_id.in_((NO_REGION, region)))
        .order_by(RegisteredLimit.region_id)
    )
    return {row[0]: row[1] if row[2] is None else row[2] for row in session.execute(query)}


def bootstrap(
    cloud: Cloud, *, admin_password: str, demo_password: str | None = None, reset_passwords: bool = False
) -> None:
    """The domain, roles, projects, users and region that a cloud begins with, and the keys of its tokens.

    Idempotent: what is there stays as it is, also a password that was changed since (`reset_passwords` sets the two
    again). Without `demo_password` no user demo is made.
    """
    for kind in ("fernet", "receipt", "credential"):
        KeyRepository(cloud.settings.path("keys", kind)).ensure()
    with cloud.db.write() as session:
        _domain(session)
        roles = {name: _role(session, cloud, name) for name in ROLES}
        for prior, implied in IMPLIED:
            if session.get(ImpliedRole, (roles[prior], roles[implied])) is None:
                session.add(ImpliedRole(prior_role_id=roles[prior], implied_role_id=roles[implied]))
        projects = {name: _project(session, cloud, name, text) for name, text in PROJECTS.items()}
        admin = _user(session, cloud, "admin", admin_password, projects["admin"], reset_passwords)
        _assign(session, admin, "project", projects["admin"], roles["admin"])
        _assign(session, admin, "domain", DEFAULT_DOMAIN, roles["admin"])
        _assign(session, admin, "system", "all", roles["admin"])
        if demo_password is not None:
            demo = _user(session, cloud, "demo", demo_password, projects["demo"], reset_passwords)
            _assign(session, demo, "project", projects["demo"], roles["member"])
        if session.get(Region, cloud.settings.region) is None:
            session.add(Region(id=cloud.settings.region))
        tokens.changed(session)


def _domain(session: Session) -> None:
    if session.get(Project, DEFAULT_DOMAIN) is None:
        session.add(
            Project(id=DEFAULT_DOMAIN, domain_id=NO_DOMAIN, name="Default", description="The default domain",
                    is_domain=True)
        )  # fmt: skip
        session.flush()


def _role(session: Session, cloud: Cloud, name: str) -> str:
    query = sa.select(Role.id).where(Role.name == name, Role.domain_id == NO_DOMAIN)
    found = session.execute(query).scalar()
    if found is not None:
        return str(found)
    # Immutable, as Keystone's bootstrap makes them: the defaults of every service's policy stand on these.
    row = Role(id=cloud.ids.hex(), domain_id=NO_DOMAIN, name=name, options={"immutable": True})
    session.add(row)
    session.flush()
    return row.id


def _project(session: Session, cloud: Cloud, name: str, description: str) -> str:
    found = find_project(session, name)
    if found is not None:
        return found
    row = Project(
        id=cloud.ids.hex(), domain_id=DEFAULT_DOMAIN, parent_id=DEFAULT_DOMAIN, name=name, description=description
    )
    session.add(row)
    session.flush()
    return row.id


def _user(session: Session, cloud: Cloud, name: str, password: str, project_id: str, reset: bool) -> str:
    row = BACKEND.user_by_name(session, name, DEFAULT_DOMAIN)
    if row is None:
        # The cloud's first accounts must not lock their owner out, whatever the rules for the others are.
        exempt = dict.fromkeys(("ignore_change_password_upon_first_use", "ignore_password_expiry"), True)
        row = User(
            id=cloud.ids.hex(), domain_id=DEFAULT_DOMAIN, name=name, default_project_id=project_id,
            created_at=cloud.clock.now(), enabled=True, options=exempt if _has_rules(cloud) else {},
        )  # fmt: skip
        BACKEND.set_password(session, cloud, row, passwords.hash_password(password))
    elif reset and not passwords.verify(password, row.password_hash):
        BACKEND.set_password(session, cloud, row, passwords.hash_password(password))
        row.enabled = True
        row.failed_auth_count = 0
        tokens.revoke(session, cloud, user_id=row.id)
    BACKEND.save_user(session, row)
    return row.id


def _has_rules(cloud: Cloud) -> bool:
    rules = cloud.settings.security_compliance
    return rules.change_password_upon_first_use or rules.password_expires_days is not None


def _assign(session: Session, user_id: str, kind: str, target: str, role_id: str) -> None:
    key = ("user", user_id, kind, target, role_id, False)
    if session.get(Assignment, key) is None:
        session.add(
            Assignment(actor_type="user", actor_id=user_id, target_type=kind, target_id=target, role_id=role_id,
                       inherited=False)
        )  # fmt: skip
        session.flush()
