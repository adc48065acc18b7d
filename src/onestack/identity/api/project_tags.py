"""Tags of a project, one by one and all at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.core.http import Request, Response
from onestack.identity import checks
from onestack.identity.api.common import link, load, store
from onestack.identity.dialect import conflict, not_found
from onestack.identity.models import Project, ProjectTag
from onestack.identity.tags import check_changeable, set_tags, tags


def _render(req: Request, project_id: str, names: list[str]) -> dict[str, Any]:
    return {"tags": names, "links": {"self": link(req, "projects", project_id, "tags")}}


def index(req: Request, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        load(req, session, Project, project_id, "project")
        return _render(req, project_id, tags(session, project_id))


def replace(req: Request, project_id: str) -> dict[str, Any]:
    checks.whole_body(req.body, {"tags": checks.array(checks.TAG)})
    wanted = req.body.get("tags", {})
    with req.cloud.db.write() as session:
        row = load(req, session, Project, project_id, "project")
        checks.checked_as_of_old(wanted, checks.tags)
        check_changeable(row, "update")
        return _render(req, project_id, set_tags(session, project_id, [name.strip() for name in wanted]))


def delete_all(req: Request, project_id: str) -> None:
    with req.cloud.db.write() as session:
        check_changeable(load(req, session, Project, project_id, "project"), "update")
        set_tags(session, project_id, [])


def check(req: Request, project_id: str, tag: str) -> None:
    with req.cloud.db.read() as session:
        load(req, session, Project, project_id, "project")
        _get(session, project_id, tag)


def add(req: Request, project_id: str, tag: str) -> Response:
    """A tag that is there already is refused, as in Keystone."""
    with req.cloud.db.write() as session:
        row = load(req, session, Project, project_id, "project")
        checks.checked_as_of_old(tag, checks.TAG)
        checks.checked_as_of_old([*tags(session, project_id), tag], checks.tags)
        check_changeable(row, "create")
        store(session, ProjectTag(project_id=project_id, name=tag.strip()), conflict("project tag", "Duplicate entry"))
    return Response(None, 201, {"Location": link(req, "projects", project_id, "tags", tag)})


def delete(req: Request, project_id: str, tag: str) -> None:
    with req.cloud.db.write() as session:
        check_changeable(load(req, session, Project, project_id, "project"), "delete")
        session.delete(_get(session, project_id, tag))


def _get(session: Session, project_id: str, tag: str) -> ProjectTag:
    row = session.get(ProjectTag, (project_id, tag))
    if row is None:
        raise not_found("project tag", tag)
    return row
