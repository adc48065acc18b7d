"""One cloud for all lines. Only `tests/run --clients` (`pytest -m clients`) runs them: they install eight clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.cloud import ClientCloud


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in ours:
        item.add_marker(pytest.mark.clients)
    if "clients" not in config.option.markexpr:
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientCloud]:
    cloud = ClientCloud(tmp_path_factory.mktemp("clients"))
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.onestack("down")
