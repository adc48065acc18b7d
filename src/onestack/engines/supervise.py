"""Restarts what dies, on machines without systemd.

    python -m onestack.engines.supervise DIR

DIR holds `programs.json` (process.save) and the pid files. SIGHUP: read the list again, start what is new, stop what
is no longer in it; what is described with other words is asked to end and started anew when it has, while everything
else is watched on. SIGTERM: end, and leave everything running; `down` stops the programs afterwards. A supervisor
that was killed is started again by `up`, and takes over what runs. Only the standard library is imported.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from onestack.engines import process
from onestack.engines.health import EngineError
from onestack.engines.process import Program

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
STEADY = 60.0  # seconds of life after which a death is the first one again
LOG_LIMIT = 32 << 20  # bytes; one older piece is kept beside it
LOOK_AT_LOGS = 60.0


@dataclass
class Watched:
    program: Program
    handle: int = -1  # pidfd
    began: float = 0.0
    pause: float = 0.0
    due: float = 0.0  # when to start it again
    doomed: float = 0.0  # it was asked to end; when it is made to


class Supervisor:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.watched: dict[str, Watched] = {}
        self.poller = select.poll()
        # Python goes back into a poll() that a signal interrupted; this pipe, which its handler fills, ends it.
        self.signals, self.signal_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.poller.register(self.signals, select.POLLIN)
        self.reload = True
        self.ending = False
        self.logs_looked_at = 0.0

    def say(self, words: str) -> None:
        print(time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) + words, flush=True)

    def read(self) -> None:
        """Bring what is watched to what the list says."""
        self.reload = False
        wanted = {program.name: program for program in process.load(self.directory / "programs.json")}
        for name in [name for name in self.watched if name not in wanted]:
            item = self.watched.pop(name)
            self.forget(item)
            process.stop(item.program)
            self.say(f"{name}: stopped, it is no longer asked for")
        for name, program in wanted.items():
            item = self.watched.setdefault(name, Watched(program))
            before, item.program = item.program, program
            if item.handle < 0:
                item.due, item.pause = 0.0, 0.0
            elif before.digest != program.digest and not program.shared and not item.doomed:
                self.say(f"{name}: asked to end, it is to run with other words")
                item.doomed = time.monotonic() + before.patience
                self.send(item, signal.SIGTERM)

    def send(self, item: Watched, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(item.handle, number)

    def forget(self, item: Watched) -> None:
        if item.handle >= 0:
            with contextlib.suppress(KeyError):
                self.poller.unregister(item.handle)
            os.close(item.handle)
            item.handle = -1

    def start(self, item: Watched) -> None:
        before = process.running(item.program)
        try:
            pid = process.start(item.program)
            item.handle = os.pidfd_open(pid)
        except (EngineError, OSError) as error:
            self.say(f"{item.program.name}: {error}")
            self.later(item)
            return
        item.began = time.monotonic()
        self.poller.register(item.handle, select.POLLIN)
        if pid != before:
            self.say(f"{item.program.name}: started, pid {pid}")

    def later(self, item: Watched) -> None:
        lived = time.monotonic() - item.began if item.began else 0.0
        item.pause = FIRST_PAUSE if lived > STEADY or not item.pause else min(item.pause * 2, LONGEST_PAUSE)
        item.due = time.monotonic() + item.pause

    def bury(self) -> None:
        """Wait for events: a death, a signal, or the moment of the next start."""
        now = time.monotonic()
        moments = [item.due - now for item in self.watched.values() if item.handle < 0]
        moments += [item.doomed - now for item in self.watched.values() if item.doomed and item.handle >= 0]
        seconds = max(0.0, min([*moments, LOOK_AT_LOGS]))
        dead = {handle for handle, _ in self.poller.poll(seconds * 1000)}
        with contextlib.suppress(BlockingIOError):
            os.read(self.signals, 512)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        for item in self.watched.values():
            if item.handle in dead:
                self.forget(item)
                if item.doomed:
                    item.doomed = item.due = item.pause = 0.0
                    continue
                self.later(item)
                words = f"{item.program.name}: ended; starting it again in {item.pause:.1f} s"
                self.say(f"{words}. Its last words: {process.last_line(item.program.log)}")
            elif item.doomed and item.handle >= 0 and time.monotonic() >= item.doomed:
                item.doomed = time.monotonic() + process.KILLED_SECONDS
                self.send(item, signal.SIGKILL)

    def keep_logs_small(self) -> None:
        """Copy and truncate: every writer appends, so it goes on at the new end."""
        if time.monotonic() - self.logs_looked_at < LOOK_AT_LOGS:
            return
        self.logs_looked_at = time.monotonic()
        for item in self.watched.values():
            path = item.program.log
            with contextlib.suppress(OSError):
                if os.lstat(path).st_size > LOG_LIMIT:
                    shutil.copyfile(path, path + ".1", follow_symlinks=False)
                    os.truncate(path, 0)

    def run(self) -> None:
        while not self.ending:
            if self.reload:
                self.read()
            for item in self.watched.values():
                if item.handle < 0 and time.monotonic() >= item.due:
                    self.start(item)
            self.keep_logs_small()
            self.bury()


def main() -> int:
    directory = Path(sys.argv[1])
    supervisor = Supervisor(directory)
    signal.set_wakeup_fd(supervisor.signal_writer)

    def hear(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            supervisor.reload = True
        elif number in (signal.SIGTERM, signal.SIGINT):
            supervisor.ending = True

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, hear)
    supervisor.say(f"supervisor {os.getpid()} begins")
    supervisor.run()
    supervisor.say("supervisor ends; what it watched goes on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
