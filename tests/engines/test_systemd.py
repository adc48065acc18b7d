"""Units are made from the same records as the programs that the supervisor runs."""

from __future__ import annotations

import configparser

from onestack import config
from onestack.engines import systemd
from onestack.engines.process import Program


def parse(text):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_a_unit_says_what_the_program_says(tmp_path):
    settings = config.load(str(tmp_path), port_offset=100)
    program = Program("server", ("/bin/sh", "-c", 'a "b" 50% $HOME'), "/p", "/l.log", user="onestack", env={"K": "a b"})
    unit = parse(systemd.render(settings, program, {"server"}))
    assert unit["Service"]["ExecStart"] == '"/bin/sh" "-c" "a \\"b\\" 50%% $$HOME"'
    assert unit["Service"]["User"] == "onestack"
    assert unit["Service"]["Environment"] == '"K=a b"'
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["StandardOutput"] == "append:/l.log"
    assert unit["Install"]["WantedBy"] == "onestack-100.target"


def test_a_unit_comes_after_what_it_needs_and_is_there(tmp_path):
    settings = config.load(str(tmp_path))
    program = Program("agent", ("/bin/true",), "/p", "/l")
    assert "onestack-ovn-controller.service" in systemd.render(settings, program, {"agent", "ovn-controller"})
    assert "onestack-ovn-controller.service" not in systemd.render(settings, program, {"agent"})


def test_what_is_written_already_is_not_a_change(tmp_path):
    assert systemd.replaced(tmp_path / "a.service", "text")
    assert not systemd.replaced(tmp_path / "a.service", "text")
    assert systemd.replaced(tmp_path / "a.service", "other")
