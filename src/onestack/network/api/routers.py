"""/v2.0/routers, their interfaces and extra routes."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import attributes, routers, views
from onestack.network.api import crud

NAME = "router"


def index(req: Request) -> dict[str, Any]:
    return crud.index(req, NAME)


def show(req: Request, router_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, router_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
        target = {"project_id": project, "tenant_id": project}
        crud.authorize(req, "create", NAME, routers.ATTRIBUTES, given, target)
        return routers.create(session, req.cloud, req.ctx, project, values)

    return crud.create(req, NAME, routers.ATTRIBUTES, make, bulk=False)


def update(req: Request, router_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        routers.update(session, req.cloud, req.ctx, row, values)

    return crud.update(req, NAME, router_id, routers.ATTRIBUTES, change)


def delete(req: Request, router_id: str) -> None:
    crud.delete(req, NAME, router_id, lambda session, row: routers.delete(session, req.cloud, row))


def add_interface(req: Request, router_id: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        router = _authorized(req, session, router_id)
        return routers.add_interface(session, req.cloud, req.ctx, router, req.body)


def remove_interface(req: Request, router_id: str) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        router = _authorized(req, session, router_id)
        return routers.remove_interface(session, req.cloud, req.ctx, router, req.body)


def _authorized(req: Request, session: Session, router_id: str) -> Any:
    router = crud.loaded(req, session, NAME, router_id)
    req.authorize(views.targets(session, NAME, [router])[0])
    return router


def add_extra_routes(req: Request, router_id: str) -> dict[str, Any]:
    return _change_routes(req, router_id, lambda held, given: held + [route for route in given if route not in held])


def remove_extra_routes(req: Request, router_id: str) -> dict[str, Any]:
    return _change_routes(req, router_id, lambda held, given: [route for route in held if route not in given])


def _change_routes(req: Request, router_id: str, combine: Any) -> dict[str, Any]:
    sent = crud.body_of(req.body, NAME)
    values = attributes.read({"routes": routers.ATTRIBUTES["routes"]}, sent, creating=False)
    with req.cloud.db.write() as session:
        router = _authorized(req, session, router_id)
        routes = combine(router.routes, values.get("routes", []))
        routers.update(session, req.cloud, req.ctx, router, {"routes": routes})
        return {NAME: crud.rendered_rows(req, session, NAME, [router])[0]}
