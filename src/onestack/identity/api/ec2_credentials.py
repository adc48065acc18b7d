"""EC2 keys of a user, made and kept as credentials of type `ec2`."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.identity.api import credentials, delegation
from onestack.identity.api.common import collection, get_project, get_user, link, store, target
from onestack.identity.dialect import conflict, not_found, unauthorized
from onestack.identity.engine import engine
from onestack.identity.models import Credential


def render_ec2(req: Request, row: Credential) -> dict[str, Any]:
    blob = msgspec.json.decode(credentials.opened(req, row))
    return {
        "user_id": row.user_id,
        "tenant_id": row.project_id,
        "access": blob.get("access"),
        "secret": blob.get("secret"),
        "trust_id": blob.get("trust_id"),
        "links": {"self": link(req, "users", row.user_id, "credentials", "OS-EC2", str(blob.get("access")))},
    }


def index(req: Request, user_id: str) -> dict[str, Any]:
    req.authorize({"user_id": user_id})
    delegation.refuse_for_credentials(req)
    conditions = [Credential.user_id == user_id, Credential.type == "ec2"]
    with req.cloud.db.read() as session:
        get_user(session, user_id)
        rows = session.scalars(sa.select(Credential).where(*conditions).order_by(Credential.id))
        return collection(req, "credentials", [render_ec2(req, row) for row in rows])


def show(req: Request, user_id: str, access: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"credential": render_ec2(req, _load(req, session, user_id, access))}


def create(req: Request, user_id: str) -> dict[str, Any]:
    req.authorize({"target.credential.user_id": user_id})
    project_id = req.body.get("tenant_id")
    access, secret = req.cloud.ids.hex(), secrets.token_hex(16)
    blob: dict[str, Any] = {"access": access, "secret": secret, "trust_id": None}
    with req.cloud.db.write() as session:
        get_user(session, user_id)
        if not isinstance(project_id, str):
            raise not_found("project", project_id)
        get_project(session, project_id)
        delegation.refuse_for_credentials(req)
        row = Credential(
            id=credentials.id_of_access(access), user_id=user_id, project_id=project_id, type="ec2",
            encrypted_blob=engine(req).seal(msgspec.json.encode(blob).decode()), extra={},
        )  # fmt: skip
        store(session, row, conflict("credential", f"Duplicate entry found with ID {row.id}"))
        return {"credential": render_ec2(req, row)}


def delete(req: Request, user_id: str, access: str) -> None:
    with req.cloud.db.write() as session:
        session.delete(_load(req, session, user_id, access))


def _load(req: Request, session: Session, user_id: str, access: str) -> Credential:
    """The owner is that of the credential, whatever user the URL names."""
    row = session.get(Credential, credentials.id_of_access(access))
    if row is None:
        raise not_found("credential", credentials.id_of_access(access))
    req.authorize(target(credential=row))
    get_user(session, user_id)
    if row.type != "ec2":
        raise unauthorized()
    delegation.refuse_for_credentials(req)
    return row
