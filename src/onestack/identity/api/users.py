"""Users, their passwords, and what they belong to."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.clock import micros
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import accounts, assignments, checks, removal, tokens
from onestack.identity.api.common import (
    collection,
    filters,
    get_domain,
    home_domain,
    link,
    load,
    selection,
    target,
)
from onestack.identity.api.groups import render_group
from onestack.identity.api.projects import render_projects
from onestack.identity.backends import BACKEND, counting_failures
from onestack.identity.dialect import check_length, not_found, unauthorized, wrong
from onestack.identity.listing import Filter, Selection
from onestack.identity.models import Group, Project, User

# What older forms of the API do in the same transaction.
Then = Callable[[Session, User], None]

_FLAG = checks.flag(null=True)
_OPTIONS: dict[str, checks.Check] = {
    "ignore_change_password_upon_first_use": _FLAG,
    "ignore_password_expiry": _FLAG,
    "ignore_lockout_failure_attempts": _FLAG,
    "lock_password": _FLAG,
    "ignore_user_inactivity": _FLAG,
    # Lists of methods, each list a set of which all must be used; neither lists nor methods twice.
    "multi_factor_auth_rules": checks.array(
        checks.array(checks.text(), 1, unique=True), unique=True, null=True
    ),
    "multi_factor_auth_enabled": _FLAG,
}  # fmt: skip
# Where a user comes from: `[{"idp_id": …, "protocols": [{"protocol_id": …, "unique_id": …}]}]`.
_PROTOCOL = {"protocol_id": checks.text(), "unique_id": checks.text()}
_PROVIDER = {"idp_id": checks.text(), "protocols": checks.array(checks.members(_PROTOCOL, _PROTOCOL), 1)}

FIELDS: dict[str, checks.Check] = {
    "domain_id": checks.ID,
    "default_project_id": checks.text(null=True),
    "description": checks.DESCRIPTION,
    "enabled": checks.enabled,
    "federated": checks.array(checks.members(_PROVIDER, _PROVIDER)),
    "name": checks.NAME,
    "password": checks.text(null=True),
    "options": checks.members(_OPTIONS, closed=True),
}
QUERY: dict[str, checks.Check] = {
    "domain_id": checks.ID,
    "enabled": checks.word,
    "name": checks.NAME,
    "sort_dir": checks.choice("asc", "desc"),
}
_KNOWN = ("name", "domain_id", "enabled", "password", "default_project_id", "options", "federated")
# A client's own attributes are never called so.
_HIDDEN = ("password_expires_at", "tenants", "groups", "domains", "extra")
_LIST = ("domain_id", "enabled", "name")


def render_user(req: Request, row: User) -> dict[str, Any]:
    enabled = accounts.is_enabled(req.cloud.settings.security_compliance, row, req.cloud.clock.now())
    shown = row.extra | {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": enabled,
        "options": row.options,
        "password_expires_at": micros(row.password_expires_at),
        "links": {"self": link(req, "users", row.id)},
    }
    if row.default_project_id is not None:
        shown["default_project_id"] = row.default_project_id
    return shown


def _chosen(req: Request) -> Selection:
    """The page of users that the query asks for; a domain's token sees its domain only."""
    chosen = selection(req, _LIST)
    chosen = chosen._replace(filters=(*chosen.filters, *_expiry_filters(req)))
    return chosen.only(domain_id=req.ctx.domain_id) if req.ctx.domain_id else chosen


def _expiry_filters(req: Request) -> list[Filter]:
    """`password_expires_at=lt:2026-01-31T12:00:00Z`; without an operator: at that very moment."""
    found = []
    # Whatever is written after the name, it is read as a time.
    given = [text for name, text in req.query if name.partition("__")[0] == "password_expires_at"]
    for text in given:
        operator, moment = text.split(":", 1) if ":" in text[2:4] else ("eq", text)
        try:
            when = datetime.datetime.fromisoformat(moment)
        except ValueError:
            raise wrong("Timestamp not in expected format.") from None
        if operator not in ("lt", "lte", "gt", "gte", "eq", "neq"):
            words = "It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'."
            raise BadRequest(f"The given operator {operator} is not valid. {words}")
        when = when.astimezone(datetime.UTC).replace(tzinfo=None) if when.tzinfo else when
        found.append(Filter("password_expires_at", when, {"eq": "equals"}.get(operator, operator)))
    return found


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    req.authorize({"target.domain_id": req.ctx.domain_id} if req.ctx.domain_id else {})
    chosen = _chosen(req)
    if any(req.get(name) is not None for name in ("idp_id", "protocol_id", "unique_id")):
        return collection(req, "users", [])  # of an identity provider nobody has come yet
    with req.cloud.db.read() as session:
        rows, following = BACKEND.users(session, chosen)
    return collection(req, "users", [render_user(req, row) for row in rows], following)


def show(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"user": render_user(req, load(req, session, User, user_id, "user"))}


def create(req: Request, then: Then | None = None) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "user", FIELDS, ("name",), alone=True))
    # Policy looks at what the client wrote: who may act in one domain only has to name it.
    req.authorize(target(user=value))
    known, extra = checks.split(value, (*_KNOWN, *_HIDDEN))
    domain_id = home_domain(req, known.get("domain_id"))
    hashed = _new_hash(req, known)
    now = req.cloud.clock.now()
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        row = User(
            id=req.cloud.ids.hex(), domain_id=domain_id, name=known["name"].strip(),
            enabled=known.get("enabled", True), default_project_id=known.get("default_project_id"),
            options=_clean(known.get("options") or {}), extra=extra, created_at=now, last_active_at=None,
            failed_auth_count=0, password_self_service=False,
        )  # fmt: skip
        _check_default_project(session, row.default_project_id)
        _check_federated(known)
        if "password" in known:
            BACKEND.set_password(session, req.cloud, row, hashed)
        BACKEND.save_user(session, row)
        if then is not None:
            then(session, row)
        return {"user": render_user(req, row)}


