"""Credentials: secrets of users for other protocols (`ec2`, `totp`, `cert` …), encrypted in the database."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import checks
from onestack.identity.api import delegation
from onestack.identity.api.common import collection, filters, link, load, store
from onestack.identity.dialect import check_length, conflict, expecting, invalid
from onestack.identity.engine import engine
from onestack.identity.models import Credential

FIELDS: dict[str, checks.Check] = {
    "blob": checks.text(),
    "project_id": checks.text(null=True),
    "type": checks.text(),
    "user_id": checks.text(),
}
_CHANGES = {"blob": FIELDS["blob"]}
# What says, in an EC2 key's blob, which token it was made with. It limits the key, so it stays as it is.
_ORIGINS = ("trust_id", "app_cred_id", "access_token_id", "access_id")


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
    return engine(req).unseal(row.encrypted_blob)


def id_of_access(access: str) -> str:
    """EC2 keys are found by their access key, so its hash is their id."""
    return hashlib.sha256(access.encode()).hexdigest()


def index(req: Request) -> dict[str, Any]:
    req.authorize({} if req.ctx.system else {"target.credential.user_id": req.ctx.user_id})
    conditions = filters(req, {"user_id": Credential.user_id, "type": Credential.type})
    # Who may look at nobody's credentials sees their own.
    if not req.allows("identity:get_credential", {}):
        conditions.append(Credential.user_id == req.ctx.user_id)
    if delegation.is_delegated(req):
        conditions.append(sa.false())
    with req.cloud.db.read() as session:
        rows = list(session.scalars(sa.select(Credential).where(*conditions).order_by(Credential.id)))
    return collection(req, "credentials", [render_credential(req, row) for row in rows])


def show(req: Request, credential_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"credential": render_credential(req, _load(req, session, credential_id))}


def create(req: Request) -> dict[str, Any]:
    value = checks.checked(req.body, "credential", FIELDS, ("blob", "type", "user_id"))
    known, extra = checks.split(checks.normalized(value), FIELDS)
    if known["type"] == "ec2" and "project_id" not in known:
        raise invalid("credential", value, "'project_id' is a required property", whole=True)
    req.authorize({"target.credential.user_id": known["user_id"]})
    delegation.refuse_for_credentials(req)
    for column, most in (("type", 255), ("user_id", 64), ("project_id", 64)):
        check_length(column, known.get(column), most)
    project_id = known.get("project_id")
    key, blob = req.cloud.ids.hex(), known["blob"]
    if known["type"].lower() == "ec2":
        key = id_of_access(_key(blob)["access"])
    row = Credential(
        id=key, user_id=known["user_id"], project_id=project_id, type=known["type"], extra=extra,
        encrypted_blob=engine(req).seal(blob),
    )  # fmt: skip
    with req.cloud.db.write() as session:
        store(session, row, conflict("credential", "Duplicate entry found with ID " + row.id))
    return {"credential": render_credential(req, row)}


def update(req: Request, credential_id: str) -> dict[str, Any]:
    """Of a credential only the secret itself changes."""
    value = checks.checked(req.body, "credential", _CHANGES, ("blob",), closed=True)
    with req.cloud.db.write() as session:
        row = _load(req, session, credential_id)
        if row.type.lower() == "ec2":
            _check_origin(_key(opened(req, row)), _key(value["blob"]))
        row.encrypted_blob = engine(req).seal(value["blob"])
        return {"credential": render_credential(req, row)}


def delete(req: Request, credential_id: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_load(req, session, credential_id))


def _load(req: Request, session: Session, credential_id: str) -> Credential:
    row = load(req, session, Credential, credential_id, "credential")
    delegation.refuse_for_credentials(req)
    return row


def _key(blob: str) -> dict[str, Any]:
    """The content of an EC2 key's blob."""
    try:
        content = msgspec.json.decode(blob)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("Invalid blob in credential") from None
    if not content or not isinstance(content, dict):
        raise expecting("blob", "credential")
    if not isinstance(content.get("access"), str):
        raise expecting("access", "credential")
    return content


def _check_origin(old: dict[str, Any], new: dict[str, Any]) -> None:
    for name in _ORIGINS:
        if old.get(name) != new.get(name):
            raise BadRequest(f"{name} can not be updated for credential")
