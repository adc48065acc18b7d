"""A user's access rules. They are made together with an application credential, and outlive it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.identity import access_rules
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, filters, link, target
from onestack.identity.dialect import not_found
from onestack.identity.models import User
from onestack.identity.models_access import AccessRule, UsedAccessRule

_COLUMNS = {"service": AccessRule.service, "path": AccessRule.path, "method": AccessRule.method}


def render_access_rule(req: Request, row: AccessRule) -> dict[str, Any]:
    links = {"self": link(req, "users", row.user_id, "access_rules", row.id)}
    return access_rules.render(row) | {"links": links}


def index(req: Request, user_id: str) -> dict[str, Any]:
    conditions = [AccessRule.user_id == user_id, *filters(req, _COLUMNS)]
    query = sa.select(AccessRule).where(*conditions).order_by(AccessRule.service, AccessRule.path, AccessRule.method)
    with req.cloud.db.read() as session:
        _authorize(req, session, user_id)
        rows = session.scalars(query).all()
        return collection(req, "access_rules", [render_access_rule(req, row) for row in rows])


def show(req: Request, user_id: str, access_rule_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"access_rule": render_access_rule(req, _load(req, session, user_id, access_rule_id))}


def delete(req: Request, user_id: str, access_rule_id: str) -> None:
    with req.cloud.db.write() as session:
        row = _load(req, session, user_id, access_rule_id)
        used = sa.select(UsedAccessRule.access_rule_id).where(UsedAccessRule.access_rule_id == row.id).limit(1)
        if session.execute(used).first() is not None:
            raise Forbidden("May not delete access rule in use")
        session.delete(row)


def _authorize(req: Request, session: Session, user_id: str) -> None:
    req.authorize(target(user=session.get(User, user_id)))
    delegation.refuse_for_applications(req)


def _load(req: Request, session: Session, user_id: str, access_rule_id: str) -> AccessRule:
    """A rule of the user whom the URL names: whoever may see one user's must not reach another's through it."""
    _authorize(req, session, user_id)
    row = session.get(AccessRule, access_rule_id)
    if row is None or row.user_id != user_id:
        raise not_found("Access Rule", access_rule_id)
    return row
