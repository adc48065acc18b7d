"""Placement as a service."""

from __future__ import annotations

from onestack.core.cloud import Cloud
from onestack.core.http import Service
from onestack.placement.dialect import PlacementDialect
from onestack.placement.policies import POLICIES
from onestack.placement.routes import ROUTES


def build(cloud: Cloud) -> dict[str, Service]:
    return {"placement": Service(cloud, "placement", PlacementDialect(), ROUTES, POLICIES)}
