"""One cloud for all tests here, brought back to its beginning before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import postgresql
from tests.conftest import new_database
from tests.contract.world import World

_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("contract", max_examples=4, derandomize=True, **_COMMON)
settings.register_profile("deep", max_examples=100, **_COMMON)


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    with new_database(directory) as url:
        world = World(directory, url if postgresql.wanted() else "")
        yield world
        world.close()


@pytest.fixture
def world(built_world: World) -> World:
    built_world.restore()
    return built_world


def profile() -> settings:
    """The profile that was asked for; the short one, the same each time, when none was."""
    return settings.get_profile("deep" if settings.get_current_profile_name() == "deep" else "contract")
