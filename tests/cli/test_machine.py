"""Engines of the machine that several clouds use: who still needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from onestack.cli import layout, programs
from onestack.config import Settings
from onestack.engines import paths


def cloud(state: Path, offset: int) -> Settings:
    (state / "run").mkdir(parents=True)
    return Settings(state=str(state), port_offset=offset, hypervisor="qemu")


def test_engines_are_left_to_a_cloud_that_is_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MACHINE_RUN", str(tmp_path / "machine"))
    monkeypatch.setattr(programs, "under_systemd", lambda: False)
    first, second = cloud(tmp_path / "first", 1), cloud(tmp_path / "second", 2)
    programs.register(first)
    programs.register(second)
    with layout.alone(second):
        assert programs.unregister(first) == [second.state]
    assert programs.unregister(first) == []
    assert not list((tmp_path / "machine").iterdir())
