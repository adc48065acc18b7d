"""Logs: the last lines, and what is appended while one looks."""

from __future__ import annotations

import pytest

from onestack import config
from onestack.cli import layout, logs
from onestack.cli.main import main


@pytest.fixture
def cloud(tmp_path):
    settings = config.load(str(tmp_path), hypervisor="fake")
    layout.ensure_directories(settings, "")
    settings.path("log", "server.log").write_text("".join(f"line {number}\n" for number in range(100)))
    settings.path("log", "agent.log").write_text("agent speaks")
    return settings


def test_the_last_lines_of_one(cloud, capsys):
    assert main(["--state", cloud.state, "logs", "server", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 98\nline 99\n"


def test_both_are_told_apart(cloud, capsys):
    main(["logs", "--state", cloud.state, "-n", "1"])
    assert capsys.readouterr().out == "server  line 99\nagent   agent speaks\n"


def test_an_unknown_name_lists_the_known(cloud, capsys):
    assert main(["--state", cloud.state, "logs", "nova"]) == 1
    assert "there is no log 'nova'; there are: agent, " in capsys.readouterr().err


def test_a_truncated_log_is_read_from_its_start(cloud, capsys):
    path = cloud.path("log", "agent.log")
    with path.open() as handle:
        handle.read()
        path.write_text("new\n")
        assert logs.more("agent", handle, path, False)
    assert capsys.readouterr().out == "new\n"


@pytest.mark.parametrize("value", ["-1", "x"])
def test_a_wrong_number_of_lines(cloud, value):
    with pytest.raises(SystemExit) as ended:
        main(["--state", cloud.state, "logs", "-n", value])
    assert ended.value.code == 2
