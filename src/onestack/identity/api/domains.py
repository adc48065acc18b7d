"""Domains: the owners of users, groups and projects."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import Conflict, Forbidden
from onestack.core.http import Request
from onestack.identity import checks, removal, tokens
from onestack.identity.api.common import (
    DEFAULT_DOMAIN,
    check_immutable,
    collection,
    filters,
    get_domain,
    link,
    merged_options,
    page,
    store,
    target,
)
from onestack.identity.dialect import conflict, not_found
from onestack.identity.models import NO_DOMAIN, Project

FIELDS: dict[str, checks.Check] = {
    "name": checks.SHORT_NAME,
    "description": checks.DESCRIPTION,
    "enabled": checks.flag(),
    "tags": checks.tags,
    "options": checks.resource_options,
    "explicit_domain_id": checks.ID,
}
_KNOWN = (*FIELDS, "is_domain", "parent_id", "domain_id")


def render_domain(req: Request, row: Project) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": [],
        "options": row.options,
        "links": {"self": link(req, "domains", row.id)},
    }


def index(req: Request) -> dict[str, Any]:
    own = req.ctx.domain_id
    req.authorize({"target.domain.id": own} if own else {})
    conditions = [Project.is_domain.is_(True), *filters(req, {"name": Project.name, "enabled": Project.enabled})]
    if own:
        conditions.append(Project.id == own)
    with req.cloud.db.read() as session:
        rows, following = page(req, session, Project, conditions)
    return collection(req, "domains", [render_domain(req, row) for row in rows], following)


def show(req: Request, domain_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(Project, domain_id)
        row = row if row is not None and row.is_domain else None
        req.authorize(target(domain=row))
        if row is None:
            raise not_found("domain", domain_id)
        return {"domain": render_domain(req, row)}


def create(req: Request) -> dict[str, Any]:
    value = checks.checked(req.body, "domain", FIELDS, ("name",))
    known, extra = checks.split(value, _KNOWN)
    row = Project(
        id=known.get("explicit_domain_id") or req.cloud.ids.hex(), domain_id=NO_DOMAIN, parent_id=None,
        name=known["name"].strip(), description=known.get("description") or "", enabled=known.get("enabled", True),
        is_domain=True, options=known.get("options") or {}, extra=extra,
    )  # fmt: skip
    with req.cloud.db.write() as session:
        store(session, row, same_name(row.name))
        return {"domain": render_domain(req, row)}


def update(req: Request, domain_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "domain", FIELDS, change=True)
    checks.same_id(value, domain_id)
    with req.cloud.db.write() as session:
        row = get_domain(session, domain_id)
        change_domain(req, session, row, value)
        return {"domain": render_domain(req, row)}


def change_domain(req: Request, session: Session, row: Project, value: dict[str, Any]) -> None:
    known, extra = checks.split(value, _KNOWN)
    check_immutable(row, "domain", "update", known)
    if known.get("enabled") is False and row.enabled:
        if row.id == DEFAULT_DOMAIN:
            raise Forbidden("Cannot disable the default domain: every account of the cloud itself is in it.")
        tokens.revoke(session, req.cloud, domain_id=row.id)
    row.name = known.get("name", row.name).strip()
    row.description = known.get("description", row.description) or ""
    row.enabled = known.get("enabled", row.enabled)
    row.options = merged_options(row, known)
    row.extra = row.extra | extra
    store(session, None, same_name(row.name))
    tokens.changed(session)


def delete(req: Request, domain_id: str) -> None:
    with req.cloud.db.write() as session:
        row = get_domain(session, domain_id)
        check_immutable(row, "domain", "delete")
        removal.remove_domain(session, req.cloud, row)


def same_name(name: str) -> Conflict:
    words = "it is not permitted to have two projects acting as domains with the same name"
    return conflict("project", f"{words}: {name}")
