"""Projects and their tags."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.identity import assignments, checks, limits, projects, removal, tokens
from onestack.identity.api import domains
from onestack.identity.api.common import (
    collection,
    domain_target,
    filters,
    home_domain,
    is_true,
    link,
    load,
    merged_options,
    page,
    store,
    target,
)
from onestack.identity.api.limits import render_limit
from onestack.identity.dialect import conflict
from onestack.identity.models import NO_DOMAIN, Project, ProjectTag
from onestack.identity.tags import set_tags, tags, tags_of

FIELDS: dict[str, checks.Check] = {
    "description": checks.DESCRIPTION,
    "domain_id": checks.ID_OR_NULL,
    "enabled": checks.enabled,
    "is_domain": checks.enabled,
    "parent_id": checks.ID_OR_NULL,
    "name": checks.SHORT_NAME,
    "tags": checks.tags,
    "options": checks.resource_options,
}
_KNOWN = (*FIELDS, "extra")
_CHANGEABLE = {name: FIELDS[name] for name in ("description", "enabled", "name", "options", "tags")}
QUERY: dict[str, checks.Check] = {
    "domain_id": checks.ID,
    "enabled": checks.word,
    "name": checks.SHORT_NAME,
    "parent_id": checks.uuid_like,
    "is_domain": checks.word,
}
_COLUMNS = {
    "domain_id": Project.domain_id,
    "enabled": Project.enabled,
    "name": Project.name,
    "parent_id": Project.parent_id,
    "is_domain": Project.is_domain,
}


def render_project(req: Request, row: Project, tags: list[str]) -> dict[str, Any]:
    return row.extra | {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "enabled": row.enabled,
        "parent_id": row.parent_id,
        "is_domain": row.is_domain,
        "tags": tags,
        "options": row.options,
        "links": {"self": link(req, "projects", row.id)},
    }


def render_projects(req: Request, session: Session, rows: list[Project]) -> list[dict[str, Any]]:
    tags = tags_of(session, rows)
    return [render_project(req, row, tags.get(row.id, [])) for row in rows]


def _tag_filters(req: Request) -> list[Any]:
    """`tags` wants all of them, `tags-any` one of them; `not-` turns it round. Values are separated by commas."""
    found = []
    for key, value in req.query:
        wanted = value.split(",")
        has = [
            sa.exists().where(ProjectTag.project_id == Project.id, ProjectTag.name == tag).correlate(Project)
            for tag in wanted
        ]
        if key in ("tags", "not-tags"):
            condition: Any = sa.and_(*has)
        elif key in ("tags-any", "not-tags-any"):
            condition = sa.or_(*has)
        else:
            continue
        found.append(sa.not_(condition) if key.startswith("not-") else condition)
    return found


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    req.authorize(domain_target(req))
    conditions = filters(req, _COLUMNS, ("enabled", "is_domain")) + _tag_filters(req)
    if req.get("is_domain") is None:
        conditions.append(Project.is_domain.is_(False))
    if req.ctx.domain_id:
        conditions.append(Project.domain_id == req.ctx.domain_id)
    with req.cloud.db.read() as session:
        rows, following = page(req, session, Project, conditions)
        return collection(req, "projects", render_projects(req, session, rows), following)


def show(req: Request, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        row = load(req, session, Project, project_id, "project")
        shown = render_project(req, row, tags_of(session, [row]).get(row.id, []))
        _add_parents(req, session, row, shown)
        _add_subtree(req, session, row, shown)
    return {"project": shown}


def _visible(req: Request, session: Session, ids: list[str]) -> list[dict[str, Any]]:
    """Those of `ids` that the caller has a role on: a tree doesn't tell about the others."""
    own = {project.id for project in assignments.projects_of(session, req.ctx.user_id)}
    rows = list(session.scalars(sa.select(Project).where(Project.id.in_(own.intersection(ids))).order_by(Project.name)))
    shown = render_projects(req, session, rows)
    if is_true(req, "include_limits"):
        found = limits.of_projects(session, [row.id for row in rows])
        for project in shown:
            project["limits"] = [render_limit(req, row, base) for row, base in found.get(project["id"], [])]
    return [{"project": project} for project in shown]


def _add_parents(req: Request, session: Session, row: Project, shown: dict[str, Any]) -> None:
    as_list, as_ids = is_true(req, "parents_as_list"), is_true(req, "parents_as_ids")
    if as_list and as_ids:
        raise BadRequest("Cannot use parents_as_list and parents_as_ids query params at the same time.")
    above = [key for _, key in assignments.ancestors(session, row)]
    if as_list:
        shown["parents"] = _visible(req, session, above)
    elif as_ids:
        tree: dict[str, Any] | None = None
        for key in reversed(above):
            tree = {key: tree}
        shown["parents"] = tree


