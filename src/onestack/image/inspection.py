"""The headers of what was uploaded, read in a sandbox: a child that can't do harm even where our reader has a hole."""

from __future__ import annotations

from pathlib import Path

import msgspec

from onestack import sandbox
from onestack.image import formats
from onestack.image.formats import Found, Unsafe
from onestack.sandbox import Limits

# The reader looks at a few MiB at most and needs milliseconds; what needs more than this isn't an image.
_LIMITS = Limits(memory=512 << 20, cpu=20, file_size=0, seconds=60)


class _Verdict(msgspec.Struct):
    format: str = ""
    virtual_size: int = -1
    unsafe: str = ""


def check(file: Path, disk_format: str) -> int:
    """The virtual size of a file that is said to be `disk_format`. Raises Unsafe when it isn't, or isn't safe."""
    return _read(file, disk_format).virtual_size


def detect(file: Path) -> Found:
    """What a file really is. Raises Unsafe when it isn't safe."""
    verdict = _read(file)
    return Found(verdict.format, verdict.virtual_size)


def _read(file: Path, *said: str) -> _Verdict:
    with file.open("rb") as handle:
        ended = sandbox.call(formats, [str(sandbox.seen_as(handle)), *said], _LIMITS, read=[handle])
    try:
        verdict = msgspec.json.decode(ended.output, type=_Verdict)
    except msgspec.DecodeError:
        raise Unsafe(f"The image can't be inspected: {ended.problem or 'its reader failed'}") from None
    if verdict.unsafe or verdict.virtual_size < 0:
        raise Unsafe(verdict.unsafe or "The image can't be inspected")
    return verdict
