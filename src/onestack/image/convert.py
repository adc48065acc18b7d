"""vmdk, vdi and vhd become qcow2, by `qemu-img convert` as a child with bounds on memory, time and size.

The file was inspected before (formats.py) and its format is named, so QEMU never guesses and never opens another file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from onestack.image.formats import CONVERTED, Unsafe

MEMORY = 2 << 30  # bytes of address space
CPU_SECONDS = 3600
_SLACK = 64 << 20  # bytes of metadata beyond the guest's disk


class ConversionUnavailable(Exception):
    """There is no qemu-img on this machine."""


def to_qcow2(source: Path, disk_format: str, virtual_size: int, target: Path) -> None:
    """`target` is a qcow2 of the disk in `source`, written through to the disk. Raises Unsafe,
    ConversionUnavailable, OSError (the disk is full)."""
    program, limiter = shutil.which("qemu-img"), shutil.which("prlimit")
    if program is None or limiter is None:
        raise ConversionUnavailable(f"{disk_format} images need qemu-img and prlimit on the server's machine")
    limits = [f"--as={MEMORY}", f"--cpu={CPU_SECONDS}", f"--fsize={virtual_size + virtual_size // 1024 + _SLACK}"]
    command = [
        limiter, *limits, "--", program, "convert", "-f", CONVERTED[disk_format], "-O", "qcow2", "-t", "none",
        "-T", "none", str(source), str(target),
    ]  # fmt: skip
    result = _run(command)
    if result.returncode and (b"O_DIRECT" in result.stderr or b"Invalid argument" in result.stderr):
        # A file system without direct I/O (tmpfs).
        result = _run([word if word != "none" else "writeback" for word in command])
    if result.returncode:
        target.unlink(missing_ok=True)
        words = result.stderr.decode("utf-8", "replace").replace(str(source), "the image").replace(str(target), "qcow2")
        if "No space left" in words or "Disk quota" in words:
            raise OSError(28, os.strerror(28))
        raise Unsafe(f"The {disk_format} image can't be converted: {words.strip()[-300:]}")
    with target.open("rb") as handle:
        os.fsync(handle.fileno())


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
