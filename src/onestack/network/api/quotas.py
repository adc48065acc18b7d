"""/v2.0/quotas: limits, defaults and usage of a project."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core import quota
from onestack.core.errors import Fault, Forbidden, NotFound
from onestack.core.http import Request
from onestack.network import attributes, errors, objects
from onestack.network.api import crud


def _target(project_id: str) -> dict[str, Any]:
    return {"project_id": project_id, "tenant_id": project_id}


def _limits(req: Request, project_id: str) -> dict[str, int]:
    with req.cloud.db.read() as session:
        return quota.limits(session, "network", project_id, objects.QUOTAS)


def own_tenant(req: Request) -> dict[str, Any]:
    """The project that the caller's token is for."""
    return {"tenant": {"tenant_id": req.ctx.project_id}}


def own_project(req: Request) -> dict[str, Any]:
    return {"project": {"project_id": req.ctx.project_id}}


def create(req: Request) -> None:
    """Limits are there already."""
    raise Fault("POST requests are not supported on this resource.", status=501, kind="HTTPNotImplemented")


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
    if project_id != req.ctx.project_id and not req.ctx.is_admin:
        raise Forbidden(
            "User does not have admin privileges: Only admin is authorized to access quotas for another project.",
            kind="AdminRequired",
        )
    req.authorize(_target(project_id))
    with req.cloud.db.read() as session:
        limits = quota.limits(session, "network", project_id, objects.QUOTAS)
        used = objects.usage(session, project_id)
    return {
        "quota": {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
    }


def _limit(value: Any) -> int:
    number = attributes.integer(value)
    if number < quota.UNLIMITED:
        raise attributes.Reason(f"'{number}' is too small - must be at least '-1'")
    if number > _MAX:
        raise attributes.Reason(f"'{number}' is too large - must be no larger than '{_MAX}'")
    return number


_MAX = (1 << 31) - 1
_ATTRIBUTES = {name: attributes.Attr(_limit) for name in objects.QUOTAS}
# The first overrides the check of the usage; the second asks for it, and gets it anyway.
_FLAGS = {"force", "check_limit"}


def update(req: Request, project_id: str) -> dict[str, Any]:
    """Set limits of a project; one that is lower than what is used must be meant (`force`)."""
    sent = crud.body_of(req.body, "quota")
    if {"tenant_id", "project_id"} & set(sent):
        raise errors.bad_request("Unrecognized attribute(s) 'tenant_id, project_id'")
    given = {name: value for name, value in sent.items() if name not in _FLAGS}
    values = attributes.read(_ATTRIBUTES, given, creating=False)
    req.authorize(_target(project_id))
    with req.cloud.db.write() as session:
        if not sent.get("force"):
            _check_usage(values, objects.usage(session, project_id, values))
        quota.set_limits(session, "network", project_id, values)
        found = quota.limits(session, "network", project_id, objects.QUOTAS)
    return {"quota": found}


def _check_usage(limits: dict[str, int], used: dict[str, int]) -> None:
    for name, limit in limits.items():
        if limit != quota.UNLIMITED and limit < used.get(name, 0):
            raise errors.bad_request(
                f"Quota limit {limit} for {name} must be greater than or equal to already used {used[name]}"
            )


def reset(req: Request, project_id: str) -> None:
    req.authorize(_target(project_id))
    with req.cloud.db.write() as session:
        own = sa.select(quota.Quota.project_id).where(
            quota.Quota.service == "network", quota.Quota.project_id == project_id
        )
        if session.execute(own.limit(1)).first() is None:
            raise NotFound(f"Quota for project {project_id} could not be found.", kind="TenantQuotaNotFound")
        quota.reset(session, "network", project_id)
