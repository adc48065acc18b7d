"""Key pairs: /os-keypairs. They belong to a user, not to a project. Source: the compute API reference, "Keypairs"."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import keypairs, links, quotas, schema
from onestack.compute.models import Keypair
from onestack.core.clock import micros
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.http import Request, Response

_NAME = r"^[_\- a-zA-Z0-9]+$"
_NAME_2_92 = r"^[_\-\@\. a-zA-Z0-9]+$"


def index(req: Request) -> dict[str, Any]:
    user = _user(req)
    req.authorize({"user_id": user})
    paged = req.version >= (2, 35)
    size = links.limit(req) if paged else 0
    query = sa.select(Keypair).where(Keypair.user_id == user).order_by(Keypair.name)
    with req.cloud.db.read() as session:
        marker = req.get("marker") if paged else None
        if marker is not None:
            if _find(session, user, marker) is None:
                raise BadRequest(f"Marker {marker} could not be found.")
            query = query.where(Keypair.name > marker)
        rows = list(session.scalars(query.limit(size) if paged else query))
    body = {"keypairs": [{"keypair": _brief(req, row)} for row in rows]}
    if not paged:
        return body
    last = rows[-1].name if rows else None
    return links.with_next(body, "keypairs", links.next_links(req, "os-keypairs", len(rows), size, last))


def show(req: Request, name: str) -> dict[str, Any]:
    user = _user(req)
    req.authorize({"user_id": user})
    with req.cloud.db.read() as session:
        row = _load(session, user, name)
    body = {
        **_brief(req, row), "user_id": row.user_id, "id": row.id, "created_at": micros(row.created_at),
        "updated_at": None, "deleted": False, "deleted_at": None,
    }  # fmt: skip
    return {"keypair": body}


def create(req: Request) -> Response:
    values = schema.body(req.body, "keypair", _fields(req), req.version, required=_required(req))
    user = values.get("user_id") or req.ctx.user_id
    req.authorize({"user_id": user})
    kind, name, private = values.get("type", "ssh"), values["name"].strip(), None
    public = values.get("public_key")
    if public is None:
        private, public = keypairs.generate(kind, user)
    row = Keypair(
        user_id=user, name=name, type=kind, fingerprint=keypairs.fingerprint(public, kind), public_key=public,
        created_at=req.cloud.clock.now(),
    )  # fmt: skip
    with req.cloud.db.write() as session:
        if _find(session, user, name) is not None:
            raise Conflict(f"Key pair '{name}' already exists.")
        quotas.check_keypairs(session, req.ctx, user)
        session.add(row)
    body = {**_brief(req, row), "user_id": user}
    if private is not None:
        body["private_key"] = private
    return Response({"keypair": body}, 201 if req.version >= (2, 2) else 200)


def delete(req: Request, name: str) -> Response:
    user = _user(req)
    req.authorize({"user_id": user})
    with req.cloud.db.write() as session:
        session.delete(_load(session, user, name))
    return Response(status=204 if req.version >= (2, 2) else 202)


def _brief(req: Request, row: Keypair) -> dict[str, Any]:
    body = {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint}
    return body if req.version < (2, 2) else {**body, "type": row.type}


def _user(req: Request) -> str:
    """The first of the users named, unlike elsewhere."""
    asked = req.get_all("user_id") if req.version >= (2, 10) else []
    return (asked[0] if asked else None) or req.ctx.user_id


def _find(session: Session, user: str, name: str) -> Keypair | None:
    return session.scalars(sa.select(Keypair).where(Keypair.user_id == user, Keypair.name == name)).first()


def _load(session: Session, user: str, name: str) -> Keypair:
    row = _find(session, user, name)
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user}")
    return row


def _required(req: Request) -> tuple[str, ...]:
    return ("name", "public_key") if req.version >= (2, 92) else ("name",)


def _fields(req: Request) -> dict[str, schema.Check]:
    name = schema.name_of(req.version)
    special = schema.string(255, 1, _NAME_2_92 if req.version >= (2, 92) else _NAME)
    fields: dict[str, schema.Check] = {
        "name": lambda key, value: special(key, name(key, value)),
        "public_key": schema.string(None),
    }
    if req.version >= (2, 2):
        fields["type"] = schema.one_of("ssh", "x509")
    if req.version >= (2, 10):
        fields["user_id"] = schema.string(None)
    return fields
