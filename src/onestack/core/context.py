"""Who is asking: what a validated token says, for policy checks and for rows that remember their owner."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec


class Context(msgspec.Struct, kw_only=True):
    """The caller of one request. Ids are None where the token's scope doesn't have them."""

    user_id: str
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    roles: list[str] = []  # names, implied ones included
    trust_id: str | None = None
    token: str = ""
    expires_at: datetime.datetime | None = None
    audit_ids: list[str] = []
    methods: list[str] = []
    request_id: str = ""
    remote: str = ""
    by_admin_token: bool = False  # nobody: the caller knows identity's `admin_token`
    token_data: Any = None  # the identity service's own record of the token

    @property
    def is_admin(self) -> bool:
        return self.by_admin_token or "admin" in self.roles

    @property
    def scope(self) -> str:
        if self.system:
            return "system"
        if self.domain_id:
            return "domain"
        return "project" if self.project_id else "unscoped"

    def credentials(self) -> dict[str, Any]:
        """What a policy rule can look at, by oslo.policy's names."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": "all" if self.system else None,
            "roles": self.roles,
            "is_admin": 1 if self.by_admin_token else self.is_admin,
            "trust_id": self.trust_id,
            # Keystone's rules ask by these paths: token.domain.id and token.project.domain.id.
            "token": {"domain": {"id": self.domain_id}, "project": {"domain": {"id": self.project_domain_id}}},
        }