def _add_subtree(req: Request, session: Session, row: Project, shown: dict[str, Any]) -> None:
    as_list, as_ids = is_true(req, "subtree_as_list"), is_true(req, "subtree_as_ids")
    if as_list and as_ids:
        raise BadRequest("Cannot use subtree_as_list and subtree_as_ids query params at the same time.")
    if not as_list and not as_ids:
        return
    below = assignments.subtree_ids(session, row.id)
    if as_list:
        shown["subtree"] = _visible(req, session, below)
        return
    children: dict[str, list[str]] = defaultdict(list)
    for key, parent in session.execute(sa.select(Project.id, Project.parent_id).where(Project.id.in_(below))):
        children[parent or ""].append(key)

    def tree(key: str) -> dict[str, Any] | None:
        return {child: tree(child) for child in children[key]} or None

    shown["subtree"] = tree(row.id)


def create(req: Request) -> dict[str, Any]:
    value = checks.normalized(checks.checked(req.body, "project", FIELDS, ("name",), alone=True))
    req.authorize({"target.project.domain_id": None, **target(project=value)})
    known, extra = checks.split(value, _KNOWN)
    is_domain = known.get("is_domain", False)
    projects.check_name(req.cloud.settings, known["name"], domain=False)
    with req.cloud.db.write() as session:
        domain_id: str | None = NO_DOMAIN
        parent_id: str | None = None
        if is_domain:
            if known.get("domain_id") or known.get("parent_id"):
                raise BadRequest("only root projects are allowed to act as domains.")
        else:
            domain_id, parent_id = projects.place(
                session, _depth(req), home_domain(req, known.get("domain_id")), known.get("parent_id")
            )
        row = Project(
            id=req.cloud.ids.hex(), domain_id=domain_id, parent_id=parent_id, name=known["name"].strip(),
            description=known.get("description", ""), enabled=known.get("enabled", True), is_domain=is_domain,
            options=merged_options(None, known), extra=extra,
        )  # fmt: skip
        store(session, row, _same_name(row))
        return {"project": render_project(req, row, set_tags(session, row.id, known.get("tags", [])))}


def _depth(req: Request) -> int:
    """How many projects may stand below each other: the model of the unified limits may want fewer than usual."""
    settings = req.cloud.settings.identity
    wanted = limits.MODELS[settings.limit_enforcement_model].max_depth
    return settings.max_project_tree_depth if wanted is None else min(settings.max_project_tree_depth, wanted)


def update(req: Request, project_id: str) -> dict[str, Any]:
    value = checks.checked({"project": {}} | req.body, "project", _CHANGEABLE, alone=True)
    with req.cloud.db.write() as session:
        row = load(req, session, Project, project_id, "project")
        checks.same_id(value, project_id)
        known, extra = checks.split(value, _KNOWN)
        if "domain_id" in known and (known["domain_id"] or NO_DOMAIN) != row.domain_id:
            raise BadRequest("Cannot change Domain ID")
        projects.check_immutable(row, "domain" if row.is_domain else "project", "update", known)
        if "name" in known and known["name"] != row.name:
            projects.check_name(req.cloud.settings, known["name"], domain=row.is_domain)
        _refuse_moves(row, known)
        if row.is_domain:
            domains.change_domain(req, session, row, {k: v for k, v in value.items() if k not in ("tags", "parent_id")})
        else:
            _change(req, session, row, known, extra)
        if "tags" in known:
            set_tags(session, row.id, known["tags"])
        return {"project": render_project(req, row, tags(session, row.id)) | {"extra": row.extra}}


def _refuse_moves(row: Project, known: dict[str, Any]) -> None:
    if "parent_id" in known and known["parent_id"] != row.parent_id:
        raise Forbidden("Update of `parent_id` is not allowed.")
    if "is_domain" in known and known["is_domain"] != row.is_domain:
        raise BadRequest("Update of `is_domain` is not allowed.")


def _change(req: Request, session: Session, row: Project, known: dict[str, Any], extra: dict[str, Any]) -> None:
    enabled = known.get("enabled", row.enabled)
    if enabled != row.enabled:
        projects.check_enabled(session, row, enabled)
        if not enabled:
            tokens.revoke(session, req.cloud, project_id=row.id)
    row.name = known.get("name", row.name).strip()
    row.description = known.get("description", row.description)
    row.enabled = enabled
    row.options = merged_options(row, known)
    row.extra = row.extra | extra
    store(session, None, _same_name(row))
    tokens.changed(session)


def delete(req: Request, project_id: str) -> None:
    with req.cloud.db.write() as session:
        row = load(req, session, Project, project_id, "project")
        projects.check_immutable(row, "domain" if row.is_domain else "project", "delete")
        if row.is_domain:
            removal.remove_domain(session, req.cloud, row)
        else:
            removal.remove_project(session, req.cloud, row)


def _same_name(row: Project) -> Conflict:
    if row.is_domain:
        return domains.same_name(row.name)
    words = "it is not permitted to have two projects with either the same name or same id in the same domain"
    return conflict("project", f"{words}: name is {row.name}, project id {row.id}")
