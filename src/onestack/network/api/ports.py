"""/v2.0/ports."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import objects, ports
from onestack.network.api import crud

NAME = "port"


def index(req: Request) -> dict[str, Any]:
    return crud.index(req, NAME)


def show(req: Request, port_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, port_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
        network = objects.get(session, "network", values["network_id"], req.ctx)
        target = {
            "project_id": project, "tenant_id": project, "network:project_id": network.project_id,
            "shared": network.shared, "device_owner": values["device_owner"],
        }  # fmt: skip
        crud.authorize(req, "create", NAME, ports.ATTRIBUTES, given, target)
        return ports.create(session, req.cloud, req.ctx, network, project, values)

    return crud.create(req, NAME, ports.ATTRIBUTES, make)


def update(req: Request, port_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        ports.update(session, req.cloud, req.ctx, row, values)

    return crud.update(req, NAME, port_id, ports.ATTRIBUTES, change)


def delete(req: Request, port_id: str) -> None:
    crud.delete(req, NAME, port_id, lambda session, row: ports.delete(session, req.cloud, row))
