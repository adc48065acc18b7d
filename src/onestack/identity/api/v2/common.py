"""What v2.0's handlers share: the caller must be an admin, and v3's things are shown as v2.0 shows them.

v2.0 knows neither domains nor trees of projects: everything is in the default domain, and what isn't can't be seen.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.identity.api.common import DEFAULT_DOMAIN, get_project, get_user
from onestack.identity.dialect import expecting, not_found
from onestack.identity.models import Project, User

ADMIN = "admin_required"

_NOT_OF_USERS = (
    "domain_id", "domain", "links", "options", "password_expires_at", "default_project_id", "federated",
    "extra",
)  # fmt: skip
_NOT_OF_TENANTS = ("domain_id", "parent_id", "is_domain", "links", "tags", "options", "extra")
_NOT_OF_ROLES = ("domain_id", "links", "options")


def admin(req: Request) -> None:
    """v2.0 has one rule for nearly everything. Raises Forbidden."""
    req.authorize({}, ADMIN)


def part(body: dict[str, Any], key: str) -> dict[str, Any]:
    """The one object of a body. Raises BadRequest."""
    value = body.get(key)
    if not isinstance(value, dict):
        raise expecting(key, "request body")
    return dict(value)


def user_view(shown: dict[str, Any]) -> dict[str, Any]:
    """A user of v3 in v2.0's form."""
    view = _without(shown, _NOT_OF_USERS)
    view.pop("tenantId", None)
    view["username"] = view.get("username", view["name"])
    if shown.get("default_project_id") is not None:
        view["tenantId"] = shown["default_project_id"]
    return view


def tenant_view(shown: dict[str, Any]) -> dict[str, Any]:
    return _without(shown, _NOT_OF_TENANTS)


def role_view(shown: dict[str, Any]) -> dict[str, Any]:
    view = _without(shown, _NOT_OF_ROLES)
    if view.get("description") is None:
        view.pop("description", None)
    return view


def _without(shown: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key not in names}


def visible_user(session: Session, user_id: str) -> User:
    row = get_user(session, user_id)
    if row.domain_id != DEFAULT_DOMAIN:
        raise not_found("user", user_id)
    return row


def visible_tenant(session: Session, tenant_id: str) -> Project:
    row = get_project(session, tenant_id)
    if row.is_domain or row.domain_id != DEFAULT_DOMAIN:
        raise not_found("project", tenant_id)
    return row


def check_user(req: Request, user_id: str) -> None:
    """Before a handler of v3 is asked: the caller may, and the user is one of those that v2.0 sees."""
    admin(req)
    with req.cloud.db.read() as session:
        visible_user(session, user_id)


def check_tenant(req: Request, tenant_id: str) -> None:
    admin(req)
    with req.cloud.db.read() as session:
        visible_tenant(session, tenant_id)
