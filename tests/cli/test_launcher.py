"""The launcher: quick when nothing changed, and one clear line when it cannot go on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose program prints its arguments, and an environment that is up to date."""
    place = tmp_path / "checkout"
    (place / "src" / "onestack" / "cli").mkdir(parents=True)
    shutil.copy(REPOSITORY / "onestack", place)
    shutil.copy(REPOSITORY / "src/onestack/cli/install.py", place / "src/onestack/cli")
    (place / "src/onestack/__init__.py").write_text("")
    (place / "src/onestack/cli/__init__.py").write_text("")
    (place / "src/onestack/cli/main.py").write_text("import sys\nprint('first', *sys.argv[1:])\n")
    (place / "pyproject.toml").write_text("[project]\nname='onestack'\nversion='1'\ndependencies=[]\n")
    return place


def launch(checkout, *arguments, **environment):
    venv = checkout.parent / "venv"
    return subprocess.run(
        [checkout / "onestack", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": str(checkout.parent), "ONESTACK_VENV": str(venv), **environment},
    )


def test_from_nothing_then_quickly_then_after_a_change(checkout):
    done = launch(checkout, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "first status --json\n"
    stamp = checkout.parent / "venv" / "onestack.stamp"
    made = stamp.stat().st_mtime_ns

    assert launch(checkout, "x").stderr == ""
    assert stamp.stat().st_mtime_ns == made

    (checkout / "src/onestack/cli/main.py").write_text("print('second')\n")
    assert launch(checkout).stdout == "second\n"
    (checkout / "src/onestack/cli/gone.py").write_text("")
    launch(checkout)
    (checkout / "src/onestack/cli/gone.py").unlink()
    assert launch(checkout).stdout == "second\n"


def test_a_half_made_environment_is_made_again(checkout):
    venv = checkout.parent / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (venv / "bin" / "python").chmod(0o755)
    assert launch(checkout).stdout == "first\n"


def test_no_package_index_is_one_line(checkout):
    text = (checkout / "pyproject.toml").read_text().replace("[]", "['no-such-package-of-onestack']")
    (checkout / "pyproject.toml").write_text(text)
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "1"}
    done = launch(checkout, **closed)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("onestack: installing python packages failed: the package index cannot be reached")


@pytest.mark.parametrize("command", [[], ["keystone-manage"], ["explain"]])
def test_help_needs_none_of_the_servers_modules(command):
    code = f"import sys; sys.argv = {['onestack', *command, '--help']}\nfrom onestack.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "heavy = ('rich', 'falcon', 'sqlalchemy', 'msgspec', 'uvicorn')\n"
    code += "print(*[name for name in heavy if name in sys.modules], 'end')"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "usage: " in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "end"
