"""Domains: the owners of users, groups and projects."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.identity import checks, removal, tokens
from onestack.identity.api.common import (
    DEFAULT_DOMAIN,
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
from onestack.identity.projects import check_immutable, check_name
from onestack.identity.tags import set_tags, tags, tags_of

_CHANGEABLE: dict[str, checks.Check] = {
    "description": checks.SHORT_DESCRIPTION,
    "enabled": checks.enabled,
    "name": checks.SHORT_NAME,
    "options": checks.resource_options,
    "tags": checks.tags,
}
FIELDS = {"explicit_domain_id": checks.ID} | _CHANGEABLE
QUERY: dict[str, checks.Check] = {"enabled": checks.word, "name": checks.SHORT_NAME}
_KNOWN = (*_CHANGEABLE, "is_domain", "parent_id", "domain_id", "extra")


def render_domain(req: Request, row: Project, tags: list[str]) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": tags,
        "options": row.options,
        "links": {"self": link(req, "domains", row.id)},
    }


def render_domains(req: Request, session: Session, rows: list[Project]) -> list[dict[str, Any]]:
    found = tags_of(session, rows)
    return [render_domain(req, row, found.get(row.id, [])) for row in rows]


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    own = req.ctx.domain_id
    req.authorize({"target.domain.id": own} if own else {})
    conditions = [Project.is_domain.is_(True), *filters(req, {"name": Project.name, "enabled": Project.enabled})]
    if own:
        conditions.append(Project.id == own)
    with req.cloud.db.read() as session:
        rows, following = page(req, session, Project, conditions)
        return collection(req, "domains", render_domains(req, session, rows), following)


def show(req: Request, domain_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = session.get(Project, domain_id)
        row = row if row is not None and row.is_domain else None
        req.authorize(target(domain=row))
        if row is None:
            raise not_found("domain", domain_id)
        return {"domain": render_domain(req, row, tags(session, row.id))}


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "domain", FIELDS, ("name",), alone=True))
    check_name(req.cloud.settings, value["name"], domain=True)
    known, extra = checks.split(value, _KNOWN)
    explicit = extra.pop("explicit_domain_id", None)
    if explicit is not None and not re.fullmatch("[0-9a-f]{32}", explicit):
        raise BadRequest("Domain ID does not conform to required UUID format.")
    row = Project(
        id=explicit or req.cloud.ids.hex(), domain_id=NO_DOMAIN, parent_id=None,
        name=known["name"].strip(), description=known.get("description", ""), enabled=known.get("enabled", True),
        is_domain=True, options=merged_options(None, known), extra=extra,
    )  # fmt: skip
    with req.cloud.db.write() as session:
        store(session, row, same_name(row.name))
        return {"domain": render_domain(req, row, set_tags(session, row.id, known.get("tags", [])))}


def update(req: Request, domain_id: str) -> dict[str, Any]:
    value = checks.checked(req.body, "domain", _CHANGEABLE, change=True, alone=True)
    with req.cloud.db.write() as session:
        row = get_domain(session, domain_id)  # whether there is one is no secret, as in Keystone
        req.authorize(target(domain=row))
        change_domain(req, session, row, value)
        if "tags" in value:
            set_tags(session, row.id, value["tags"])
        return {"domain": render_domain(req, row, tags(session, row.id))}


def change_domain(req: Request, session: Session, row: Project, value: dict[str, Any]) -> None:
    known, extra = checks.split(value, _KNOWN)
    check_immutable(row, "domain", "update", known)
    if "name" in known and known["name"] != row.name:
        check_name(req.cloud.settings, known["name"], domain=True)
    if known.get("enabled") is False and row.enabled:
        if row.id == DEFAULT_DOMAIN:
            raise Forbidden("Cannot disable the default domain: every account of the cloud itself is in it.")
        tokens.revoke(session, req.cloud, domain_id=row.id)
    row.name = known.get("name", row.name).strip()
    row.description = known.get("description", row.description)
    row.enabled = known.get("enabled", row.enabled)
    row.options = merged_options(row, known)
    row.extra = row.extra | extra
    store(session, None, same_name(row.name))
    tokens.changed(session)


def delete(req: Request, domain_id: str) -> None:
    with req.cloud.db.write() as session:
        row = get_domain(session, domain_id)
        req.authorize(target(domain=row))
        check_immutable(row, "domain", "delete")
        removal.remove_domain(session, req.cloud, row)


def same_name(name: str) -> Conflict:
    words = "it is not permitted to have two projects acting as domains with the same name"
    return conflict("project", f"{words}: {name}")
