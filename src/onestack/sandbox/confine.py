"""The first thing that runs in a child of the sandbox: gives up everything that the program doesn't need, becomes it.

Where the program is a module of ours instead, it is read before anything is given up, and called afterwards.

A program of its own, and one that imports nothing of ours: between fork and exec of a process with threads nothing but
exec is safe. Steps that the kernel or the caller's rights don't allow are left out, but for those that always work.

Sources: unshare(2), prctl(2), and Landlock's "Userspace documentation" in the kernel's sources.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import pwd
import resource
import signal
import sys
from typing import Any

_NEWUSER, _NEWNET, _NEWIPC = 0x10000000, 0x40000000, 0x08000000
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_BEFORE_REFER, _REFER, _DEVICES = (1 << 13) - 1, 1 << 13, 1 << 15
# What the loader and the C library read. Absent ones are no harm.
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/sys/devices/system/cpu", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """argv: what the sandbox describes, then the program and its arguments, or those of the module's `main`."""
    what: dict[str, Any] = json.loads(sys.argv[1])
    module = _load(what["module"]) if what["module"] else None  # now: afterwards its file can't be read
    for name, value in what["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    _leave_namespaces()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    if _libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        sys.exit("prctl")
    _landlock(what["read"], what["write"])
    # After every change of rights, which would clear it.
    if _libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) or os.getppid() != what["parent"]:
        sys.exit("the parent is gone")
    os.chdir("/")
    os.umask(0o077)
    if module is not None:
        module.main(sys.argv[2:])
        return
    os.execve(sys.argv[2], sys.argv[2:], {"LC_ALL": "C"})  # noqa: S606 (no shell)


def _load(file: str) -> Any:
    """A module that stands on Python's library alone."""
    spec = importlib.util.spec_from_file_location("confined", file)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["confined"] = module
    spec.loader.exec_module(module)
    return module


def _leave_namespaces() -> None:
    """No network. Root may do that as it is, others within a user namespace of their own."""
    flags = _NEWNET | _NEWIPC
    _libc.unshare(flags if os.geteuid() == 0 else flags | _NEWUSER)


def _landlock(read: list[int], write: list[int]) -> None:
    """No file can be opened but the program's own and those that were handed over."""
    version = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    handled = _BEFORE_REFER | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled |= _DEVICES if version >= 5 else 0
    rights = ctypes.c_uint64(handled)
    rules = _libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rights), ctypes.c_size_t(8), 0)
    if rules < 0:
        return
    for path in _SYSTEM:
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _allow(rules, handle, _READ | (_EXECUTE | _LIST if os.path.isdir(path) else 0))
            os.close(handle)
    for number in read:
        _allow(rules, number, _READ)
    for number in write:
        _allow(rules, number, (_READ | _WRITE | _TRUNCATE) & handled)
    if _libc.syscall(_LANDLOCK_RESTRICT, rules, 0):
        sys.exit("landlock")
    os.close(rules)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _allow(rules: int, handle: int, rights: int) -> None:
    rule = _Beneath(rights, handle)
    if _libc.syscall(_LANDLOCK_ADD, rules, _PATH_BENEATH, ctypes.byref(rule), 0):
        sys.exit("landlock")


if __name__ == "__main__":
    main()
