"""Which services there are, with which drivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import onestack.compute.service
import onestack.identity.service
import onestack.image.service
import onestack.network.service
import onestack.placement.service
from onestack.config import Settings
from onestack.core.cloud import Cloud
from onestack.core.db import Database
from onestack.core.notify import Bridge
from onestack.core.operations import Workers


class Application(Protocol):
    """What a service's `build` returns for each port."""

    def app(self, pool: Any) -> Any: ...


BUILDERS: tuple[Callable[[Cloud], dict[str, Any]], ...] = (
    onestack.identity.service.build,
    onestack.image.service.build,
    onestack.placement.service.build,
    onestack.network.service.build,
    onestack.compute.service.build,
)


def services(cloud: Cloud) -> dict[str, Application]:
    """Every application by its name in config.PORTS, "agent" for the agents' socket."""
    found: dict[str, Application] = {}
    for build in BUILDERS:
        found.update(build(cloud))
    return found


def cloud_of(settings: Settings) -> Cloud:
    """A cloud with its database and its engines' drivers; nothing is started."""
    cloud = Cloud(settings=settings, db=Database(settings.database_url))
    cloud.drivers["network"] = network_driver(settings)
    return cloud


def network_driver(settings: Settings) -> Any:
    """OVN, or the fake engine that goes with the fake hypervisor."""
    if settings.hypervisor == "fake":
        from onestack.network.drivers.fake import FakeDriver

        return FakeDriver()
    from onestack.network.drivers.ovn import OvnDriver

    return OvnDriver.from_settings(settings)


def add_operation_workers(cloud: Cloud) -> None:
    """One pool of threads for every service's operations, and what wakes other processes; called when all services
    are built."""
    if not cloud.db.sqlite:
        cloud.workers.insert(0, Bridge(cloud))
    if cloud.runners:
        cloud.workers.append(Workers(cloud, cloud.runners))


def rules(settings: Settings, service: str) -> dict[str, str]:
    """Rule → default check of one service. Raises ConfigError when the operator's file for it can't be read."""
    found: dict[str, str] = services(cloud_of(settings))[service].policy.rules  # type: ignore[attr-defined]
    return found
