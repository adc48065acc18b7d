"""What both builders need: running programs, saying how far they are, and a place to work in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

# Called with what is being done and the share of the work that is behind, from 0 to 1.
Progress = Callable[[str, float], None]

# Ordinary users on Debian do not have the directories of mke2fs and mkfs.vfat in their PATH.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


class GuestError(Exception):
    """An image cannot be built; the message says why and, where there is one, the remedy."""


def silent(step: str, share: float) -> None:
    """The Progress of who does not want to know."""


def which(program: str) -> str | None:
    """The full path of a program, system directories included, or None."""
    return shutil.which(program, path=SEARCH_PATH)


def require(programs: dict[str, str]) -> None:
    """Refuse to start without the given programs (name → Debian package). Raises GuestError naming the packages."""
    missing = sorted({package for program, package in programs.items() if not which(program)})
    if missing:
        raise GuestError(f"missing Debian packages: {' '.join(missing)} (apt-get install {' '.join(missing)})")


def run(*command: str | Path, stdin: bytes | None = None, cwd: Path | None = None) -> bytes:
    """Run a program in the C locale and return what it printed. Raises GuestError with its last words."""
    program = which(str(command[0]))
    if program is None:
        raise GuestError(f"{command[0]}: no such program")
    environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C"}
    done = subprocess.run(
        [program, *map(str, command[1:])],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        cwd=cwd,
        env=environment,
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-5:]
        raise GuestError(f"{command[0]} failed ({done.returncode}): {' / '.join(words)}")
    return done.stdout


@contextlib.contextmanager
def workshop(output: Path) -> Iterator[Path]:
    """An empty directory beside `output` to build it in; gone afterwards.

    Its name depends on the output alone, so what a killed build left is cleared by the next one. A lock keeps two
    builds of one image apart. Raises GuestError when another one is at work, and for any OSError inside.
    """
    lock_path = output.parent / f".{output.name}.lock"
    directory = output.parent / f".{output.name}.build"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with _locked(lock_path, output):
            if directory.exists():
                shutil.rmtree(directory)
            directory.mkdir(mode=0o700)
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except OSError as error:  # no space, no permission
        raise GuestError(f"cannot build {output}: {error}") from error


@contextlib.contextmanager
def _locked(path: Path, output: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GuestError(f"{output} is being built by another process") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def walk(root: Path) -> Iterable[Path]:
    """Everything below a directory, links not followed, in a stable order."""
    for base, directories, files in os.walk(root):
        directories.sort()
        for name in sorted(directories + files):
            yield Path(base, name)
