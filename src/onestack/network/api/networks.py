"""/v2.0/networks."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import networks
from onestack.network.api import crud

NAME = "network"


def index(req: Request) -> dict[str, Any]:
    return crud.index(req, NAME)


def show(req: Request, network_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, network_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
        target = {"project_id": project, "tenant_id": project, "network:project_id": project}
        crud.authorize(req, "create", NAME, networks.ATTRIBUTES, given, target)
        return networks.create(session, req.cloud, project, values)

    made = crud.create(req, NAME, networks.ATTRIBUTES, make)
    for network in made["networks"] if "networks" in made else [made[NAME]]:
        network.setdefault("is_default", False)  # said of every new network, and later of external ones alone
    return made


def update(req: Request, network_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        networks.update(session, req.cloud, row, values)

    return crud.update(req, NAME, network_id, networks.ATTRIBUTES, change)


def delete(req: Request, network_id: str) -> None:
    crud.delete(req, NAME, network_id, lambda session, row: networks.delete(session, req.cloud, row))
