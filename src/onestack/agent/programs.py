"""Running programs of the host: argument lists, always with a time limit, errors as exceptions."""

from __future__ import annotations

import os
import shutil
import subprocess


class ProgramFailed(Exception):
    """A program ended with an error, did not end in time, or is not installed. `text` is what it said."""

    def __init__(self, argv: list[str], text: str) -> None:
        super().__init__(f"{argv[0]}: {text}")
        self.text = text


def found(name: str) -> str:
    """The absolute path of a program. Raises ProgramFailed."""
    path = shutil.which(name)
    if path is None:
        raise ProgramFailed([name], "not installed on this host")
    return path


def run(argv: list[str], seconds: float = 60.0) -> str:
    """Standard output of a program. Raises ProgramFailed."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise ProgramFailed(argv, "not installed on this host") from error
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(argv, f"not finished after {seconds:g} seconds") from error
    if done.returncode != 0:
        raise ProgramFailed(argv, done.stderr.strip()[-2000:] or f"exit status {done.returncode}")
    return done.stdout
