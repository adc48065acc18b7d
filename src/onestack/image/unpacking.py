"""One file out of an archive, unpacked as hostile input: gzip, and zip with exactly one file in it.

`main` runs in a sandbox (plugins.py), so this stands on Python's library alone. Names in an archive are never used,
what comes out is bounded, and only one layer is taken off.

Source: which archives there are, by which bytes they are known and what is refused: Glance's plug-in
image_decompression. Formats: RFC 1952 for gzip, PKWARE's APPNOTE for zip.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

GZIP, ZIP, LHA = "gzip", "zip", "lha"
_MAGIC = ((ZIP, 0, b"PK\x03\x04"), (LHA, 2, b"-lh"), (GZIP, 0, b"\x1f\x8b\x08"))
_CHUNK = 1 << 20  # bytes that are unpacked at once


class Refused(Exception):
    """The archive is refused; the message is for the user."""


class TooLarge(Exception):
    """There is more in it than may come out."""


def kind_of(file: Path) -> str | None:
    """Which kind of archive a file is; None: it is none that is known."""
    with file.open("rb") as handle:
        head = handle.read(8)
    return next((kind for kind, offset, magic in _MAGIC if head.startswith(magic, offset)), None)


def unpack(kind: str, source: Path, target: Path, most: int) -> int:
    """`target` is what is in the archive; its size. Raises Refused, TooLarge, OSError."""
    with target.open("wb") as writing:
        try:
            if kind == GZIP:
                with gzip.open(source) as reading:
                    return _copy(reading, writing, most)
            with zipfile.ZipFile(source) as archive:
                members = archive.infolist()
                if len(members) != 1:
                    raise Refused("Archive contains more than one file." if members else "Archive contains no file.")
                if members[0].is_dir():
                    raise Refused("Archive contains a directory instead of a file.")
                with archive.open(members[0]) as member:
                    return _copy(member, writing, most)
        except (Refused, TooLarge, MemoryError):
            raise
        except OSError as error:
            if error.errno is not None:
                raise  # of the disk
            raise Refused(f"Bad {kind} file: {error}") from error
        except Exception as error:  # the library's readers raise much, for files that nobody foresaw
            raise Refused(f"Bad {kind} file: {error}") from error


def _copy(reading: Any, writing: BinaryIO, most: int) -> int:
    size = 0
    while chunk := reading.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise TooLarge
        writing.write(chunk)
    return size


def main(arguments: list[str]) -> None:
    """Kind, source, target and how many bytes may come out; the verdict as JSON."""
    kind, source, target, most = arguments
    verdict: dict[str, Any]
    try:
        verdict = {"size": unpack(kind, Path(source), Path(target), int(most))}
    except Refused as error:
        verdict = {"refused": str(error)[:300]}
    except TooLarge:
        verdict = {"too_large": True}
    except OSError as error:
        verdict = {"errno": error.errno}
    except MemoryError:
        verdict = {"refused": f"Bad {kind} file: it needs too much memory to be read"}
    print(json.dumps(verdict))
