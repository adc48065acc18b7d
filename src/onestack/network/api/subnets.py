"""/v2.0/subnets."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import objects, subnets
from onestack.network.api import crud

NAME = "subnet"


def index(req: Request) -> dict[str, Any]:
    return crud.index(req, NAME)


def show(req: Request, subnet_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, subnet_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
        network = objects.get(session, "network", values["network_id"], req.ctx)
        target = {
            "project_id": project, "tenant_id": project, "network:project_id": network.project_id,
            "shared": network.shared,
        }  # fmt: skip
        crud.authorize(req, "create", NAME, subnets.ATTRIBUTES, given, target)
        return subnets.create(session, req.cloud, network, project, values)

    return crud.create(req, NAME, subnets.ATTRIBUTES, make)


def update(req: Request, subnet_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        subnets.update(session, req.cloud, row, values)

    return crud.update(req, NAME, subnet_id, subnets.ATTRIBUTES, change)


def delete(req: Request, subnet_id: str) -> None:
    crud.delete(req, NAME, subnet_id, lambda session, row: subnets.delete(session, req.cloud, row))
