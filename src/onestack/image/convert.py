"""vmdk, vdi and vhd become qcow2, by `qemu-img convert` in the sandbox.

The file was inspected before (formats.py). Its format and the driver below it are named, so QEMU never guesses, and a
name in the file isn't taken for a protocol.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from onestack import sandbox
from onestack.image import formats
from onestack.image.formats import CONVERTED, Unsafe
from onestack.sandbox import Ended, Limits

MEMORY = 2 << 30  # bytes of address space
# A small upload may cost little: seconds of a processor, and by the clock, at least and for each mebibyte.
_CPU, _CPU_PER_MIB = 60, 0.1
_SECONDS, _SECONDS_PER_MIB = 300, 1.0
_SLACK = 64 << 20  # bytes of metadata beyond the guest's disk


class ConversionUnavailable(Exception):
    """There is no qemu-img on this machine."""


def to_qcow2(source: Path, disk_format: str, virtual_size: int, target: Path) -> int:
    """`target` is a qcow2 of the disk in `source`, written through to the disk; the size of its disk. Raises Unsafe,
    ConversionUnavailable, OSError (the disk is full)."""
    program = shutil.which("qemu-img")
    if program is None:
        raise ConversionUnavailable(f"{disk_format} images need qemu-img on the server's machine")
    mebibytes = source.stat().st_size >> 20
    limits = Limits(
        memory=MEMORY, cpu=_CPU + int(mebibytes * _CPU_PER_MIB),
        file_size=virtual_size + virtual_size // 1024 + _SLACK, seconds=_SECONDS + mebibytes * _SECONDS_PER_MIB,
    )  # fmt: skip
    whole = False
    try:
        result = _convert(program, limits, source, disk_format, target, "none")
        if result.status and (b"O_DIRECT" in result.errors or b"Invalid argument" in result.errors):
            # A file system without direct I/O (tmpfs).
            result = _convert(program, limits, source, disk_format, target, "writeback")
        if result.status:
            raise _refused(disk_format, result)
        # The guest's disk is as large as QEMU made it, whatever the header of the source said.
        found = formats.inspect(target)
        whole = True
        return found.virtual_size
    finally:
        if not whole:
            target.unlink(missing_ok=True)


def _convert(program: str, limits: Limits, source: Path, disk_format: str, target: Path, cache: str) -> Ended:
    with source.open("rb") as reading, target.open("w+b") as writing:
        given = f"driver={CONVERTED[disk_format]},file.driver=file,file.filename={sandbox.seen_as(reading)}"
        command = [
            program, "convert", "--image-opts", given, "-O", "qcow2", "-t", cache, "-T", cache,
            str(sandbox.seen_as(writing)),
        ]  # fmt: skip
        result = sandbox.run(command, limits, read=[reading], write=[writing])
        os.fsync(writing.fileno())
        return result


def _refused(disk_format: str, result: Ended) -> Exception:
    words = result.words[-300:]
    if "No space left" in words or "Disk quota" in words:
        return OSError(28, os.strerror(28))
    return Unsafe(f"The {disk_format} image can't be converted: {words}")
