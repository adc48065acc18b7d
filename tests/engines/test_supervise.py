"""The supervisor restarts what dies, takes over what runs, and leaves everything running when it ends."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from onestack.engines import process
from onestack.engines.process import Program


class Bench:
    def __init__(self, directory):
        self.directory = directory
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        argv = (sys.executable, "-m", "onestack.engines.supervise", str(directory))
        self.keeper = Program("supervisor", argv, str(directory / "s.pid"), str(directory / "s.log"), env=environment)
        self.programs = []

    def program(self, name, *argv):
        return Program(name, argv, str(self.directory / f"{name}.pid"), str(self.directory / f"{name}.log"))

    def ask_for(self, *programs):
        self.programs = [*self.programs, *programs]
        process.save(list(programs), self.directory / "programs.json")
        pid = process.running(self.keeper)
        if pid:
            os.kill(pid, signal.SIGHUP)
        else:
            process.start(self.keeper)

    def pid(self, program, other_than=None):
        """The pid that it comes to have."""
        assert process.wait_for(lambda: process.running(program) not in (None, other_than), 15), self.words()
        return process.running(program)

    def words(self):
        with open(self.keeper.log) as handle:
            return handle.read()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    process.stop(made.keeper)
    for program in made.programs:
        process.stop(program)


def test_what_is_killed_comes_back(bench):
    sleeper = bench.program("sleeper", "sleep", "300")
    bench.ask_for(sleeper)
    pid = bench.pid(sleeper)
    os.kill(pid, signal.SIGKILL)
    assert bench.pid(sleeper, other_than=pid) != pid


def test_what_dies_at_once_is_tried_again_later_and_later(bench):
    bench.ask_for(bench.program("failing", "sh", "-c", "echo no database; exit 1"))
    assert process.wait_for(lambda: "in 0.8 s" in bench.words(), 15), bench.words()
    assert "Its last words: no database" in bench.words()


def test_a_new_list_starts_and_stops(bench):
    one, two = bench.program("one", "sleep", "300"), bench.program("two", "sleep", "300")
    bench.ask_for(one)
    pid = bench.pid(one)
    bench.ask_for(two)
    bench.pid(two)
    assert process.wait_for(lambda: process.start_time(pid) is None, 15)


def test_killed_and_started_again_it_takes_over(bench):
    sleeper = bench.program("sleeper", "sleep", "300")
    bench.ask_for(sleeper)
    pid = bench.pid(sleeper)
    os.kill(process.running(bench.keeper), signal.SIGKILL)
    assert process.wait_for(lambda: process.running(bench.keeper) is None, 10)
    assert process.running(sleeper) == pid
    process.start(bench.keeper)
    os.kill(pid, signal.SIGKILL)
    assert bench.pid(sleeper, other_than=pid)


def test_its_own_end_ends_nothing_else(bench):
    sleeper = bench.program("sleeper", "sleep", "300")
    bench.ask_for(sleeper)
    pid = bench.pid(sleeper)
    process.stop(bench.keeper)
    assert process.running(sleeper) == pid


def test_it_stays_small(bench):
    bench.ask_for(bench.program("sleeper", "sleep", "300"))
    bench.pid(bench.programs[0])
    with open(f"/proc/{process.running(bench.keeper)}/status") as handle:
        kilobytes = next(int(line.split()[1]) for line in handle if line.startswith("VmRSS:"))
    assert kilobytes < 25_000
