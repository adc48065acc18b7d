"""Tables of the identity service.

A domain is a project that acts as one (`is_domain`), as in Keystone, so that a tree of projects has one table. Ids
are strings of up to 64 characters. `extra` holds the attributes that a client invented; Keystone keeps and returns
them.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Base, Json

# The domain_id of what belongs to no domain: domains themselves and global roles. NULL would not take part in UNIQUE.
NO_DOMAIN = ""


class Project(Base):
    __tablename__ = "identity_projects"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.String(64), default=NO_DOMAIN)
    parent_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(sa.String(64))
    description: Mapped[str | None] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    is_domain: Mapped[bool] = mapped_column(default=False)
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class ProjectTag(Base):
    __tablename__ = "identity_project_tags"

    project_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)


class User(Base):
    __tablename__ = "identity_users"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None] = mapped_column(sa.String(64))
    password_hash: Mapped[str | None] = mapped_column(sa.String(255))
    password_created_at: Mapped[datetime.datetime | None]
    password_expires_at: Mapped[datetime.datetime | None]
    password_self_service: Mapped[bool] = mapped_column(default=False)  # the user chose it, no administrator
    failed_auth_count: Mapped[int] = mapped_column(default=0)  # wrong passwords since the last right one
    failed_auth_at: Mapped[datetime.datetime | None]
    last_active_at: Mapped[datetime.date | None]  # kept only while inactive accounts are disabled
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime.datetime]


class FormerPassword(Base):
    """A password that a user had before; only as many are kept as must not be used again."""

    __tablename__ = "identity_former_passwords"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"), index=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    replaced_at: Mapped[datetime.datetime]


class Group(Base):
    __tablename__ = "identity_groups"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(64))
    description: Mapped[str | None] = mapped_column(sa.Text)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Membership(Base):
    __tablename__ = "identity_memberships"

    user_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Role(Base):
    __tablename__ = "identity_roles"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.String(64), default=NO_DOMAIN)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class ImpliedRole(Base):
    """Whoever has `prior_role_id` has `implied_role_id` too."""

    __tablename__ = "identity_implied_roles"

    prior_role_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True)
    implied_role_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Assignment(Base):
    """A role of a user or group on a project, a domain, or the system (target_id "all").

    `inherited`: not on the target itself but on every project below it.
    """

    __tablename__ = "identity_assignments"
    __table_args__ = (sa.Index("ix_identity_assignments_target", "target_type", "target_id"),)

    actor_type: Mapped[str] = mapped_column(sa.String(8), primary_key=True)  # "user" or "group"
    actor_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    target_type: Mapped[str] = mapped_column(sa.String(8), primary_key=True)  # "project", "domain" or "system"
    target_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    role_id: Mapped[str] = mapped_column(
        sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)


class Region(Base):
    __tablename__ = "identity_regions"

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    parent_region_id: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class CatalogService(Base):
    """A service that somebody added; the cloud's own are made from the settings (see catalog.py)."""

    __tablename__ = "identity_services"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(255))
    name: Mapped[str] = mapped_column(sa.String(255), default="")
    description: Mapped[str | None] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Endpoint(Base):
    """An endpoint that somebody added, of a service of either kind."""

    __tablename__ = "identity_endpoints"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    # Endpoints of v2.0 have one id for up to three rows.
    legacy_endpoint_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    service_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    interface: Mapped[str] = mapped_column(sa.String(8))
    region_id: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    url: Mapped[str] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Credential(Base):
    """A secret of a user for something else (EC2 keys, TOTP seeds); `encrypted_blob` by the keys in keys/credential."""

    __tablename__ = "identity_credentials"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    project_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    type: Mapped[str] = mapped_column(sa.String(255))
    encrypted_blob: Mapped[str] = mapped_column(sa.Text)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class ApplicationCredential(Base):
    __tablename__ = "identity_application_credentials"
    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    secret_hash: Mapped[str] = mapped_column(sa.String(255))
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    unrestricted: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime.datetime | None]


class Revocation(Base):
    """What makes a token that was issued until `issued_before` invalid; every column that is set must match it.

    A row is of no use once the tokens that it could match have expired (`expires_at`), and is removed then.
    """

    __tablename__ = "identity_revocations"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    audit_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    audit_chain_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    user_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    project_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    domain_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    role_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    trust_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    consumer_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    access_token_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    issued_before: Mapped[datetime.datetime]
    expires_at: Mapped[datetime.datetime] = mapped_column(index=True)
