"""/v2.0/quotas: limits, defaults and usage of a project."""

from __future__ import annotations

from typing import Any

from onestack.core import quota
from onestack.core.http import Request
from onestack.network import attributes, errors, objects
from onestack.network.api import crud


def _target(project_id: str) -> dict[str, Any]:
    return {"project_id": project_id, "tenant_id": project_id}


def _limits(req: Request, project_id: str) -> dict[str, int]:
    with req.cloud.db.read() as session:
        return quota.limits(session, "network", project_id, objects.QUOTAS)


def own(req: Request) -> dict[str, Any]:
    """The project that the caller's token is for."""
    project = req.ctx.project_id
    return {"tenant": {"tenant_id": project, "project_id": project}}


def index(req: Request) -> dict[str, Any]:
    """Every project that has limits of its own."""
    req.authorize({})
    with req.cloud.db.read() as session:
        query = session.query(quota.Quota.project_id).filter(quota.Quota.service == "network").distinct()
        projects = sorted(row[0] for row in query if row[0] != quota.DEFAULT_PROJECT)
        found = [
            {**quota.limits(session, "network", one, objects.QUOTAS), "tenant_id": one, "project_id": one}
            for one in projects
        ]
    return {"quotas": found}


def show(req: Request, project_id: str) -> dict[str, Any]:
    req.authorize(_target(project_id) if project_id == req.ctx.project_id else {})
    return {"quota": _limits(req, project_id)}


def default(req: Request, project_id: str) -> dict[str, Any]:
    req.authorize(_target(project_id) if project_id == req.ctx.project_id else {})
    return {"quota": _limits(req, quota.DEFAULT_PROJECT)}


def details(req: Request, project_id: str) -> dict[str, Any]:
    req.authorize(_target(project_id) if project_id == req.ctx.project_id else {})
    with req.cloud.db.read() as session:
        limits = quota.limits(session, "network", project_id, objects.QUOTAS)
        used = objects.usage(session, project_id)
    return {
        "quota": {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
    }


def update(req: Request, project_id: str) -> dict[str, Any]:
    req.authorize(_target(project_id))
    sent = crud.body_of(req.body, "quota")
    unknown = sorted(set(sent) - set(objects.QUOTAS) - {"tenant_id", "project_id", "force", "check_limit"})
    if unknown:
        raise errors.bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    values: dict[str, int] = {}
    for name, value in sent.items():
        if name in objects.QUOTAS:
            number = attributes.integer(value)
            if number < -1:
                raise errors.bad_request(
                    f"Invalid input for {name}. Reason: '{value}' is too small - must be at least '-1'."
                )
            values[name] = number
    with req.cloud.db.write() as session:
        if sent.get("check_limit"):
            used = objects.usage(session, project_id)
            under = sorted(name for name, limit in values.items() if 0 <= limit < used.get(name, 0))
            if under:
                raise errors.bad("QuotaLimitTooLow", f"The limits of {under} are lower than what is used.")
        quota.set_limits(session, "network", project_id, values)
        found = quota.limits(session, "network", project_id, objects.QUOTAS)
    return {"quota": found}


def reset(req: Request, project_id: str) -> None:
    req.authorize(_target(project_id))
    with req.cloud.db.write() as session:
        quota.reset(session, "network", project_id)
