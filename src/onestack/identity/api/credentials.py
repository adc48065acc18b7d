"""Credentials: secrets of users for other protocols (`ec2`, `totp`, `cert` …), encrypted in the database."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import checks
from onestack.identity.api.common import collection, link, load, store
from onestack.identity.dialect import conflict, expecting, forbidden
from onestack.identity.engine import engine
from onestack.identity.models import Credential


def _blob(value: Any) -> str | None:
    return None if isinstance(value, str | dict) else "is not of type 'string'"


FIELDS: dict[str, checks.Check] = {
    "type": checks.text(1, 255),
    "blob": _blob,
    "user_id": checks.ID_OR_NULL,
    "project_id": checks.ID_OR_NULL,
}


def render_credential(req: Request, row: Credential) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "type": row.type,
        "blob": opened(req, row),
        "links": {"self": link(req, "credentials", row.id)},
    }


def opened(req: Request, row: Credential) -> str:
    return engine(req).credential_keys.decrypt(row.encrypted_blob.encode()).decode()


def seal(req: Request, blob: str) -> str:
    return engine(req).credential_keys.encrypt(blob.encode(), req.cloud.clock.now()).decode()


def index(req: Request) -> dict[str, Any]:
    user_id, kind = req.get("user_id"), req.get("type")
    own = {"target.credential.user_id": req.ctx.user_id}
    req.authorize(own)
    conditions = [Credential.user_id == user_id] if user_id is not None else []
    if kind is not None:
        conditions.append(Credential.type == kind)
    # Who may list nobody's credentials sees their own.
    if not req.allows("identity:list_credentials", {}):
        conditions.append(Credential.user_id == req.ctx.user_id)
    if delegated(req):
        conditions.append(Credential.project_id == req.ctx.project_id)
    with req.cloud.db.read() as session:
        rows = list(session.scalars(sa.select(Credential).where(*conditions).order_by(Credential.id)))
    return collection(req, "credentials", [render_credential(req, row) for row in rows])


def show(req: Request, credential_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"credential": render_credential(req, _load(req, session, credential_id))}


def create(req: Request) -> dict[str, Any]:
    value = checks.checked(req.body, "credential", FIELDS, ("type", "blob"))
    known, extra = checks.split(value, FIELDS)
    user_id = known.get("user_id") or req.ctx.user_id
    req.authorize({"target.credential.user_id": user_id})
    check_delegation(req, known.get("project_id"))
    blob = known["blob"] if isinstance(known["blob"], str) else msgspec.json.encode(known["blob"]).decode()
    row = Credential(
        id=_id(req, known["type"], blob), user_id=user_id, project_id=known.get("project_id"), type=known["type"],
        encrypted_blob=seal(req, blob), extra=extra,
    )  # fmt: skip
    if row.type == "ec2" and row.project_id is None:
        raise expecting("project_id", "credential")
    with req.cloud.db.write() as session:
        store(session, row, conflict("credential", "Duplicate entry found with ID " + row.id))
    return {"credential": render_credential(req, row)}


def update(req: Request, credential_id: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        row = _load(req, session, credential_id)
        value = checks.checked(req.body, "credential", FIELDS, change=True)
        checks.same_id(value, credential_id)
        known, extra = checks.split(value, FIELDS)
        if known.get("user_id", row.user_id) != row.user_id:
            # It may only be given away by whoever may also make one for the other.
            req.authorize({"target.credential.user_id": known["user_id"]})
            row.user_id = known["user_id"] or row.user_id
        if "blob" in known:
            blob = known["blob"] if isinstance(known["blob"], str) else msgspec.json.encode(known["blob"]).decode()
            row.encrypted_blob = seal(req, blob)
        row.type = known.get("type", row.type)
        row.project_id = known.get("project_id", row.project_id)
        check_delegation(req, row.project_id)
        if row.type == "ec2" and row.project_id is None:
            raise expecting("project_id", "credential")
        row.extra = row.extra | extra
        return {"credential": render_credential(req, row)}


def delete(req: Request, credential_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_load(req, session, credential_id))


def _load(req: Request, session: Session, credential_id: str) -> Credential:
    row = load(req, session, Credential, credential_id, "credential")
    check_delegation(req, row.project_id)
    return row


def delegated(req: Request) -> bool:
    return req.ctx.token_data is not None and req.ctx.token_data.application_credential is not None


def check_delegation(req: Request, project_id: str | None) -> None:
    """A token of an application credential is for one project, and so are the secrets that it may touch."""
    if delegated(req) and project_id != req.ctx.project_id:
        raise forbidden("EC2 credential project does not match the project scope of the delegated token")


def _id(req: Request, kind: str, blob: str) -> str:
    """EC2 keys are found by their access key, so its hash is their id."""
    if kind != "ec2":
        return req.cloud.ids.hex()
    try:
        content = json.loads(blob)
    except ValueError:
        raise BadRequest("Invalid blob in credential") from None
    if not isinstance(content, dict) or not isinstance(content.get("access"), str) or not content["access"]:
        raise BadRequest("Invalid blob in credential")
    return id_of_access(content["access"])


def id_of_access(access: str) -> str:
    return hashlib.sha256(access.encode()).hexdigest()
