"""`onestack doctor`: what this machine lacks, one line each, with the fix."""

from __future__ import annotations

import argparse
import sys

from onestack.cli import checks
from onestack.cli.settings import of

MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
COLOURS = {"ok": "32", "note": "33", "bad": "31"}


def run(options: argparse.Namespace) -> int:
    """0 when `up` would work, 3 when something stands in its way."""
    settings = of(options)
    found = checks.every(settings)
    for check in found:
        mark = MARKS[check.level]
        if sys.stdout.isatty():
            mark = f"\x1b[{COLOURS[check.level]}m{mark}\x1b[0m"
        fix = f"; fix: {check.fix}" if check.fix else ""
        print(f"{mark} {check.name:<12} {check.words}{fix}")
    return 3 if any(check.level == "bad" for check in found) else 0
