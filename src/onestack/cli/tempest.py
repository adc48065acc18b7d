"""`onestack tempest`: the checkout's `tests/tempest/run` on this cloud."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from onestack.cli.problems import Problem
from onestack.cli.settings import existing


def run(options: argparse.Namespace) -> int:
    settings = existing(options)
    program = Path(os.environ.get("ONESTACK_CHECKOUT", ""), "tests", "tempest", "run")
    if not program.is_file():
        raise Problem("the tests are not here", "run it from a checkout of the project")
    return subprocess.run(
        [sys.executable, str(program), "--state", settings.state, *options.words], check=False
    ).returncode
