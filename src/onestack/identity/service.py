"""The identity service: one API on two ports (5000, and 35357 where old clients look for the admin's)."""

from __future__ import annotations

from onestack.core.cloud import Cloud
from onestack.identity.dialect import IdentityDialect
from onestack.identity.engine import Engine, IdentityService
from onestack.identity.policies import POLICIES, IdentityPolicy
from onestack.identity.routes import ROUTES


def build(cloud: Cloud) -> dict[str, IdentityService]:
    """Both services; `cloud.authenticate` works from here on, for every service."""
    engine = Engine(cloud)
    cloud.authenticate = engine.tokens.authenticate
    cloud.authenticate_late = engine.tokens.authenticate_late
    return {"identity": _service(cloud, engine), "identity-admin": _service(cloud, engine)}


def _service(cloud: Cloud, engine: Engine) -> IdentityService:
    service = IdentityService(cloud, "identity", IdentityDialect(), ROUTES, POLICIES)
    directory = cloud.settings.path("policy")
    service.policy = IdentityPolicy("identity", POLICIES, directory if directory.is_dir() else None)
    service.engine = engine
    return service
