"""Users, their passwords, and what they belong to."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros
from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.identity import assignments, checks, passwords, removal, tokens
from onestack.identity.api.common import (
    collection,
    domain_target,
    filters,
    get_domain,
    home_domain,
    link,
    load,
    page,
    store,
    target,
)
from onestack.identity.api.groups import render_group
from onestack.identity.api.projects import render_projects
from onestack.identity.dialect import duplicate, not_found, unauthorized
from onestack.identity.models import Group, Membership, Project, User

# What older forms of the API do in the same transaction.
Then = Callable[[Session, User], None]

_OPTIONS = {
    "ignore_change_password_upon_first_use": bool,
    "ignore_password_expiry": bool,
    "ignore_lockout_failure_attempts": bool,
    "lock_password": bool,
    "ignore_user_inactivity": bool,
    "multi_factor_auth_enabled": bool,
    "multi_factor_auth_rules": list,
}


def _options(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "is not of type 'object'"
    for name, item in value.items():
        kind = _OPTIONS.get(name)
        if kind is None:
            return f"does not know the option '{name}'"
        if item is not None and not isinstance(item, kind):
            return f"has an invalid value for '{name}'"
    return None


FIELDS: dict[str, checks.Check] = {
    "name": checks.NAME,
    "domain_id": checks.ID_OR_NULL,
    "enabled": checks.flag(),
    "password": checks.text(null=True),
    "default_project_id": checks.ID_OR_NULL,
    "options": _options,
    "description": checks.DESCRIPTION,
    "email": checks.DESCRIPTION,
}
_KNOWN = ("name", "domain_id", "enabled", "password", "default_project_id", "options", "password_expires_at")


def render_user(req: Request, row: User) -> dict[str, Any]:
    shown = row.extra | {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "options": row.options,
        "password_expires_at": micros(row.password_expires_at),
        "links": {"self": link(req, "users", row.id)},
    }
    if row.default_project_id is not None:
        shown["default_project_id"] = row.default_project_id
    return shown


def index(req: Request) -> dict[str, Any]:
    req.authorize(domain_target(req))
    columns = {"domain_id": User.domain_id, "enabled": User.enabled, "name": User.name}
    conditions = filters(req, columns) + _expiry_filter(req)
    if req.ctx.domain_id:
        conditions.append(User.domain_id == req.ctx.domain_id)
    with req.cloud.db.read() as session:
        rows, following = page(req, session, User, conditions)
    return collection(req, "users", [render_user(req, row) for row in rows], following)


def _expiry_filter(req: Request) -> list[Any]:
    """`password_expires_at=lt:2026-01-31T12:00:00Z`"""
    found = []
    for text in req.get_all("password_expires_at"):
        operator, _, moment = text.partition(":")
        column = User.password_expires_at
        try:
            when = datetime.datetime.fromisoformat(moment)
        except ValueError:
            raise BadRequest("Timestamp not in expected format.") from None
        when = when.astimezone(datetime.UTC).replace(tzinfo=None) if when.tzinfo else when
        conditions = {
            "lt": column < when, "lte": column <= when, "gt": column > when, "gte": column >= when,
            "eq": column == when, "neq": column != when,
        }  # fmt: skip
        if operator not in conditions:
            words = "It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'."
            raise BadRequest(f"The given operator {operator} is not valid. {words}")
        found.append(conditions[operator])
    return found


def show(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"user": render_user(req, load(req, session, User, user_id, "user"))}


def create(req: Request, then: Then | None = None) -> dict[str, Any]:
    value = checks.checked(req.body, "user", FIELDS, ("name",))
    known, extra = checks.split(value, _KNOWN)
    domain_id = home_domain(req, known.get("domain_id"))
    req.authorize({"target.user.domain_id": domain_id, "target.user.name": known["name"]})
    password = known.get("password")
    hashed = _hash(password) if password is not None else None
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        row = User(
            id=req.cloud.ids.hex(), domain_id=domain_id, name=known["name"].strip(),
            enabled=known.get("enabled", True), default_project_id=known.get("default_project_id"),
            password_hash=hashed, password_expires_at=None, options=_clean(known.get("options") or {}), extra=extra,
            created_at=req.cloud.clock.now(),
        )  # fmt: skip
        _check_default_project(session, row.default_project_id)
        store(session, row, _same_name(row))
        if then is not None:
            then(session, row)
        return {"user": render_user(req, row)}


def update(req: Request, user_id: str, then: Then | None = None) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, User, user_id, "user")
    value = checks.checked(req.body, "user", FIELDS, change=True)
    checks.same_id(value, user_id)
    known, extra = checks.split(value, _KNOWN)
    # Hashing takes tens of milliseconds of processor time, so it is done before the database is locked.
    hashed = _hash(known["password"]) if known.get("password") is not None else None
    with req.cloud.db.write() as session:
        row = load(req, session, User, user_id, "user")
        if "domain_id" in known and known["domain_id"] != row.domain_id:
            raise BadRequest("Update of `domain_id` is not allowed.")
        if "default_project_id" in known:
            _check_default_project(session, known["default_project_id"])
            row.default_project_id = known["default_project_id"]
        row.name = known.get("name", row.name).strip()
        if "password" in known:
            row.password_hash = hashed
        if "password" in known or (row.enabled and known.get("enabled") is False):
            tokens.revoke(session, req.cloud, user_id=row.id)
        row.enabled = known.get("enabled", row.enabled)
        row.options = _clean(row.options | known.get("options", {}))
        row.extra = row.extra | extra
        store(session, None, _same_name(row))
        if then is not None:
            then(session, row)
        tokens.changed(session)
        return {"user": render_user(req, row)}


def delete(req: Request, user_id: str) -> None:
    with req.cloud.db.write() as session:
        removal.remove_user(session, req.cloud, load(req, session, User, user_id, "user"))


def change_password(req: Request, user_id: str) -> None:
    """Anybody who knows the old password may; no token is asked for."""
    wanted = ("original_password", "password")
    value = checks.checked(req.body, "user", dict.fromkeys(wanted, checks.text()), wanted)
    with req.cloud.db.read() as session:
        row = session.get(User, user_id)
        known = row.password_hash if row is not None else None
    if not passwords.verify(value["original_password"], known) or row is None:
        raise unauthorized()
    if not row.enabled:
        raise unauthorized()
    if row.options.get("lock_password"):
        raise BadRequest(
            "You cannot change your password at this time due to password policy disallowing password changes. "
            "Please contact your administrator to reset your password."
        )
    hashed = _hash(value["password"])
    with req.cloud.db.write() as session:
        changed = session.execute(
            sa.update(User).where(User.id == user_id, User.password_hash == known).values(password_hash=hashed)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise unauthorized()
        tokens.revoke(session, req.cloud, user_id=user_id)


def projects(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, User, user_id, "user")
        rows = assignments.projects_of(session, user_id)
        wanted = filters(req, {"domain_id": Project.domain_id, "enabled": Project.enabled, "name": Project.name})
        if wanted:
            ids = [row.id for row in rows]
            rows = list(session.scalars(sa.select(Project).where(Project.id.in_(ids), *wanted).order_by(Project.name)))
        return collection(req, "projects", render_projects(req, session, rows))


def groups(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(User, user_id)
        req.authorize({**target(user=row), "user_id": user_id})
        if row is None:
            raise not_found("user", user_id)
        mine = sa.select(Membership.group_id).where(Membership.user_id == user_id)
        rows, following = page(req, session, Group, [Group.id.in_(mine), *filters(req, {"name": Group.name})])
    return collection(req, "groups", [render_group(req, item) for item in rows], following)


def in_group(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, Group, group_id, "group")
        inside = sa.select(Membership.user_id).where(Membership.group_id == group_id)
        wanted = filters(req, {"domain_id": User.domain_id, "enabled": User.enabled, "name": User.name})
        rows, following = page(req, session, User, [User.id.in_(inside), *wanted])
    return collection(req, "users", [render_user(req, row) for row in rows], following)


def _hash(password: str) -> str:
    if len(password) > passwords.MAX_LENGTH:
        raise Forbidden(
            f"The password length must be less than or equal to {passwords.MAX_LENGTH}. "
            "The server could not comply with the request because the password is invalid."
        )
    return passwords.hash_password(password)


def _clean(options: dict[str, Any]) -> dict[str, Any]:
    """An option is taken away by setting it to null."""
    return {name: value for name, value in options.items() if value is not None}


def _check_default_project(session: Session, project_id: str | None) -> None:
    """A project that doesn't exist is accepted, as in Keystone; one that acts as a domain isn't."""
    project = session.get(Project, project_id) if project_id else None
    if project is not None and project.is_domain:
        raise BadRequest(f"User's default project ID cannot be a domain ID: {project_id}")


def _same_name(row: User) -> Conflict:
    return duplicate("user", row.name, row.domain_id)