def update(req: Request, user_id: str, then: Then | None = None) -> dict[str, Any]:
    value = checks.checked(req.body, "user", FIELDS, change=True, alone=True)
    with req.cloud.db.read() as session:
        load(req, session, User, user_id, "user")
    checks.same_id(value, user_id)
    known, extra = checks.split(value, (*_KNOWN, *_HIDDEN))
    # Hashing takes tens of milliseconds of processor time, so it is done before the database is locked.
    hashed = _new_hash(req, known)
    with req.cloud.db.write() as session:
        row = load(req, session, User, user_id, "user")
        if "domain_id" in known and known["domain_id"] != row.domain_id:
            raise BadRequest("Cannot change Domain ID")
        _check_federated(known)
        if "default_project_id" in known:
            _check_default_project(session, known["default_project_id"])
            row.default_project_id = known["default_project_id"]
        row.name = known.get("name", row.name).strip()
        BACKEND.save_user(session, row)
        row.options = _clean(row.options | (known.get("options") or {}))
        if "password" in known:
            BACKEND.set_password(session, req.cloud, row, hashed)
        if known.get("password") is not None or (row.enabled and known.get("enabled") is False):
            tokens.revoke(session, req.cloud, user_id=row.id)
        if row.enabled and known.get("enabled") is False:
            removal.forget_application_credentials(session, row.id)
        _set_enabled(req, row, known.get("enabled"))
        row.extra = row.extra | extra
        BACKEND.save_user(session, row)
        if then is not None:
            then(session, row)
        tokens.changed(session)
        return {"user": render_user(req, row) | {"extra": row.extra}}


def _set_enabled(req: Request, row: User, wanted: bool | None) -> None:
    """Any change to an account that is enabled ends its lock, and counts as a sign of life of one that is enabled
    again, as in Keystone."""
    rules, now = req.cloud.settings.security_compliance, req.cloud.clock.now()
    row.enabled = accounts.is_enabled(rules, row, now) if wanted is None else wanted
    if not row.enabled:
        return
    row.failed_auth_count, row.failed_auth_at = 0, None
    if rules.disable_user_account_days_inactive is not None:
        row.last_active_at = now.date()


def delete(req: Request, user_id: str) -> None:
    with req.cloud.db.write() as session:
        removal.remove_user(session, req.cloud, load(req, session, User, user_id, "user"))


def change_password(req: Request, user_id: str) -> None:
    """Anybody who knows the old password may, also when that has expired; no token is asked for."""
    wanted = dict.fromkeys(("original_password", "password"), checks.text())
    value = req.body.get("user", {})
    checks.checked_as_of_old(value, checks.members(wanted, wanted, closed=True))
    cloud = req.cloud
    with counting_failures(cloud), cloud.db.read() as session:
        row = BACKEND.user(session, user_id)
        succeeded = BACKEND.authenticate(session, cloud, row, value["original_password"], expired=True)
        assert row is not None
        known = row.password_hash
        BACKEND.check_new_password(session, cloud, row, value["password"])
    hashed = accounts.hash_password(cloud.settings, value["password"])
    with cloud.db.write() as session:
        row = BACKEND.user(session, user_id)
        if row is None or row.password_hash != known:
            raise unauthorized()
        if succeeded is not None:
            succeeded(session)
        BACKEND.set_password(session, cloud, row, hashed, self_service=True)
        BACKEND.save_user(session, row)
        tokens.revoke(session, cloud, user_id=user_id)


def projects(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, User, user_id, "user")
        wanted = filters(req, {"domain_id": Project.domain_id, "enabled": Project.enabled, "name": Project.name})
        rows = assignments.projects_of(session, user_id, wanted)
        return collection(req, "projects", render_projects(req, session, rows))


def groups(req: Request, user_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = BACKEND.user(session, user_id)
        req.authorize({**target(user=row), "user_id": user_id})
        if row is None:
            raise not_found("user", user_id)
        chosen = selection(req, ("name",))
        chosen = chosen.only(domain_id=req.ctx.domain_id) if req.ctx.domain_id else chosen
        rows, following = BACKEND.groups(session, chosen, user_id)
    shown = [render_group(req, item) | {"membership_expires_at": None} for item in rows]
    return collection(req, "groups", shown, following)


def in_group(req: Request, group_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, Group, group_id, "group")
        rows, following = BACKEND.users(session, _chosen(req), group_id)
    return collection(req, "users", [render_user(req, row) for row in rows], following)


def _new_hash(req: Request, known: dict[str, Any]) -> str | None:
    """The hash of the password in a body; None when there is none."""
    if "password" not in known:
        return None
    password = known["password"]
    accounts.check_strength(req.cloud.settings.security_compliance, password)
    return None if password is None else accounts.hash_password(req.cloud.settings, password)


def _clean(options: dict[str, Any]) -> dict[str, Any]:
    """An option is taken away by setting it to null."""
    return {name: value for name, value in options.items() if value is not None}


def _check_default_project(session: Session, project_id: str | None) -> None:
    """A project that doesn't exist is accepted, as in Keystone; one that acts as a domain isn't."""
    check_length("default_project_id", project_id, 64)
    project = session.get(Project, project_id) if project_id else None
    if project is not None and project.is_domain:
        raise BadRequest(f"User's default project ID cannot be a domain ID: {project_id}")


def _check_federated(known: dict[str, Any]) -> None:
    """Users of identity providers can't be described before there are any providers."""
    for item in known.get("federated") or ():
        raise BadRequest(f"Could not find Identity Provider: {item['idp_id']}")
