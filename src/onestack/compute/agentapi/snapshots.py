"""/v1/operations/{id}/image: the copy of a root disk on its way from the host to the image."""

from __future__ import annotations

import functools

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import snapshots
from onestack.compute.agentapi.auth import agent_in, agent_only, hosts_of
from onestack.compute.models import Server
from onestack.core.db import held
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.core.operations import Operation
from onestack.image import public_snapshots as image
from onestack.wire import SNAPSHOTS, ImageAnswer, ImageOffer


def offer(req: Request, operation_id: str) -> ImageAnswer:
    body: ImageOffer = req.body
    with req.cloud.db.write() as session:
        operation = _owed(session, agent_in(session, req), operation_id)
        server = session.get_one(Server, operation.object_id)
        return ImageAnswer(wanted=snapshots.offered(session, req.cloud, operation, server, body))


@agent_only
async def upload(req: Request, agent: str, operation_id: str) -> Response:
    image_id = await req.run(_image_of, req, agent, operation_id)
    await image.receive(req, image_id, functools.partial(snapshots.delivered, operation_id=operation_id))
    return Response({})


def _image_of(req: Request, agent: str, operation_id: str) -> str:
    with req.cloud.db.read() as session:
        return str(_owed(session, agent, operation_id).args["image_id"])


def _owed(session: Session, agent: str, operation_id: str) -> Operation:
    """The unfinished operation, handed to a host of the agent. Raises NotFound."""
    query = sa.select(Operation).where(
        Operation.id == operation_id, Operation.action.in_(sorted(SNAPSHOTS)), Operation.finished_at.is_(None),
        Operation.host.in_(hosts_of(session, agent)),
    )  # fmt: skip
    operation = session.scalars(held(session, query)).one_or_none()
    if operation is None:
        raise NotFound(f"No host of this agent makes an image for operation {operation_id}.")
    return operation
