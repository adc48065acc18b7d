"""Application credentials: a user's own passwords for programs, for one project and some of their roles."""

from __future__ import annotations

import datetime
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.http import Request
from onestack.identity import checks, passwords, tokens
from onestack.identity.api.common import collection, link, store
from onestack.identity.dialect import duplicate, forbidden, not_found
from onestack.identity.models import ApplicationCredential, Role

_NOUN = "Application Credential"


def _no_rules(value: Any) -> str | None:
    return None if not value else "is not supported: access rules are not enforced by this cloud"


def _roles(value: Any) -> str | None:
    if not isinstance(value, list):
        return "is not of type 'array'"
    good = all(isinstance(item, dict) and any(isinstance(item.get(k), str) for k in ("id", "name")) for item in value)
    return None if good else "is not valid: each item needs an id or a name"


FIELDS: dict[str, checks.Check] = {
    "name": checks.NAME,
    "description": checks.DESCRIPTION,
    "secret": checks.text(null=True),
    "expires_at": checks.text(null=True),
    "roles": _roles,
    "unrestricted": checks.flag(null=True),
    "access_rules": _no_rules,
}


def _render(req: Request, session: Session, row: ApplicationCredential) -> dict[str, Any]:
    roles = session.scalars(sa.select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name))
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "system": None,
        "roles": [{"id": role.id, "name": role.name, "domain_id": role.domain_id or None} for role in roles],
        "expires_at": micros(row.expires_at),
        "unrestricted": row.unrestricted,
        "links": {"self": link(req, "users", row.user_id, "application_credentials", row.id)},
    }


def index(req: Request, user_id: str) -> dict[str, Any]:
    req.authorize({"user_id": user_id})
    conditions = [ApplicationCredential.user_id == user_id]
    name = req.get("name")
    if name is not None:
        conditions.append(ApplicationCredential.name == name)
    with req.cloud.db.read() as session:
        rows = session.scalars(
            sa.select(ApplicationCredential).where(*conditions).order_by(ApplicationCredential.name)
        ).all()
        return collection(req, "application_credentials", [_render(req, session, row) for row in rows])


def show(req: Request, user_id: str, credential_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"application_credential": _render(req, session, _load(req, session, user_id, credential_id))}


def create(req: Request, user_id: str) -> dict[str, Any]:
    req.authorize({"user_id": user_id})
    _unrestricted(req)
    value = checks.checked(req.body, "application_credential", FIELDS, ("name",))
    if req.ctx.project_id is None:
        raise Forbidden("An application credential is made with a token for the project that it is for.")
    secret = value.get("secret") or secrets.token_urlsafe(64)
    expires_at = _expiry(req, value.get("expires_at"))
    hashed = passwords.hash_password(secret[: passwords.MAX_LENGTH])
    with req.cloud.db.write() as session:
        row = ApplicationCredential(
            id=req.cloud.ids.hex(), user_id=user_id, project_id=req.ctx.project_id, name=value["name"].strip(),
            description=value.get("description"), secret_hash=hashed, role_ids=_chosen(req, value.get("roles") or []),
            unrestricted=bool(value.get("unrestricted")), expires_at=expires_at,
        )  # fmt: skip
        store(session, row, duplicate("application_credential", row.name))
        return {"application_credential": _render(req, session, row) | {"secret": secret}}


def delete(req: Request, user_id: str, credential_id: str) -> None:
    _unrestricted(req)
    with req.cloud.db.write() as session:
        session.delete(_load(req, session, user_id, credential_id))
        tokens.changed(session)


def _load(req: Request, session: Session, user_id: str, credential_id: str) -> ApplicationCredential:
    """The owner is that of the credential, whatever user the URL names; without one, the URL's user may know that."""
    row = session.get(ApplicationCredential, credential_id)
    req.authorize({"user_id": row.user_id if row is not None else user_id})
    if row is None:
        raise not_found(_NOUN, credential_id)
    return row


def _unrestricted(req: Request) -> None:
    credential = req.ctx.token_data.application_credential if req.ctx.token_data is not None else None
    if credential is not None and credential["restricted"]:
        raise forbidden(
            "Using method 'application_credential' is not allowed for managing additional application credentials."
        )


def _chosen(req: Request, wanted: list[dict[str, Any]]) -> list[str]:
    """Ids of the roles asked for, which must be among those of the caller's token; all of these by default."""
    mine = req.ctx.token_data.roles
    if not wanted:
        return [role.id for role in mine]
    chosen = []
    for item in wanted:
        field = "id" if "id" in item else "name"
        role = next((role for role in mine if getattr(role, field) == item[field]), None)
        if role is None:
            raise BadRequest(
                f"Invalid application credential: Could not find role assignment with role: {item[field]}."
            )
        chosen.append(role.id)
    return chosen


def _expiry(req: Request, text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"Invalid input for field 'expires_at': {text!r} is not a 'date-time'") from None
    if when.tzinfo is not None:
        when = when.astimezone(datetime.UTC).replace(tzinfo=None)
    if when <= req.cloud.clock.now():
        raise BadRequest("The 'expires_at' must not be before now.")
    return when
