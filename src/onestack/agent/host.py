"""What the machine is, as HostReport wants it: figures from /proc and the file system."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

PROC = Path("/proc")


def boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def memory_mb() -> tuple[int, int]:
    """(total, used) in MiB; what could be freed at once counts as free."""
    values = {}
    for line in (PROC / "meminfo").read_text().splitlines():
        name, _colon, rest = line.partition(":")
        values[name] = int(rest.split()[0]) // 1024
    return values["MemTotal"], values["MemTotal"] - values.get("MemAvailable", values["MemFree"])


def disk_gb(path: Path) -> tuple[int, int, int]:
    """(total, used, free) of the file system of `path` in GiB."""
    usage = shutil.disk_usage(path)
    return usage.total // 2**30, usage.used // 2**30, usage.free // 2**30


def address() -> str:
    """The address that this host would speak from to the outside. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def vcpus() -> int:
    return len(os.sched_getaffinity(0))
