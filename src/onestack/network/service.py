"""The network service: Neutron's API v2.0 and the loop that makes the engine follow."""

from __future__ import annotations

from onestack.core.cloud import Cloud
from onestack.core.http import Service
from onestack.network.dialect import NeutronDialect
from onestack.network.policies import POLICIES
from onestack.network.routes import ROUTES
from onestack.network.syncer import Syncer


def _without_suffix(path: str) -> str:
    """Old clients ask for `/v2.0/networks.json`."""
    return path.removesuffix(".json") if path.startswith("/v2.0/") else path


def build(cloud: Cloud) -> dict[str, Service]:
    """`cloud.drivers["network"]` must be set before the workers start."""
    cloud.workers.append(Syncer(cloud))
    return {
        "network": Service(cloud, "network", NeutronDialect(), ROUTES, POLICIES, rewrite=_without_suffix),
    }
