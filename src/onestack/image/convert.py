"""Disk images in another format, by `qemu-img convert` in the sandbox.

vmdk, vdi and vhd become the qcow2 that servers are made from; an import makes of an image what the operator wants
(plugins.py). The file was inspected before (formats.py). Its format and the driver below it are named, so QEMU never
guesses, and a name in the file isn't taken for a protocol.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from onestack import sandbox
from onestack.image import formats
from onestack.image.formats import Unsafe
from onestack.sandbox import Ended, Limits

# By Glance's name → QEMU's.
DRIVERS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}

MEMORY = 2 << 30  # bytes of address space
# A small upload may cost little: seconds of a processor, and by the clock, at least and for each mebibyte.
_CPU, _CPU_PER_MIB = 60, 0.1
_SECONDS, _SECONDS_PER_MIB = 300, 1.0
_SLACK = 64 << 20  # bytes of metadata beyond the guest's disk


class ConversionUnavailable(Exception):
    """There is no qemu-img on this machine."""


class Stopped(Exception):
    """Somebody changed their mind while it ran."""


def available() -> bool:
    return shutil.which("qemu-img") is not None


def to_qcow2(source: Path, disk_format: str, virtual_size: int, target: Path) -> int:
    """`target` is a qcow2 of the disk in `source`, written through to the disk; the size of its disk. Raises Unsafe,
    ConversionUnavailable, OSError (the disk is full)."""
    whole = False
    try:
        try:
            convert(source, disk_format, target, "qcow2", most_bytes(virtual_size))
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            raise Unsafe(f"The {disk_format} image can't be converted: {sandbox.TOO_LARGE}") from None
        # The guest's disk is as large as QEMU made it, whatever the header of the source said.
        found = formats.inspect(target)
        whole = True
        return found.virtual_size
    finally:
        if not whole:
            target.unlink(missing_ok=True)


def most_bytes(virtual_size: int) -> int:
    """Of any file that describes a disk of that size."""
    return virtual_size + virtual_size // 1024 + _SLACK


def convert(
    source: Path, disk_format: str, target: Path, output: str, most: int,
    cancelled: Callable[[], bool] | None = None,
) -> None:  # fmt: skip
    """`target` is the disk of `source` in the format `output`, of at most so many bytes, written through to the disk.
    Formats have Glance's names. Raises Unsafe, ConversionUnavailable, Stopped, OSError (no room, or `most` is less than
    it needs); then `target` is whatever it has become."""
    program = shutil.which("qemu-img")
    if program is None:
        raise ConversionUnavailable(f"{disk_format} images need qemu-img on the server's machine")
    mebibytes = source.stat().st_size >> 20
    limits = Limits(
        memory=MEMORY, cpu=_CPU + int(mebibytes * _CPU_PER_MIB), file_size=most,
        seconds=_SECONDS + mebibytes * _SECONDS_PER_MIB,
    )  # fmt: skip
    drivers = DRIVERS[disk_format], DRIVERS[output]
    result = _convert(program, limits, source, target, drivers, "none", cancelled)
    if result.status and (b"O_DIRECT" in result.errors or b"Invalid argument" in result.errors):
        # A file system without direct I/O (tmpfs).
        result = _convert(program, limits, source, target, drivers, "writeback", cancelled)
    if result.status:
        raise _refused(disk_format, result)


def _convert(
    program: str, limits: Limits, source: Path, target: Path, drivers: tuple[str, str], cache: str,
    cancelled: Callable[[], bool] | None,
) -> Ended:  # fmt: skip
    with source.open("rb") as reading, target.open("w+b") as writing:
        given = f"driver={drivers[0]},file.driver=file,file.filename={sandbox.seen_as(reading)}"
        command = [
            program, "convert", "--image-opts", given, "-O", drivers[1], "-t", cache, "-T", cache,
            str(sandbox.seen_as(writing)),
        ]  # fmt: skip
        result = sandbox.run(command, limits, read=[reading], write=[writing], cancelled=cancelled)
        os.fsync(writing.fileno())
        return result


def _refused(disk_format: str, result: Ended) -> Exception:
    words = result.words[-300:]
    if result.problem == sandbox.CANCELLED:
        return Stopped()
    if "No space left" in words or "Disk quota" in words:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "File too large" in words or result.problem == sandbox.TOO_LARGE:
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return Unsafe(f"The {disk_format} image can't be converted: {words}")
