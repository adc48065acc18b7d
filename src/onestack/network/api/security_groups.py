"""/v2.0/security-groups and /v2.0/security-group-rules."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request
from onestack.network import objects, security_groups
from onestack.network.api import crud

NAME = "security_group"
RULE = "security_group_rule"


def index(req: Request) -> dict[str, Any]:
    _default_group(req)
    return crud.index(req, NAME)


def _default_group(req: Request) -> None:
    """A project that lists its groups finds its default one, made now if it wasn't needed before."""
    project = req.ctx.project_id
    if not project or not req.allows(f"get_{NAME}"):
        return
    with req.cloud.db.read() as session:
        table = security_groups.SecurityGroup
        there = session.query(table.id).filter(table.default_of == project).first()
    if there is None:
        with req.cloud.db.write() as session:
            security_groups.ensure_default(session, req.cloud, project)


def show(req: Request, security_group_id: str) -> dict[str, Any]:
    return crud.show(req, NAME, security_group_id)


def create(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], _given: dict[str, Any]) -> Any:
        req.authorize({"project_id": project, "tenant_id": project})
        return security_groups.create(session, req.cloud, project, values)

    return crud.create(req, NAME, security_groups.ATTRIBUTES, make)


def update(req: Request, security_group_id: str) -> dict[str, Any]:
    def change(session: Session, row: Any, values: dict[str, Any]) -> None:
        security_groups.update(session, req.cloud, row, values)

    return crud.update(req, NAME, security_group_id, security_groups.ATTRIBUTES, change)


def delete(req: Request, security_group_id: str) -> None:
    def remove(session: Session, row: Any) -> None:
        security_groups.delete(session, req.cloud, row, admin=req.ctx.is_admin)

    crud.delete(req, NAME, security_group_id, remove)


def index_rules(req: Request) -> dict[str, Any]:
    _default_group(req)
    return crud.index(req, RULE)


def show_rule(req: Request, rule_id: str) -> dict[str, Any]:
    return crud.show(req, RULE, rule_id)


def create_rule(req: Request) -> dict[str, Any]:
    def make(session: Session, project: str, values: dict[str, Any], _given: dict[str, Any]) -> Any:
        group = objects.get(session, NAME, values["security_group_id"], req.ctx)
        req.authorize({"project_id": project, "tenant_id": project, "security_group:project_id": group.project_id})
        return security_groups.create_rule(session, req.cloud, req.ctx, group, project, values)

    return crud.create(req, RULE, security_groups.RULE_ATTRIBUTES, make)


def delete_rule(req: Request, rule_id: str) -> None:
    crud.delete(req, RULE, rule_id, lambda session, row: security_groups.delete_rule(session, req.cloud, row))
