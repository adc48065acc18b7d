"""What ended tokens (`/v3/OS-REVOKE/events`), an end of all that a user has, and the list of revoked PKI tokens."""

from __future__ import annotations

import datetime
from typing import Any, NoReturn

import sqlalchemy as sa

from onestack.core.clock import micros_z
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import tokens
from onestack.identity.api.common import get_user, link
from onestack.identity.dialect import forbidden
from onestack.identity.models import Revocation

# Column → its name on the wire.
_SHOWN = {
    "user_id": "user_id", "role_id": "role_id", "domain_id": "domain_id", "project_id": "project_id",
    "audit_id": "audit_id", "audit_chain_id": "audit_chain_id", "trust_id": "OS-TRUST:trust_id",
    "consumer_id": "OS-OAUTH1:consumer_id", "access_token_id": "OS-OAUTH1:access_token_id",
}  # fmt: skip


def render_event(row: Revocation) -> dict[str, Any]:
    shown = {name: getattr(row, column) for column, name in _SHOWN.items() if getattr(row, column) is not None}
    when = micros_z(row.issued_before)
    return shown | {"issued_before": when, "revoked_at": when}


def index(req: Request) -> dict[str, Any]:
    """Those that are still good for something; `since` leaves out what came before."""
    conditions = [Revocation.expires_at >= req.cloud.clock.now()]
    since = req.get("since")
    if since:
        conditions.append(Revocation.issued_before > _moment(since))
    with req.cloud.db.read() as session:
        rows = session.scalars(
            sa.select(Revocation).where(*conditions).order_by(Revocation.issued_before, Revocation.id)
        )
        events = [render_event(row) for row in rows]
    return {"events": events, "links": {"next": None, "self": link(req, "OS-REVOKE", "events"), "previous": None}}


def of_user(req: Request, user_id: str) -> None:
    """Every token of a user, for those who have no password here to change."""
    req.authorize({"user_id": user_id})
    with req.cloud.db.write() as session:
        tokens.revoke(session, req.cloud, user_id=get_user(session, user_id).id)


def revoked_pki(req: Request) -> NoReturn:
    """Keystone's answer while tokens may be revoked one by one; there is no list of them."""
    raise forbidden()


def _moment(text: str) -> datetime.datetime:
    try:
        when = datetime.datetime.fromisoformat(text)
        return when.astimezone(datetime.UTC).replace(tzinfo=None) if when.tzinfo is not None else when
    except (ValueError, OverflowError):
        raise BadRequest(f"invalidate date format {text}") from None
