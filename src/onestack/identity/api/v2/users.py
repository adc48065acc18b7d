"""Users of the default domain. `tenantId` is v3's default project, and a member of it the user becomes as well."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.identity import assignments, removal, tokens
from onestack.identity.api import users
from onestack.identity.api.common import DEFAULT_DOMAIN
from onestack.identity.api.v2 import tokens as v2_tokens
from onestack.identity.api.v2.common import admin, check_user, part, user_view, visible_tenant
from onestack.identity.dialect import expecting, not_found
from onestack.identity.models import NO_DOMAIN, Assignment, Membership, Role, User

_MEMBER = "member"  # the role of whoever belongs to a tenant
_NEVER = ("domain_id", "options", "default_project_id")


def index(req: Request) -> dict[str, Any]:
    admin(req)
    name = req.get("name")
    query = sa.select(User).where(User.domain_id == DEFAULT_DOMAIN)
    with req.cloud.db.read() as session:
        if name is None:
            rows = session.scalars(query.order_by(User.name))
            return {"users": [user_view(users.render_user(req, row)) for row in rows]}
        row = session.scalars(query.where(User.name == name)).first()
        if row is None:
            raise not_found("user", name)
        return {"user": user_view(users.render_user(req, row))}


def in_tenant(req: Request, tenant_id: str) -> dict[str, Any]:
    """Everybody with a role there, also one of a group or inherited from above."""
    admin(req)
    with req.cloud.db.read() as session:
        project = visible_tenant(session, tenant_id)
        here = sa.and_(
            Assignment.target_type == "project", Assignment.target_id == tenant_id, Assignment.inherited.is_(False)
        )
        above = [
            sa.and_(Assignment.target_type == kind, Assignment.target_id == key, Assignment.inherited.is_(True))
            for kind, key in assignments.ancestors(session, project)
        ]
        actors = sa.select(Assignment.actor_id).where(sa.or_(here, *above))
        groups = actors.where(Assignment.actor_type == "group")
        inside = sa.or_(
            User.id.in_(actors.where(Assignment.actor_type == "user")),
            User.id.in_(sa.select(Membership.user_id).where(Membership.group_id.in_(groups))),
        )
        rows = session.scalars(sa.select(User).where(inside, User.domain_id == DEFAULT_DOMAIN).order_by(User.name))
        return {"users": [user_view(users.render_user(req, row)) for row in rows]}


def show(req: Request, user_id: str) -> dict[str, Any]:
    check_user(req, user_id)
    return {"user": user_view(users.show(req, user_id)["user"])}


def create(req: Request) -> dict[str, Any]:
    admin(req)
    given = _given(req)
    if "name" not in given:
        raise expecting("name", "user")
    _check_tenant(req, given)
    req.body = {"user": given | {"domain_id": DEFAULT_DOMAIN}}
    return {"user": user_view(users.create(req, then=_join)["user"])}


def update(req: Request, user_id: str) -> dict[str, Any]:
    check_user(req, user_id)
    given = _given(req)
    with req.cloud.db.read() as session:
        before = session.execute(sa.select(User.default_project_id).where(User.id == user_id)).scalar()
    if given.get("default_project_id") not in (None, before):
        _check_tenant(req, given)

    def move(session: Session, row: User) -> None:
        if row.default_project_id != before:
            if before is not None:
                _leave(session, row, before)
            _join(session, row)

    req.body = {"user": given}
    return {"user": user_view(users.update(req, user_id, then=move)["user"])}


def enable(req: Request, user_id: str) -> dict[str, Any]:
    if "enabled" not in part(req.body, "user"):
        raise expecting("enabled", "user")
    return update(req, user_id)


def delete(req: Request, user_id: str) -> None:
    check_user(req, user_id)
    users.delete(req, user_id)


def change_own_password(req: Request, user_id: str) -> dict[str, Any]:
    """OS-KSCRUD: whoever knows the old password gets a new token with the new one."""
    given = part(req.body, "user")
    if req.ctx.user_id != user_id:
        raise Forbidden("Token belongs to another user")
    for name in ("original_password", "password"):
        if not isinstance(given.get(name), str):
            raise expecting(name.replace("_", " "), "user")
    req.body = {"user": {name: given[name] for name in ("original_password", "password")}}
    users.change_password(req, user_id)
    scope = {"project": {"id": req.ctx.project_id}} if req.ctx.project_id else {"unscoped": {}}
    who = {"id": user_id, "password": given["password"]}
    return v2_tokens.issue(req, {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope})


def _given(req: Request) -> dict[str, Any]:
    """The user of the body in v3's names."""
    given = {key: value for key, value in part(req.body, "user").items() if key not in _NEVER}
    if "OS-KSADM:password" in given:
        given["password"] = given.pop("OS-KSADM:password")
    username = given.pop("username", None)
    if username is not None:
        given.setdefault("name", username)
    tenant_id = given.pop("tenantId", None)
    if tenant_id is not None:
        given["default_project_id"] = tenant_id
    return given


def _check_tenant(req: Request, given: dict[str, Any]) -> None:
    tenant_id = given.get("default_project_id")
    if isinstance(tenant_id, str):
        with req.cloud.db.read() as session:
            visible_tenant(session, tenant_id)


def _join(session: Session, row: User) -> None:
    if row.default_project_id is None:
        return
    key = _membership(session, row, row.default_project_id)
    if session.get(Assignment, key) is None:
        session.add(
            Assignment(actor_type=key[0], actor_id=key[1], target_type=key[2], target_id=key[3], role_id=key[4],
                       inherited=key[5])
        )  # fmt: skip
        tokens.changed(session)


def _leave(session: Session, row: User, tenant_id: str) -> None:
    found = session.get(Assignment, _membership(session, row, tenant_id))
    if found is not None:
        session.delete(found)
        removal.forget_credentials(session, [row.id], tenant_id)
        tokens.changed(session)


def _membership(session: Session, row: User, tenant_id: str) -> tuple[str, str, str, str, str, bool]:
    role_id = session.execute(sa.select(Role.id).where(Role.name == _MEMBER, Role.domain_id == NO_DOMAIN)).scalar()
    if role_id is None:
        raise not_found("role", _MEMBER)
    return ("user", row.id, "project", tenant_id, role_id, False)
