"""The identity service on two ports: v3 is the same on both, v2.0 has the admins' part on 35357 only."""

from __future__ import annotations

from onestack.core.cloud import Cloud
from onestack.core.routes import Route
from onestack.identity.dialect import IdentityDialect
from onestack.identity.engine import Engine, IdentityService
from onestack.identity.policies import POLICIES, IdentityPolicy
from onestack.identity.routes import ROUTES
from onestack.identity.routes_v2 import ADMIN_ROUTES, PUBLIC_ROUTES


def build(cloud: Cloud) -> dict[str, IdentityService]:
    """Both services; `cloud.authenticate` works from here on, for every service."""
    engine = Engine(cloud)
    cloud.authenticate = engine.tokens.authenticate
    cloud.authenticate_late = engine.tokens.authenticate_late
    return {
        "identity": _service(cloud, engine, [*ROUTES, *PUBLIC_ROUTES]),
        "identity-admin": _service(cloud, engine, [*ROUTES, *ADMIN_ROUTES]),
    }


def _service(cloud: Cloud, engine: Engine, routes: list[Route]) -> IdentityService:
    service = IdentityService(cloud, "identity", IdentityDialect(), routes, POLICIES)
    service.policy = IdentityPolicy("identity", POLICIES, cloud.settings.path("policy"))
    service.engine = engine
    return service
