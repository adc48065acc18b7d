"""Quotas of projects and users: /os-quota-sets. Source: the compute API reference, "Quota sets"."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import quotas, schema, user_quotas
from onestack.core import quota
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.core.http import Request, Response
from onestack.identity import public as identity

# The network service's affair by now; unlimited here, and shown as long as clients expect them.
NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
_INJECTED = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")


def resources(version: Version) -> list[str]:
    """The names that a quota set has in a microversion."""
    names = [name for name in quotas.DEFAULTS if version < (2, 57) or name not in _INJECTED]
    return [*names, *NETWORK] if version < (2, 36) else names


def show(req: Request, project_id: str) -> dict[str, Any]:
    user = _enter(req, project_id)
    with req.cloud.db.read() as session:
        check_project(req, session, project_id)
        limits = user_quotas.limits(session, project_id, user)
    return {"quota_set": render(req.version, limits, project_id)}


def detail(req: Request, project_id: str) -> dict[str, Any]:
    user = _enter(req, project_id)
    with req.cloud.db.read() as session:
        check_project(req, session, project_id)
        limits = user_quotas.limits(session, project_id, user)
        used = user_quotas.usage(session, project_id, user)
    body = {
        name: {"in_use": used.get(name, 0), "limit": limits.get(name, quota.UNLIMITED), "reserved": 0}
        for name in resources(req.version)
    }
    return {"quota_set": {"id": project_id, **body}}


def defaults(req: Request, project_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        check_project(req, session, project_id)
        limits = quotas.limits(session, quota.DEFAULT_PROJECT)
    return {"quota_set": render(req.version, limits, project_id)}


def update(req: Request, project_id: str) -> dict[str, Any]:
    fields: dict[str, schema.Check] = {name: schema.integer(-1) for name in resources(req.version)}
    values = schema.body(req.body, "quota_set", {**fields, "force": schema.boolean}, req.version)
    user = _enter(req, project_id)
    force = values.pop("force", False)
    # What the network service limits is checked and then left to it.
    values = {name: value for name, value in values.items() if name not in NETWORK}
    with req.cloud.db.write() as session:
        check_project(req, session, project_id)
        if not force:
            _check(session, project_id, user, values)
        if user is None:
            quota.set_limits(session, quotas.SERVICE, project_id, values)
        else:
            user_quotas.set_limits(session, project_id, user, values)
        session.flush()
        limits = user_quotas.limits(session, project_id, user)
    return {"quota_set": render(req.version, limits)}


def delete(req: Request, project_id: str) -> Response:
    user = _enter(req, project_id)
    with req.cloud.db.write() as session:
        user_quotas.reset(session, project_id, user)
        if user is None:
            quota.reset(session, quotas.SERVICE, project_id)
    return Response()


def render(version: Version, limits: dict[str, int], identifier: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {} if identifier is None else {"id": identifier}
    return body | {name: limits.get(name, quota.UNLIMITED) for name in resources(version)}


def check_project(req: Request, session: Session, project_id: str) -> None:
    """Raises BadRequest for a project that isn't there; the token's own is, and so is, to who may not know, any."""
    if req.ctx.is_admin and project_id != req.ctx.project_id and not identity.project_exists(session, project_id):
        raise BadRequest(f"Project ID {project_id} is not a valid project.")


def _enter(req: Request, project_id: str) -> str | None:
    """Authorise, and the user that is meant, if one is."""
    req.authorize({"project_id": project_id})
    return next(iter(req.get_all("user_id")), None) or None


def _check(session: Session, project_id: str, user: str | None, values: dict[str, int]) -> None:
    """A limit is at least what is used and, for a user, at most the project's. Raises BadRequest."""
    used = user_quotas.usage(session, project_id, user)
    most = {} if user is None else quotas.limits(session, project_id)
    for name, value in values.items():
        if _wide(value) < used.get(name, 0):
            raise BadRequest(
                f"Quota limit {value} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}."
            )
        if _wide(value) > _wide(most.get(name, quota.UNLIMITED)):
            raise BadRequest(f"Quota limit {value} for {name} must be less than or equal to {most[name]}.")


def _wide(limit: int) -> float:
    return float("inf") if limit == quota.UNLIMITED else limit
