"""`GET /v3/role_assignments`: who has which role where."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.identity import assignments, checks, role_assignments
from onestack.identity.api.common import collection, get_project, get_user, is_true, link
from onestack.identity.backends import BACKEND
from onestack.identity.models import Project, Role
from onestack.identity.role_assignments import Filter, Grant

Names = dict[str, dict[str, Any]]  # kind → id → what is shown of it


QUERY: dict[str, checks.Check] = {
    "group.id": checks.ID,
    "role.id": checks.ID,
    "scope.domain.id": checks.ID,
    "scope.project.id": checks.ID,
}


def index(req: Request) -> dict[str, Any]:
    checks.query(req, QUERY)
    if "include_subtree" in dict(req.query) and "scope.project.id" not in dict(req.query):
        raise BadRequest("'scope.project.id' is a dependency of 'include_subtree'")
    subtree, effective, names = (is_true(req, name) for name in ("include_subtree", "effective", "include_names"))
    project_id = req.get("scope.project.id")
    with req.cloud.db.read() as session:
        project = get_project(session, project_id) if subtree and project_id else None
        _authorize(req, project, subtree)
        wanted = _filter(req, session, subtree, effective)
        grants = role_assignments.effective(session, wanted) if effective else role_assignments.direct(session, wanted)
        if req.ctx.domain_id and not subtree:
            grants = _inside(session, grants, req.ctx.domain_id)
        known = _names(session, grants) if names else None
    return collection(req, "role_assignments", [render_assignment(req, grant, known) for grant in grants])


def _authorize(req: Request, project: Project | None, subtree: bool) -> None:
    if subtree:
        own = {"target.domain_id": project.domain_id} if project is not None else {}
        req.authorize(own, "identity:list_role_assignments_for_tree")
    else:
        req.authorize({"target.domain_id": req.ctx.domain_id} if req.ctx.domain_id else {})


def _filter(req: Request, session: Session, subtree: bool, effective: bool) -> Filter:
    """The query's filters. Raises BadRequest for pairs that can only be a mistake."""
    user, group = req.get("user.id") or None, req.get("group.id") or None
    domain, project = req.get("scope.domain.id") or None, req.get("scope.project.id") or None
    system = req.get("scope.system") or None
    inherited_to = req.get("scope.OS-INHERIT:inherited_to")
    inherited = None if inherited_to is None else inherited_to == "projects"
    problems = (
        (domain and project, "Specify a domain or project, not both"),
        (domain and system, "Specify system or domain, not both"),
        (project and system, "Specify system or project, not both"),
        (user and group, "Specify a user or group, not both"),
        (effective and group, "Combining effective and group filter will always result in an empty list."),
        (
            effective and inherited and domain,
            "Combining effective, domain and inherited filters will always result in an empty list.",
        ),
    )
    for wrong, message in problems:
        if wrong:
            raise BadRequest(message)
    if effective and user:
        get_user(session, user)
    if effective and project:
        get_project(session, project)
    projects = None
    if project:
        projects = [project, *(assignments.subtree_ids(session, project) if subtree else [])]
    # Of the system there is only "all"; any other part is no filter, as in Keystone.
    return Filter(req.get("role.id") or None, user, group, system == "all", domain, projects, inherited)


def _inside(session: Session, grants: list[Grant], domain_id: str) -> list[Grant]:
    """A domain's token sees what is assigned on that domain and its projects."""
    own = set(session.execute(sa.select(Project.id).where(Project.domain_id == domain_id)).scalars()) | {domain_id}
    return [grant for grant in grants if grant.target_id in own]


def _names(session: Session, grants: list[Grant]) -> Names:
    """What is shown of everything that `grants` name. Who is gone, or not to be found where users are, has no name."""
    actors: dict[str, set[str]] = {"user": set(), "group": set()}
    for grant in grants:
        actors[grant.actor_type].add(grant.actor_id)
    domains = {
        row.id: {"id": row.id, "name": row.name}
        for row in session.execute(sa.select(Project.id, Project.name).where(Project.is_domain.is_(True)))
    }
    found: Names = {"domain": domains}
    nobody = {"id": "", "name": ""}
    named = {
        "user": BACKEND.named_users(session, actors["user"]),
        "group": BACKEND.named_groups(session, actors["group"]),
    }
    for kind, rows in named.items():
        found[kind] = {key: {"id": key, "name": "", "domain": nobody} for key in actors[kind]}
        for row in rows.values():
            found[kind][row.id] = {"id": row.id, "name": row.name, "domain": domains.get(row.domain_id, nobody)}
    models: tuple[tuple[str, Any], ...] = (("project", Project), ("role", Role))
    for kind, model in models:
        found[kind] = {}
        for key, name, domain_id in session.execute(sa.select(model.id, model.name, model.domain_id)):
            shown: dict[str, Any] = {"id": key, "name": name}
            if domain_id in domains:
                shown["domain"] = domains[domain_id]
            found[kind][key] = shown
    return found


def render_assignment(req: Request, grant: Grant, names: Names | None) -> dict[str, Any]:
    def shown(kind: str, key: str) -> dict[str, Any]:
        return (names[kind].get(key) if names is not None else None) or {"id": key}

    if grant.target_type == "system":
        scope: dict[str, Any] = {"system": {"all": True}}
    else:
        scope = {grant.target_type: shown(grant.target_type, grant.target_id)}
    if grant.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    links = {"assignment": _assignment_link(req, grant)}
    if grant.via_group:
        links["membership"] = link(req, "groups", grant.via_group, "users", grant.actor_id)
    if grant.via_role:
        links["prior_role"] = link(req, "roles", grant.via_role, "implies", grant.role_id)
    return {
        "role": shown("role", grant.role_id),
        grant.actor_type: shown(grant.actor_type, grant.actor_id),
        "scope": scope,
        "links": links,
    }


def _assignment_link(req: Request, grant: Grant) -> str:
    """Where the assignment that this comes from can be looked at and taken away."""
    kind, key = grant.via_target or (grant.target_type, grant.target_id)
    place = ["system"] if kind == "system" else [f"{kind}s", key]
    actor = ["groups", grant.via_group] if grant.via_group else [f"{grant.actor_type}s", grant.actor_id]
    parts = [*place, *actor, "roles", grant.via_role or grant.role_id]
    if grant.inherited:
        parts = ["OS-INHERIT", *parts, "inherited_to_projects"]
    return link(req, *parts)
