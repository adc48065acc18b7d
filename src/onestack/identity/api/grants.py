"""Giving roles: on projects, domains and the system, to users and groups, also inherited by projects below.

The ten families of URLs differ only in what they name, so each is one Grants object and its methods are handlers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.http import Request
from onestack.identity import assignments, removal, tokens
from onestack.identity.api.common import (
    collection,
    get_domain,
    get_group,
    get_project,
    get_role,
    get_user,
    store,
    target,
)
from onestack.identity.api.roles import render_role
from onestack.identity.backends import BACKEND
from onestack.identity.dialect import conflict
from onestack.identity.models import Assignment, Group, Project, Role, User


@dataclass(frozen=True)
class Grants:
    """One family: `target_type` "project", "domain" or "system"; `actor_type` "user" or "group"."""

    target_type: str
    actor_type: str
    inherited: bool = False

    @property
    def path(self) -> str:
        if self.target_type == "system":
            return f"/v3/system/{self.actor_type}s/{{actor_id}}/roles"
        prefix = "/v3/OS-INHERIT" if self.inherited else "/v3"
        return f"{prefix}/{self.target_type}s/{{{self.target_type}_id}}/{self.actor_type}s/{{actor_id}}/roles"

    def rule(self, verb: str) -> str:
        """`verb`: list, check, create or revoke."""
        plural = "s" if verb == "list" else ""
        if self.target_type == "system":
            return f"identity:{verb}_system_grant{plural}_for_{self.actor_type}"
        return f"identity:{verb}_grant{plural}"

    def index(self, req: Request, actor_id: str, **place: str) -> dict[str, Any]:
        target_id = self._target(place)
        with req.cloud.db.read() as session:
            self._load(req, session, actor_id, target_id)
            given = sa.select(Assignment.role_id).where(*self._conditions(actor_id, target_id))
            rows = session.scalars(sa.select(Role).where(Role.id.in_(given)).order_by(Role.name))
            return collection(req, "roles", [render_role(req, row) for row in rows])

    def check(self, req: Request, actor_id: str, role_id: str, **place: str) -> None:
        target_id = self._target(place)
        with req.cloud.db.read() as session:
            self._load(req, session, actor_id, target_id, role_id)
            self._get(session, actor_id, target_id, role_id)

    def create(self, req: Request, actor_id: str, role_id: str, **place: str) -> None:
        target_id = self._target(place)
        with req.cloud.db.write() as session:
            role, project = self._load(req, session, actor_id, target_id, role_id)
            assert role is not None
            if role.domain_id and self.target_type == "project" and project and project.domain_id != role.domain_id:
                raise Forbidden(f"Project {target_id} must be in the same domain as the role {role_id} being assigned.")
            if role.domain_id and self.target_type == "system":
                words = "Unable to use a domain-specific role in a system assignment."
                raise BadRequest(f"Role {role_id} is a domain-specific role. {words}")
            key = (self.actor_type, actor_id, self.target_type, target_id, role_id, self.inherited)
            if session.get(Assignment, key) is None:
                row = Assignment(
                    actor_type=self.actor_type, actor_id=actor_id, target_type=self.target_type,
                    target_id=target_id, role_id=role_id, inherited=self.inherited,
                )  # fmt: skip
                store(session, row, conflict("role grant", "Duplicate entry"))
                tokens.changed(session)

    def delete(self, req: Request, actor_id: str, role_id: str, **place: str) -> None:
        target_id = self._target(place)
        with req.cloud.db.write() as session:
            self._load(req, session, actor_id, target_id, role_id, gone=True)
            session.delete(self._get(session, actor_id, target_id, role_id))
            if self.target_type == "project":
                if self.actor_type == "user":
                    losing = [actor_id]
                else:
                    losing = BACKEND.members(session, [actor_id]).get(actor_id, [])
                removal.forget_credentials(session, losing, target_id)
            tokens.changed(session)

    def _target(self, place: dict[str, str]) -> str:
        """The id in the URL, whose name there is that of the target's kind."""
        return place.get(f"{self.target_type}_id", assignments.SYSTEM)

    def _load(
        self, req: Request, session: Session, actor_id: str, target_id: str, role_id: str = "", *, gone: bool = False
    ) -> tuple[Role | None, Project | None]:
        """Role and target of the URL, which must exist; the caller must be allowed. `gone`: the actor need not."""
        # A domain is looked for first, unless it is where an inherited role comes from.
        place = get_domain(session, target_id) if self.target_type == "domain" and not self.inherited else None
        role = get_role(session, role_id) if role_id else None
        actor: User | Group | None
        if gone:
            actor = BACKEND.user(session, actor_id) if self.actor_type == "user" else BACKEND.group(session, actor_id)
        else:
            actor = get_user(session, actor_id) if self.actor_type == "user" else get_group(session, actor_id)
        missing: NotFound | None = None
        try:
            if self.target_type == "project":
                place = get_project(session, target_id)
            elif self.target_type == "domain" and place is None:
                place = get_domain(session, target_id)
        except NotFound as fault:
            if not self.inherited:
                raise
            missing = fault  # for the ears of who may know
        req.authorize(target(**{"role": role, self.actor_type: actor, self.target_type: place}))
        if missing is not None:
            raise missing
        return role, place

    def _conditions(self, actor_id: str, target_id: str) -> list[Any]:
        return [
            Assignment.actor_type == self.actor_type,
            Assignment.actor_id == actor_id,
            Assignment.target_type == self.target_type,
            Assignment.target_id == target_id,
            Assignment.inherited.is_(self.inherited),
        ]

    def _get(self, session: Session, actor_id: str, target_id: str, role_id: str) -> Assignment:
        key = (self.actor_type, actor_id, self.target_type, target_id, role_id, self.inherited)
        row = session.get(Assignment, key)
        if row is None:
            place = "system" if self.target_type == "system" else target_id
            raise NotFound(
                f"Could not find role assignment with role: {role_id}, user or group: {actor_id}, "
                f"project, domain, or system: {place}."
            )
        return row


FAMILIES = [Grants(kind, actor) for kind in ("project", "domain", "system") for actor in ("user", "group")] + [
    Grants(kind, actor, inherited=True) for kind in ("project", "domain") for actor in ("user", "group")
]
