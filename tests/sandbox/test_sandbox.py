"""The child that reads strangers' files: what it can't do, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onestack import sandbox
from onestack.sandbox import Limits, confine

LIMITS = Limits(memory=1 << 30, cpu=20, file_size=1 << 20, seconds=60)
PYTHON = "/usr/bin/python3"
needs_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason="no Python of the system's")
needs_landlock = pytest.mark.skipif(
    confine._libc.syscall(confine._LANDLOCK_CREATE, None, confine.ctypes.c_size_t(0), 1) < 1, reason="no Landlock"
)
pytestmark = needs_python


def python(code: str, limits: Limits = LIMITS, **files):
    return sandbox.run([PYTHON, "-I", "-S", "-c", code], limits, **files)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    for _ in range(500):
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_output_status_and_an_empty_environment():
    ended = python("import os, sys; print(sorted(os.environ)); sys.stderr.write('words'); sys.exit(3)")
    assert (ended.status, ended.errors, ended.problem) == (3, b"words", "")
    assert ended.output == b"['LC_ALL']\n"


def test_it_is_nobody_without_rights():
    ended = python(
        "import ctypes, os\n"
        "print(os.getuid() == 0, os.getgroups(), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))"  # PR_GET_NO_NEW_PRIVS
    )
    assert ended.output.startswith(b"False"), ended
    assert ended.output.endswith(b" 1\n")


@needs_landlock
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "/etc", "/tmp"])
def test_other_files_are_not_there(path):
    opened = python(f"import os; os.open({path!r}, os.O_RDONLY)")
    assert (opened.status, b"PermissionError" in opened.errors) == (1, True)


@needs_landlock
def test_it_writes_nowhere(tmp_path):
    tmp_path.chmod(0o777)
    assert b"PermissionError" in python(f"open({str(tmp_path / 'new')!r}, 'w')").errors
    assert list(tmp_path.iterdir()) == []


def test_it_has_the_files_that_it_was_given(tmp_path):
    (tmp_path / "in").write_bytes(b"text")
    with (tmp_path / "in").open("rb") as reading, (tmp_path / "out").open("w+b") as writing:
        before = os.fstat(reading.fileno()).st_uid
        source, target = sandbox.seen_as(reading), sandbox.seen_as(writing)
        copy = f"open('{target}', 'wb').write(open('{source}', 'rb').read())"
        assert python(copy, read=[reading], write=[writing]).status == 0
        assert b"PermissionError" in python(f"open('{source}', 'r+b')", read=[reading]).errors
        assert os.fstat(reading.fileno()).st_uid == before
    assert (tmp_path / "out").read_bytes() == b"text"


def test_what_others_use_as_well_is_read_and_not_lent(tmp_path):
    (tmp_path / "base").write_bytes(b"text")
    (tmp_path / "base").chmod(0o644)
    with (tmp_path / "base").open("rb") as shared:
        where = sandbox.seen_as(shared)
        ended = python(f"import os; print(os.stat('{where}').st_uid, open('{where}').read())", shared=[shared])
        assert ended.output.split() == [str(os.getuid()).encode(), b"text"], ended
        assert b"PermissionError" in python(f"open('{where}', 'r+b')", shared=[shared]).errors


def test_it_ends_when_nobody_wants_it_any_more():
    answers = iter([False, False, True])
    ended = python("import time; time.sleep(100)", cancelled=lambda: next(answers))
    assert (ended.status, ended.problem) == (-signal.SIGKILL, "it was cancelled")
    assert python("print(1)", cancelled=lambda: False).output == b"1\n"


def test_there_is_no_network():
    listening = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()"
    assert python(listening + "; socket.create_connection(s.getsockname(), 2)").status == 1


@pytest.mark.parametrize(
    ("code", "limits", "problem"),
    [
        ("import time; time.sleep(100)", LIMITS._replace(seconds=0.3), "it took too long"),
        (
            "import os, time; os.close(1); os.close(2); time.sleep(100)",
            LIMITS._replace(seconds=0.5),
            "it took too long",
        ),
        ("while True: pass", LIMITS._replace(cpu=1), "it took too"),
        ("while True: print('x' * 1000)", LIMITS, "it said too much"),
    ],
)
def test_bounds_end_it(code, limits, problem):
    ended = python(code, limits)
    assert problem in ended.problem
    assert ended.status < 0
    assert len(ended.output) <= 64 << 10


def test_memory_files_and_handles_are_bounded(tmp_path):
    assert b"MemoryError" in python("x = bytearray(1 << 31)").errors
    assert b"Too many open files" in python("import os; [os.open('/dev/urandom', 0) for _ in range(99)]").errors
    with (tmp_path / "out").open("w+b") as writing:
        code = f"open('{sandbox.seen_as(writing)}', 'wb').write(b'x' * (2 << 20))"
        ended = python("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n" + code, write=[writing])
        assert (ended.status, ended.problem) == (-signal.SIGXFSZ, "it grew too large")
    assert (tmp_path / "out").stat().st_size <= LIMITS.file_size


def test_its_children_end_with_it():
    ended = python(
        "import os, time\n"
        "if (child := os.fork()) == 0:\n"
        "    os.close(1), os.close(2)\n"
        "    time.sleep(100)\n"
        "print(child)"
    )
    assert ended.status == 0
    assert gone(int(ended.output))


def test_a_killed_server_leaves_no_child(tmp_path):
    note = tmp_path / "pid"
    server = (
        "from onestack import sandbox\n"
        f"with open({str(note)!r}, 'w+b') as note:\n"
        "    where = sandbox.seen_as(note)\n"
        "    code = f'import os, time; open({str(where)!r}, \"w\").write(str(os.getpid())); time.sleep(100)'\n"
        f"    command = [{PYTHON!r}, '-I', '-S', '-c', code]\n"
        "    sandbox.run(command, sandbox.Limits(1 << 30, 20, 1 << 20, 60), write=[note])\n"
    )
    environment = {"PYTHONPATH": str(Path(sandbox.__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", server], env=environment)
    try:
        while not (note.exists() and note.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        child = int(note.read_text())
        assert alive(child)
    finally:
        process.kill()
        process.wait(30)
    assert gone(child)
