"""The OAuth 1 access tokens that a user has let consumers have."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros_z
from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.identity import oauth, tokens
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, link
from onestack.identity.dialect import not_found, unauthorized
from onestack.identity.models import Role
from onestack.identity.models_oauth import AccessToken


def render_access_token(req: Request, row: AccessToken) -> dict[str, Any]:
    path = ("users", row.user_id, "OS-OAUTH1", "access_tokens", row.id)
    return {
        "id": row.id,
        "consumer_id": row.consumer_id,
        "project_id": row.project_id,
        "authorizing_user_id": row.user_id,
        "expires_at": micros_z(row.expires_at),
        "links": {"self": link(req, *path), "roles": link(req, *path, "roles")},
    }


def render_role(req: Request, row: Role) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "options": row.options,
        "links": {"self": link(req, "roles", row.id)},
    }


def index(req: Request, user_id: str) -> dict[str, Any]:
    delegation.refuse_for_oauth(req)
    with req.cloud.db.read() as session:
        rows = session.scalars(sa.select(AccessToken).where(AccessToken.user_id == user_id).order_by(AccessToken.id))
        return collection(req, "access_tokens", [render_access_token(req, row) for row in rows])


def show(req: Request, user_id: str, access_token_id: str) -> dict[str, Any]:
    delegation.refuse_for_oauth(req)
    with req.cloud.db.read() as session:
        return {"access_token": render_access_token(req, _get(session, user_id, access_token_id))}


def delete(req: Request, user_id: str, access_token_id: str) -> None:
    """Tokens that were got with it end as well."""
    delegation.refuse_for_oauth(req)
    with req.cloud.db.write() as session:
        row = oauth.get_access_token(session, access_token_id)
        if row.user_id != user_id:
            raise unauthorized()
        session.delete(row)
        tokens.changed(session)


def list_roles(req: Request, user_id: str, access_token_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = _get(session, user_id, access_token_id)
        rows = session.scalars(sa.select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name))
        return collection(req, "roles", [render_role(req, role) for role in rows])


def show_role(req: Request, user_id: str, access_token_id: str, role_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = oauth.get_access_token(session, access_token_id)
        if row.user_id != user_id:
            raise unauthorized()
        role = session.get(Role, role_id) if role_id in row.role_ids else None
        if role is None:
            raise not_found("role", role_id)
        return {"role": render_role(req, role)}


def _get(session: Session, user_id: str, access_token_id: str) -> AccessToken:
    row = oauth.get_access_token(session, access_token_id)
    if row.user_id != user_id:
        raise NotFound("Access token not found")
    return row
