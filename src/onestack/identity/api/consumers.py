"""OAuth 1 consumers: the programs that may ask users for access to their projects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import checks, oauth, tokens
from onestack.identity.api.common import collection, link
from onestack.identity.dialect import check_length
from onestack.identity.engine import engine
from onestack.identity.models_oauth import Consumer

FIELDS: dict[str, checks.Check] = {"description": checks.DESCRIPTION}
_LONGEST = 64  # characters of a description
# What is ours to say, whatever a client sends along with its own attributes.
_KNOWN = ("description", "secret", "encrypted_secret")


def render_consumer(req: Request, row: Consumer) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "description": row.description,
        "links": {"self": link(req, "OS-OAUTH1", "consumers", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = session.scalars(sa.select(Consumer).order_by(Consumer.id)).all()
    return collection(req, "consumers", [render_consumer(req, row) for row in rows])


def show(req: Request, consumer_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"consumer": render_consumer(req, oauth.get_consumer(session, consumer_id))}


def create(req: Request) -> dict[str, Any]:
    """The only answer that shows the secret."""
    value = req.body.get("consumer", {})
    checks.checked_as_of_old(value, checks.members(FIELDS))
    known, extra = checks.split(checks.normalized(value), _KNOWN)
    check_length("description", known.get("description"), _LONGEST)
    secret = req.cloud.ids.hex()
    row = Consumer(
        id=req.cloud.ids.hex(), description=known.get("description"), extra=extra,
        encrypted_secret=engine(req).seal(secret),
    )  # fmt: skip
    with req.cloud.db.write() as session:
        session.add(row)
    return {"consumer": render_consumer(req, row) | {"secret": secret}}


def update(req: Request, consumer_id: str) -> dict[str, Any]:
    value = req.body.get("consumer", {})
    checks.checked_as_of_old(value, checks.members(FIELDS, least=1))
    if "secret" in value:
        raise BadRequest("{'secret': '***'} should not be valid under {'required': ['secret']}")
    checks.same_id(value, consumer_id)
    known, extra = checks.split(value, _KNOWN)
    check_length("description", known.get("description"), _LONGEST)
    with req.cloud.db.write() as session:
        row = oauth.get_consumer(session, consumer_id)
        row.description = known.get("description", row.description)
        row.extra = row.extra | extra
        return {"consumer": render_consumer(req, row)}


def delete(req: Request, consumer_id: str) -> None:
    """With everything that users granted it."""
    with req.cloud.db.write() as session:
        session.delete(oauth.get_consumer(session, consumer_id))
        tokens.changed(session)
