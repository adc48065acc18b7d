"""Makes the virtual environment that a checkout runs in; started by the launcher, before any dependency is there.

    python3 -I install.py CHECKOUT VENV SOURCE

Only the standard library is used, and nothing of ours is imported. Every step can be interrupted and repeated: the
stamp that says "done" is written last. SOURCE is the directory that goes on the path; when it is not the checkout's
own `src` (root, whose checkout the unprivileged server may not be able to read) it is a copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path


class InstallError(Exception):
    """A step failed; the message is one line for the user."""


class Bar:
    """One progress line on stderr; a plain line when stderr is no terminal. `total` is an estimate."""

    WIDTH = 30

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.count = title, max(total, 1), 0
        self.begun = time.monotonic()
        self.live = sys.stderr.isatty()
        if not self.live:
            print(f"{title} …", file=sys.stderr, flush=True)
        self.draw()

    def draw(self) -> None:
        if self.live:
            full = min(self.WIDTH, self.WIDTH * self.count // self.total)
            seconds = int(time.monotonic() - self.begun)
            line = "━" * full + "─" * (self.WIDTH - full)
            print(f"\r\x1b[2K{self.title:<32} {line} {seconds:>3} s", end="", file=sys.stderr, flush=True)

    def step(self) -> None:
        self.count = min(self.count + 1, self.total - 1)
        self.draw()

    def done(self) -> None:
        self.count = self.total
        self.draw()
        if self.live:
            print(file=sys.stderr, flush=True)


def run(argv: list[str], title: str, log: Path, total: int = 1) -> None:
    """Run a program with its output in `log` and a bar that moves with each line. Raises InstallError."""
    bar = Bar(title, total)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as record:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                record.write(line)
                if line.startswith(("Collecting", "Downloading", "Using cached", "Requirement")):
                    bar.step()
        except BaseException:
            process.kill()
            process.wait()
            raise
        code = process.wait()
    bar.done()
    if code:
        raise InstallError(f"{title.lower()} failed: {last_error(log)} (log: {log})")


def last_error(log: Path) -> str:
    """The line of pip's output that says most."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    text = "\n".join(lines)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the package index shows a certificate that this machine does not trust (a proxy's?)"
    if any(word in text for word in ("NewConnectionError", "name resolution", "Network is unreachable", "timed out")):
        return "the package index cannot be reached; check this machine's network or proxy"
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no output"])[-1][:200]


def works(python: Path) -> bool:
    """Whether the environment's Python starts and has pip: a half-made one does not."""
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def dependencies(pyproject: Path) -> list[str]:
    with pyproject.open("rb") as handle:
        return list(tomllib.load(handle)["project"]["dependencies"])


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def ensure_environment(venv: Path) -> Path:
    python = venv / "bin" / "python"
    if not works(python):
        log = venv.parent / f"{venv.name}-install.log"
        run([sys.executable, "-m", "venv", "--clear", str(venv)], "Making the Python environment", log, 1)
    return python


def ensure_packages(python: Path, venv: Path, wanted: list[str]) -> None:
    """pip installs what pyproject.toml asks for, when that or the Python changed since the last time."""
    digest = hashlib.sha256("\n".join([sys.version, *sorted(wanted)]).encode()).hexdigest()
    stamp = venv / "onestack-packages.sha256"
    if stamp.exists() and stamp.read_text(encoding="utf-8").strip() == digest:
        return
    if not wanted:
        write(stamp, digest + "\n")
        return
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *wanted]
    run(command, "Installing Python packages", venv.parent / f"{venv.name}-install.log", 3 * len(wanted))
    write(stamp, digest + "\n")


def ensure_source(checkout: Path, source: Path, python: Path) -> None:
    """Copy `src` when the program must not depend on where the checkout lies, and compile it.

    The unprivileged server cannot write there, so without this it would compile everything at each start.
    """
    if source == checkout / "src":
        return
    source.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (source.with_name(f"{source.name}.{word}") for word in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(checkout / "src", fresh, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in [fresh, *fresh.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    if source.exists():
        source.rename(old)
    fresh.rename(source)
    shutil.rmtree(old, ignore_errors=True)
    subprocess.run([python, "-m", "compileall", "-q", str(source)], capture_output=True, check=False)


def ensure_path(venv: Path, source: Path) -> None:
    for site in (venv / "lib").glob("python3.*/site-packages"):
        write(site / "onestack.pth", f"{source}\n")


@contextlib.contextmanager
def alone(venv: Path) -> Iterator[None]:
    """One installer at a time; a second one waits and then finds everything done."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / f"{venv.name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(checkout: Path, venv: Path, source: Path) -> None:
    with alone(venv):
        python = ensure_environment(venv)
        ensure_packages(python, venv, dependencies(checkout / "pyproject.toml"))
        # The stamp's time is taken before the copy: what changes during it is copied again the next time.
        before = time.time()
        ensure_source(checkout, source, python)
        ensure_path(venv, source)
        shutil.copyfile(checkout / "pyproject.toml", venv / "onestack-pyproject.toml")
        write(venv / "onestack.stamp", f"{checkout}\n")
        os.utime(venv / "onestack.stamp", (before, before))


def main() -> int:
    os.umask(0o022)
    checkout, venv, source = (Path(argument) for argument in sys.argv[1:4])
    try:
        install(checkout, venv, source)
    except InstallError as error:
        print(f"onestack: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"onestack: cannot make {venv}: {error.strerror or error} ({error.filename})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nonestack: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
