"""Programs without systemd: started once, known again, stopped, never mistaken for somebody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onestack.engines import process
from onestack.engines.health import EngineError
from onestack.engines.process import Program


@pytest.fixture
def program(tmp_path):
    made = Program("sleeper", ("sleep", "300"), str(tmp_path / "sleeper.pid"), str(tmp_path / "sleeper.log"))
    yield made
    process.stop(made)


def test_starts_once_and_in_a_session_of_its_own(program):
    pid = process.start(program)
    assert process.start(program) == pid
    assert os.getsid(pid) == pid != os.getsid(0)


def test_other_words_restart_it(program):
    pid = process.start(program)
    changed = Program("sleeper", ("sleep", "301"), program.pidfile, program.log)
    assert process.start(changed) != pid
    assert process.start_time(pid) is None


def test_other_words_leave_a_shared_program_alone(program):
    pid = process.start(program)
    changed = Program("sleeper", ("sleep", "301"), program.pidfile, program.log, shared=True)
    assert process.start(changed) == pid


def test_a_reused_pid_is_nobody_of_ours(program):
    Path(program.pidfile).write_text(f"{os.getpid()}\n1\n{program.digest}\n")
    assert process.running(program) is None
    process.stop(program)  # would have ended this very test


@pytest.mark.parametrize("text", ["", "x", "12", "999999999\n5\nabc\n"])
def test_a_broken_pid_file_is_no_process(program, text):
    Path(program.pidfile).write_text(text)
    assert process.running(program) is None


def test_stop_insists(tmp_path):
    deaf = "import signal, time\n"
    deaf += "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
    program = Program("deaf", (sys.executable, "-c", deaf), str(tmp_path / "pid"), str(tmp_path / "log"))
    pid = process.start(program)
    assert process.wait_for(lambda: process.last_line(program.log) == "deaf", 10)
    assert process.stop(program, patience=0.2)
    assert process.start_time(pid) is None
    assert not Path(program.pidfile).exists()


def test_a_daemon_that_runs_already_is_taken_over(program, tmp_path):
    with subprocess.Popen(["sleep", "300"]) as other:
        (tmp_path / "own.pid").write_text(f"{other.pid}\n")
        adopting = Program(
            "sleeper", ("sleep", "300"), program.pidfile, program.log, own_pidfile=str(tmp_path / "own.pid")
        )
        # The name in /proc changes a moment after exec() lets the parent go on.
        assert process.wait_for(lambda: process.foreign_pid(adopting.own_pidfile, "sleep"), 5)
        try:
            assert process.start(adopting) == other.pid
        finally:
            other.send_signal(signal.SIGKILL)


def test_somebody_elses_is_watched_left_and_followed_by_ours(program, tmp_path):
    watched = Program("sleeper", ("sleep", "300"), program.pidfile, program.log, own_pidfile=str(tmp_path / "own.pid"))
    process.watch(watched)
    assert process.running(watched) is None
    with subprocess.Popen(["sleep", "300"]) as other:
        (tmp_path / "own.pid").write_text(f"{other.pid}\n")
        assert process.wait_for(lambda: process.foreign_pid(watched.own_pidfile, "sleep"), 5)
        try:
            process.watch(watched)
            assert (process.running(watched), process.ours(watched)) == (other.pid, False)
            assert not process.stop(watched)
            assert process.start_time(other.pid) is not None
            process.watch(watched)
        finally:
            other.send_signal(signal.SIGKILL)
    assert process.start(watched) != other.pid
    process.watch(watched)
    assert process.ours(watched)


def test_a_pid_file_of_another_program_is_not_taken_over(tmp_path):
    (tmp_path / "own.pid").write_text(f"{os.getpid()}\n")
    assert process.foreign_pid(str(tmp_path / "own.pid"), "/usr/sbin/libvirtd") is None


def test_a_link_in_the_place_of_a_log_is_refused(program, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    Path(program.log).symlink_to(target)
    with pytest.raises(EngineError, match="cannot write"):
        process.start(program)
    assert target.read_text() == "precious"


def test_a_program_that_is_not_there_says_so(tmp_path):
    program = Program("none", ("/no/such/program",), str(tmp_path / "pid"), str(tmp_path / "log"))
    with pytest.raises(EngineError, match="cannot start /no/such/program: No such file"):
        process.start(program)


def test_the_list_survives_its_file(tmp_path):
    programs = [Program("a", ("x", "y"), "/p", "/l", user="u", env={"K": "V"}, shared=True)]
    process.save(programs, tmp_path / "programs.json")
    assert process.load(tmp_path / "programs.json") == programs
    assert (tmp_path / "programs.json").stat().st_mode & 0o777 == 0o600


def test_run_names_what_failed():
    with pytest.raises(EngineError, match="is not installed"):
        process.run(["no-such-program-here"])
    with pytest.raises(EngineError, match="No such file"):
        process.run(["ls", "/no/such/file"])
