"""Application credentials: a user's own passwords for programs, for one project and some of their roles."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import micros
from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.identity import access_rules, assignments, checks, expiry, given_roles, passwords, tokens
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, filters, link, store
from onestack.identity.dialect import duplicate, invalid_credential, not_found
from onestack.identity.models import ApplicationCredential, Role
from onestack.identity.models_access import AccessRule, UsedAccessRule

_NOUN = "Application Credential"


FIELDS: dict[str, checks.Check] = {
    "id": checks.text(),
    "name": checks.NAME,
    "description": checks.DESCRIPTION,
    "secret": checks.text(0, passwords.MAX_LENGTH, null=True),
    "expires_at": checks.text(null=True),
    "project_id": checks.text(),
    "system": checks.text(null=True),
    "roles": given_roles.check,
    "unrestricted": checks.flag(null=True),
    "access_rules": access_rules.check,
}


def render_application_credentials(
    req: Request, session: Session, rows: Sequence[ApplicationCredential]
) -> list[dict[str, Any]]:
    role_ids = {role_id for row in rows for role_id in row.role_ids}
    roles = {role.id: role for role in session.scalars(sa.select(Role).where(Role.id.in_(role_ids)))}
    rules = access_rules.of_credentials(session, [row.id for row in rows])
    return [_render(req, row, roles, rules.get(row.id, [])) for row in rows]


def _render(
    req: Request, row: ApplicationCredential, roles: dict[str, Role], rules: list[AccessRule]
) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "system": None,
        "roles": [_render_role(roles[role_id]) for role_id in row.role_ids if role_id in roles],
        "expires_at": micros(row.expires_at),
        "unrestricted": row.unrestricted,
        "links": {"self": link(req, "users", row.user_id, "application_credentials", row.id)},
    }
    if rules:
        shown["access_rules"] = [access_rules.render(rule) for rule in rules]
    return shown


def _render_role(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id or None,
        "description": role.description,
        "options": role.options,
    }


def index(req: Request, user_id: str) -> dict[str, Any]:
    req.authorize({"user_id": user_id})
    delegation.refuse_for_applications(req)
    conditions = filters(req, {"name": ApplicationCredential.name})
    query = (
        sa.select(ApplicationCredential)
        .where(ApplicationCredential.user_id == user_id, *conditions)
        .order_by(ApplicationCredential.name)
    )
    with req.cloud.db.read() as session:
        rows = session.scalars(query).all()
        return collection(req, "application_credentials", render_application_credentials(req, session, rows))


def show(req: Request, user_id: str, credential_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = _load(req, session, user_id, credential_id)
        return {"application_credential": render_application_credentials(req, session, [row])[0]}


def create(req: Request, user_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "application_credential", FIELDS, ("name",), closed=True, alone=True)
    req.authorize({"user_id": user_id})
    delegation.refuse_for_applications(req)
    delegation.refuse_restricted(req)
    if req.ctx.project_id is None:
        raise Forbidden("An application credential is made with a token for the project that it is for.")
    secret = value.get("secret") or secrets.token_urlsafe(64)
    expires_at = expiry.parse(req.cloud, value.get("expires_at") or None)
    hashed = passwords.hash_password(secret)
    with req.cloud.db.write() as session:
        row = ApplicationCredential(
            id=req.cloud.ids.hex(), user_id=user_id, project_id=req.ctx.project_id, name=value["name"],
            description=value.get("description"), secret_hash=hashed,
            role_ids=_chosen_roles(req, session, value.get("roles") or []),
            unrestricted=bool(value.get("unrestricted")), expires_at=expires_at,
        )  # fmt: skip
        rules = access_rules.chosen(session, req.cloud, user_id, value.get("access_rules") or [])
        store(session, row, duplicate("application_credential", row.name))
        session.add_all(UsedAccessRule(application_credential_id=row.id, access_rule_id=rule.id) for rule in rules)
        session.flush()
        shown = render_application_credentials(req, session, [row])[0]
        return {"application_credential": shown | {"secret": secret}}


def delete(req: Request, user_id: str, credential_id: str) -> None:
    with req.cloud.db.write() as session:
        row = _load(req, session, user_id, credential_id)
        delegation.refuse_restricted(req)
        session.delete(row)
        tokens.changed(session)


def _load(req: Request, session: Session, user_id: str, credential_id: str) -> ApplicationCredential:
    """The owner is that of the credential, whatever user the URL names; without one, the URL's user may know that."""
    row = session.get(ApplicationCredential, credential_id)
    req.authorize({"user_id": row.user_id if row is not None else user_id})
    delegation.refuse_for_applications(req)
    if row is None:
        raise not_found(_NOUN, credential_id)
    return row


def _chosen_roles(req: Request, session: Session, wanted: list[dict[str, str]]) -> list[str]:
    """Ids of the roles asked for with those that they imply, all of which the caller's token must have; without a
    wish, those of the token."""
    mine = [role.id for role in req.ctx.token_data.roles]
    if not wanted:
        return mine
    named = given_roles.ids(session, wanted)
    closure = assignments.closure(named, assignments.implications(session))
    if not closure <= set(mine):
        raise invalid_credential("Cannot create an application credential with unassigned role")
    # Those that were asked for come first.
    return list(dict.fromkeys([*named, *(role_id for role_id in mine if role_id in closure)]))
