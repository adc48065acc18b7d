"""/v2.0/floatingips."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import floating_ips
from onestack.network.api import crud

NAME = "floatingip"


def index(req: Request) -> dict[str, Any]:
    return crud.index(req, NAME)


def show(req: Request, floatingip_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, floatingip_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
        target = {"project_id": project, "tenant_id": project}
        crud.authorize(req, "create", NAME, floating_ips.ATTRIBUTES, given, target)
        return floating_ips.create(session, req.cloud, req.ctx, project, values)

    return crud.create(req, NAME, floating_ips.ATTRIBUTES, make, bulk=False)


def update(req: Request, floatingip_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        floating_ips.update(session, req.cloud, req.ctx, row, values)

    return crud.update(req, NAME, floatingip_id, floating_ips.ATTRIBUTES, change)


def delete(req: Request, floatingip_id: str) -> None:
    crud.delete(req, NAME, floatingip_id, lambda session, row: floating_ips.delete(session, req.cloud, row))
