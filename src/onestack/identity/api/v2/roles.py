"""Roles (OS-KSADM), and who has which on a tenant. Roles without a tenant were never there: 501, as in Keystone."""

from __future__ import annotations

import urllib.parse
from typing import Any

import sqlalchemy as sa

from onestack.core.errors import Conflict, NotImplementedHere
from onestack.core.http import Request
from onestack.identity import assignments
from onestack.identity.api import grants, roles
from onestack.identity.api.common import DEFAULT_DOMAIN, get_role
from onestack.identity.api.v2.common import admin, part, role_view, visible_tenant, visible_user
from onestack.identity.dialect import expecting, invalid, not_found
from onestack.identity.models import NO_DOMAIN, Assignment, Role

_ON_TENANTS = grants.Grants("project", "user")


def index(req: Request) -> dict[str, Any]:
    admin(req)
    with req.cloud.db.read() as session:
        rows = session.scalars(sa.select(Role).where(Role.domain_id == NO_DOMAIN).order_by(Role.name))
        return {"roles": [role_view(roles.render_role(req, row)) for row in rows]}


def show(req: Request, role_id: str) -> dict[str, Any]:
    admin(req)
    return {"role": _show(req, role_id)}


def _show(req: Request, role_id: str) -> dict[str, Any]:
    """A role of a domain isn't seen here."""
    with req.cloud.db.read() as session:
        row = get_role(session, role_id)
        if row.domain_id:
            raise not_found("role", role_id)
        return role_view(roles.render_role(req, row))


def create(req: Request) -> dict[str, Any]:
    admin(req)
    given = part(req.body, "role")
    given.pop("domain_id", None)
    if "name" not in given:
        raise expecting("name", "role")
    req.body = {"role": given}
    return {"role": role_view(roles.create(req)["role"])}


def delete(req: Request, role_id: str) -> None:
    admin(req)
    _show(req, role_id)
    roles.delete(req, role_id)


# Of users


def of_user(req: Request, tenant_id: str, user_id: str) -> dict[str, Any]:
    admin(req)
    with req.cloud.db.read() as session:
        project = visible_tenant(session, tenant_id)
        visible_user(session, user_id)
        ids = [role.id for role in assignments.roles_on_project(session, user_id, project)]
        rows = session.scalars(sa.select(Role).where(Role.id.in_(ids)).order_by(Role.name))
        return {"roles": [role_view(roles.render_role(req, row)) for row in rows]}


def add(req: Request, tenant_id: str, user_id: str, role_id: str) -> dict[str, Any]:
    admin(req)
    role = _show(req, role_id)
    with req.cloud.db.read() as session:
        visible_tenant(session, tenant_id)
        visible_user(session, user_id)
        if session.get(Assignment, ("user", user_id, "project", tenant_id, role_id, False)) is not None:
            words = f"User {user_id} already has role {role_id} in tenant {tenant_id}"
            raise Conflict(f"Conflict occurred attempting to store role grant - {words}.")
    _ON_TENANTS.create(req, user_id, role_id, project_id=tenant_id)
    return {"role": role}


def remove(req: Request, tenant_id: str, user_id: str, role_id: str) -> None:
    admin(req)
    with req.cloud.db.read() as session:
        visible_tenant(session, tenant_id)
    _ON_TENANTS.delete(req, user_id, role_id, project_id=tenant_id)


def without_tenant(req: Request, user_id: str, role_id: str = "") -> None:
    admin(req)
    raise NotImplementedHere("User roles not supported: tenant_id required")


# roleRefs: a role on a tenant under one id, from before there were assignments


def list_refs(req: Request, user_id: str) -> dict[str, Any]:
    admin(req)
    with req.cloud.db.read() as session:
        visible_user(session, user_id)
        found = [
            {"roleId": role.id, "tenantId": project.id, "userId": user_id}
            for project in assignments.projects_of(session, user_id)
            if project.domain_id == DEFAULT_DOMAIN
            for role in assignments.roles_on_project(session, user_id, project)
        ]
    return {"roles": [{**ref, "id": urllib.parse.urlencode(ref)} for ref in found]}


def create_ref(req: Request, user_id: str) -> dict[str, Any]:
    admin(req)
    given = part(req.body, "role")
    for name in ("tenantId", "roleId"):
        if not isinstance(given.get(name), str):
            raise expecting(name, "role")
    return add(req, given["tenantId"], user_id, given["roleId"])


def delete_ref(req: Request, user_id: str, role_ref_id: str) -> None:
    admin(req)
    parts = dict(urllib.parse.parse_qsl(role_ref_id))
    if "tenantId" not in parts or "roleId" not in parts:
        raise invalid("role_ref_id", role_ref_id, "names no tenant and role")
    remove(req, parts["tenantId"], user_id, parts["roleId"])
