"""Long-running programs without systemd: start detached, know again, stop.

A program is known by its pid file, which holds the pid, the start time of that process (field 22 of
/proc/PID/stat, in clock ticks after boot) and a digest of how it was started. A pid whose start time differs belongs
to somebody else, so nothing is ever signalled by mistake after a reboot or a wrap of the pids.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from onestack.engines.health import EngineError

KILLED_SECONDS = 5.0  # a killed process is gone by then
SOMEBODY_ELSES = "somebody-elses"  # in place of a digest


@dataclass(frozen=True)
class Program:
    """How a program is started. Paths are absolute; `user` empty means the caller's own.

    `shared` marks a program of the machine that several clouds may use: it is never restarted because it was started
    with other words, and stops only with the last cloud.
    """

    name: str
    argv: tuple[str, ...]
    pidfile: str
    log: str
    user: str = ""
    group: str = ""
    env: dict[str, str] = field(default_factory=dict)
    shared: bool = False
    # A pid file that the program itself keeps; a process found there is taken over instead of starting a second.
    own_pidfile: str = ""
    # Seconds that it may take to end when it is asked to.
    patience: float = 15.0

    @property
    def digest(self) -> str:
        words = json.dumps([self.argv, self.user, self.group, sorted(self.env.items())])
        return hashlib.sha256(words.encode()).hexdigest()[:16]


def save(programs: list[Program], path: Path) -> None:
    """Write the list that the supervisor reads; replaced in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps([asdict(program) for program in programs], indent=1), encoding="utf-8")
    temporary.chmod(0o600)
    temporary.replace(path)


def load(path: Path) -> list[Program]:
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Program(**{**row, "argv": tuple(row["argv"])}) for row in rows]


def start_time(pid: int) -> int | None:
    """Ticks after boot at which a process began; None when there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def running(program: Program) -> int | None:
    """The pid of this program, if it runs and is the one that we started or took over."""
    known = read_pidfile(Path(program.pidfile))
    return known[0] if known else None


def read_pidfile(path: Path) -> tuple[int, str] | None:
    """(pid, digest) of a live process, or None."""
    try:
        words = path.read_text(encoding="utf-8").split()
        pid, began, digest = int(words[0]), int(words[1]), words[2]
    except (OSError, ValueError, IndexError):
        return None
    return (pid, digest) if start_time(pid) == began else None


def write_pidfile(path: Path, pid: int, digest: str) -> None:
    began = start_time(pid)
    if began is None:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(f"{pid}\n{began}\n{digest}\n")
    temporary.replace(path)


def foreign_pid(path: str, program: str) -> int | None:
    """The pid in a daemon's own pid file, if such a process runs under that name."""
    try:
        pid = int(Path(path).read_text(encoding="utf-8").split()[0])
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError, IndexError):
        return None
    return pid if name == os.path.basename(program)[:15] and start_time(pid) is not None else None


@contextlib.contextmanager
def locked(program: Program) -> Iterator[None]:
    """Two supervisors that find the same program dead must not start it twice."""
    descriptor = os.open(program.pidfile + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def start(program: Program) -> int:
    """Ensure that the program runs, as described; the pid. Restarts one that was started with other words."""
    os.makedirs(os.path.dirname(program.pidfile), exist_ok=True)
    with locked(program):
        known = read_pidfile(Path(program.pidfile))
        if known and (program.shared or known[1] == program.digest):
            return known[0]
        if known:
            stop_pid(known[0], program.patience)
        other = foreign_pid(program.own_pidfile, program.argv[0]) if program.own_pidfile else None
        if other:
            write_pidfile(Path(program.pidfile), other, program.digest)
            return other
        pid = spawn(program)
        write_pidfile(Path(program.pidfile), pid, program.digest)
        return pid


def watch(program: Program) -> None:
    """Let a process that somebody else started stand for the program: when it ends it is started again, as ours; until
    then `stop` leaves it alone. Nothing happens where there is none, or ours runs."""
    with locked(program):
        other = foreign_pid(program.own_pidfile, program.argv[0]) if program.own_pidfile else None
        if other and read_pidfile(Path(program.pidfile)) is None:
            write_pidfile(Path(program.pidfile), other, SOMEBODY_ELSES)


def ours(program: Program) -> bool:
    """Whether it runs and somebody here started it."""
    known = read_pidfile(Path(program.pidfile))
    return known is not None and known[1] != SOMEBODY_ELSES


def spawn(program: Program) -> int:
    """Start it in a session of its own, so that no terminal's Ctrl-C and no death of ours reaches it."""
    os.makedirs(os.path.dirname(program.log), exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        log = os.open(program.log, flags, 0o640)
    except OSError as error:
        raise EngineError(f"{program.name}: cannot write {program.log}: {error.strerror}") from error
    other: dict[str, Any] = {}
    if program.user:
        other = {"user": program.user, "group": program.group or program.user, "extra_groups": []}
    elif program.group:
        other = {"group": program.group}
    try:
        process = subprocess.Popen(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**clean_environment(), **program.env},
            start_new_session=True,
            umask=0o027,
            **other,
        )
    except OSError as error:
        raise EngineError(f"{program.name}: cannot start {program.argv[0]}: {error.strerror}") from error
    finally:
        os.close(log)
    # The child outlives us; whoever is its parent then reaps it.
    process.returncode = 0
    return process.pid


def clean_environment() -> dict[str, str]:
    """What a daemon needs of our environment, and nothing of the user's shell."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "http_proxy", "https_proxy", "no_proxy")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for directory in ("/usr/sbin", "/sbin"):
        if directory not in environment["PATH"].split(":"):
            environment["PATH"] += ":" + directory
    return environment


def stop(program: Program, patience: float = 15.0, first: signal.Signals = signal.SIGTERM) -> bool:
    """Ask it to end, then make it; whether it ran. Its pid file is gone afterwards."""
    pid = running(program) if ours(program) else None
    if pid:
        stop_pid(pid, patience, first)
    Path(program.pidfile).unlink(missing_ok=True)
    return pid is not None


def stop_pid(pid: int, patience: float = 15.0, first: signal.Signals = signal.SIGTERM) -> None:
    """`first`, and SIGKILL after `patience` seconds; returns when the process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number, seconds in ((first, patience), (signal.SIGKILL, KILLED_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if ended(handle, seconds):
                return
    finally:
        os.close(handle)


def ended(handle: int, seconds: float) -> bool:
    """Whether the process of a pidfd ended within so many seconds."""
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def wait_for(condition: Callable[[], object], seconds: float, interval: float = 0.02) -> bool:
    """Poll until `condition()` is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def last_line(log: str) -> str:
    """The last line of a log that is not empty: why a program that died says it did."""
    try:
        with open(log, "rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 4096))
            lines = [line.strip() for line in handle.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def run(argv: list[str], *, seconds: float = 30.0, env: dict[str, str] | None = None) -> str:
    """Run a short program; its output. Raises EngineError with the last line of what it complained about."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**clean_environment(), **(env or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise EngineError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{argv[0]} did not answer within {seconds:.0f} s") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()
        raise EngineError(f"{' '.join(argv[:3])}: {lines[-1]}")
    return done.stdout
