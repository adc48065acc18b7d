"""Who is asking: what a validated token says, for policy checks and for rows that remember their owner."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from onestack.core.access_rules import AccessRules


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
    access_rules: AccessRules | None = None  # None: the token may be used for everything
    service: Context | None = None  # the service that asks for the user, when its token came along
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
        found: dict[str, Any] = {
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
        if self.service is not None:
            found |= {
                "service_user_id": self.service.user_id,
                "service_user_domain_id": self.service.user_domain_id,
                "service_project_id": self.service.project_id,
                "service_project_domain_id": self.service.project_domain_id,
                "service_roles": self.service.roles,
            }
        return found
