"""The actions `createImage` and `createBackup`: an image of the server's root disk, which its host makes and sends."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import links, quotas, schema, servers, snapshots, state
from onestack.compute.servers import Loaded
from onestack.core.dialect import Version
from onestack.core.errors import Conflict, Forbidden, TooLarge
from onestack.core.http import Request, Response
from onestack.image import public_snapshots as images


def image_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"name": schema.name_of(version), "metadata": schema.metadata}, ("name",), version)(name, value)


def backup_body(version: Version, name: str, value: Any) -> Any:
    fields: dict[str, schema.Check] = {
        "name": schema.name_of(version), "backup_type": schema.string(None), "rotation": schema.count(0),
        "metadata": schema.metadata,
    }  # fmt: skip
    return schema.obj(fields, ("name", "backup_type", "rotation"), version)(name, value)


def image(session: Session, req: Request, found: Loaded, values: dict[str, Any]) -> Response:
    image_id = _begin(session, req, found, "createImage", values, {"image_type": "snapshot"}, {})
    return _answer(req, image_id, f"{req.cloud.settings.url('image')}/images/{image_id}")


def backup(session: Session, req: Request, found: Loaded, values: dict[str, Any]) -> Response:
    kind, rotation = values["backup_type"], values["rotation"]
    of_backup = {"backup_type": kind, "rotation": rotation}
    image_id = _begin(session, req, found, "createBackup", values, {"image_type": "backup"}, of_backup)
    return _answer(req, image_id, f"{links.root(req)}/images/{image_id}" if rotation else None)


def _answer(req: Request, image_id: str, location: str | None) -> Response:
    if req.version >= (2, 45):
        return Response({"image_id": image_id}, 202)
    return Response(None, 202, {"Location": location} if location else None)


def _begin(
    session: Session, req: Request, found: Loaded, action: str, values: dict[str, Any], kind: dict[str, str],
    args: dict[str, Any],
) -> str:  # fmt: skip
    """The image, and the operation that it waits for; the image's id."""
    server, metadata = found.server, values.get("metadata") or {}
    if req.version < (2, 39):
        quotas.check_image_metadata(session, req.ctx.project_id or "", len(metadata))
    found.check(action)
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    own = {"user_id": req.ctx.user_id, **kind, **metadata}
    if action == "createBackup":
        own["backup_type"] = args["backup_type"]
    new = snapshots.described(server, action, values["name"], own, project_id=req.ctx.project_id)
    try:
        image_id = images.create(session, req.cloud, req.ctx, new)
    except TooLarge as error:
        raise Forbidden(error.message) from None
    servers.begin(
        session, req, found, action, args={"image_id": image_id, **args}, stage=state.STAGES[action][0]
    )  # fmt: skip
    return image_id
