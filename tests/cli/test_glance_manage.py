"""`onestack glance-manage`: metadata definitions between files and the database."""

from __future__ import annotations

import json

import pytest

from onestack import config
from onestack.cli import layout
from onestack.cli.main import main

NAMESPACE = {"namespace": "Mine::One", "display_name": "Mine One", "visibility": "public", "tags": [{"name": "t"}]}


@pytest.fixture
def manage(tmp_path):
    settings = config.load(str(tmp_path / "state"), hypervisor="fake")
    settings.root.mkdir()
    settings.path("onestack.toml").write_text('hypervisor = "fake"\n')
    layout.ensure_directories(settings, "")
    settings.path("supervisor").mkdir(exist_ok=True)
    return lambda *words: main(["--state", settings.state, "glance-manage", *words])


def test_metadefs_come_from_files_and_go_to_files(manage, tmp_path, capsys):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir(), target.mkdir()
    (source / "one.json").write_text(json.dumps(NAMESPACE))
    assert manage("db_load_metadefs", str(source)) == 0
    assert "loaded Mine::One" in capsys.readouterr().out
    assert manage("db", "load_metadefs", "--path", str(source / "one.json")) == 0
    assert "nothing new" in capsys.readouterr().out
    assert manage("db_load_metadefs", str(source), "merge", "prefer_new") == 0
    assert manage("db", "export_metadefs", "--path", str(target)) == 0
    exported = json.loads((target / "MineOne.json").read_text())
    assert (exported["namespace"], exported["tags"]) == ("Mine::One", [{"name": "t"}])
    assert manage("db_unload_metadefs") == 0
    capsys.readouterr()
    assert manage("db_load_metadefs") == 0
    assert "loaded OS::OperatingSystem" in capsys.readouterr().out


def test_what_is_wrong_is_said(manage, tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_text("[")
    assert manage("db_load_metadefs", str(bad)) == 1
    assert "bad.json" in capsys.readouterr().err
    bad.write_text('{"display_name": "no name"}')
    assert manage("db_load_metadefs", str(bad)) == 1
    assert "namespace" in capsys.readouterr().err
    assert manage("db_load_metadefs", str(tmp_path / "nowhere")) == 1
    assert manage("db_load_metadefs", str(bad), "prefer_new") == 1
    assert manage("db_load_metadefs", str(bad), "sideways") == 1


def test_the_schema_can_be_brought_up_to_date(manage, capsys):
    assert manage("db", "sync") == 0
    assert manage("db_version") == 0
    first, second = capsys.readouterr().out.split()
    assert first == second
