"""`onestack logs [NAME] [-f] [-n N]`: the logs of the cloud's programs, and of the engines that it started."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from onestack.cli.problems import Problem
from onestack.cli.settings import existing
from onestack.config import Settings
from onestack.engines.paths import MACHINE_LOG

INTERVAL = 0.2


def run(options: argparse.Namespace) -> int:
    settings = existing(options)
    files = available(settings)
    if options.name:
        if options.name not in files:
            raise Problem(f"there is no log {options.name!r}; there are: {', '.join(sorted(files))}")
        files = {options.name: files[options.name]}
    else:
        servers = sorted(name for name in files if name.partition("-")[0] == "server")
        files = {name: files[name] for name in (*servers, "agent") if name in files}
    try:
        show(files, options.lines, follow=options.follow)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def available(settings: Settings) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for directory in (Path(MACHINE_LOG), settings.path("log")):
        for path in sorted(directory.glob("*.log")):
            found[path.stem] = path
    return found


def last_lines(handle: TextIO, count: int) -> list[str]:
    return list(deque(handle, maxlen=count)) if count else []


def show(files: dict[str, Path], count: int, *, follow: bool) -> None:
    handles: dict[str, TextIO] = {}
    for name, path in files.items():
        try:
            handles[name] = path.open(encoding="utf-8", errors="replace")
        except PermissionError as error:
            raise Problem(f"{path} is not yours to read", "the same command with sudo") from error
        for line in last_lines(handles[name], count):
            put(name, line, many=len(files) > 1)
        if follow:
            handles[name].seek(0, os.SEEK_END)
    sys.stdout.flush()
    while follow:
        grown = [more(name, handles[name], files[name], len(files) > 1) for name in handles]
        if not any(grown):
            sys.stdout.flush()
            time.sleep(INTERVAL)


def more(name: str, handle: TextIO, path: Path, many: bool) -> bool:
    """Print what was appended; begins again at the start of a log that was truncated."""
    if path.stat().st_size < handle.tell():
        handle.seek(0)
    lines = handle.readlines()
    for line in lines:
        put(name, line, many=many)
    return bool(lines)


def put(name: str, line: str, *, many: bool) -> None:
    sys.stdout.write(f"{name:<7} {line}" if many else line)
    if not line.endswith("\n"):
        sys.stdout.write("\n")
