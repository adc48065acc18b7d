"""Images of every kind that Tempest's ImagesFormatTest uploads, and a manifest that says which may be accepted.

Names, formats and verdicts are those of OpenStack's project os-test-images. An image for which this machine has no
program is left out. `python3 tests/tempest/images.py DIRECTORY` makes them. Standard library only.

Sources: VMware's "Virtual Disk Format 5.0" for the footer, the UEFI specification (chapter 5) for GPT.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MANIFEST = "manifest.yaml"
DISK = "10M"
MEBIBYTE = 1 << 20
SECTOR = 512


class Unsupported(Exception):
    """This machine can't make the image."""


class Kind(NamedTuple):
    name: str
    format: str
    usable: bool  # Glance takes it
    insecure: bool  # nobody may take it
    make: Callable[[Path], None]

    @property
    def filename(self) -> str:
        return f"{self.name}.{self.format}"


def _run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unsupported(f"{words[0]}: {done.stderr.strip()}")


def _disk(kind: str, *options: str) -> Callable[[Path], None]:
    return lambda file: _run("qemu-img", "create", "-q", "-f", kind, *options, file, DISK)


def _with_data_file(file: Path) -> None:
    """Its data would be beside it, and isn't."""
    data = file.with_name("data-of-its-own")
    _disk("qcow2", "-o", f"data_file={data},data_file_raw=on")(file)
    data.unlink()


def _blank(file: Path) -> None:
    file.write_bytes(bytes(MEBIBYTE))


def _gpt(file: Path) -> None:
    """A protective MBR, and a table of no partitions at both ends."""
    last = MEBIBYTE // SECTOR - 1
    entries = bytes(128 * 128)
    disk = bytearray(MEBIBYTE)
    disk[446:462] = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, last)
    disk[510:512] = b"\x55\xaa"
    for here, other, table in ((1, last, 2), (last, 1, last - 32)):
        fields = (here, other, 34, last - 33, bytes(range(16)), table, 128, 128, zlib.crc32(entries))
        header = b"EFI PART" + struct.pack("<IIIIQQQQ16sQIII", 0x10000, 92, 0, 0, *fields)
        header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
        disk[here * SECTOR : here * SECTOR + len(header)] = header
    file.write_bytes(disk)


def _iso(*options: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        program = next(filter(None, map(shutil.which, ("genisoimage", "mkisofs", "xorrisofs"))), None)
        if program is None:
            raise Unsupported("genisoimage is not installed")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "hello.txt").write_text("hello\n")
            _run(program, "-quiet", *options, "-V", file.stem[:32], "-o", file, folder)

    return make


def _iso_that_begins_as_qcow2(file: Path) -> None:
    """ISO 9660 leaves its first 32 KiB to others."""
    _iso()(file)
    disk = file.with_suffix(".part")
    _disk("qcow2")(disk)
    beginning = disk.read_bytes()[: 32 << 10]
    disk.unlink()
    with file.open("r+b") as handle:
        handle.write(beginning)


def _flat(other: str = "") -> Callable[[Path], None]:
    """A text that says where the data is: in a file that isn't there, or in `other`."""

    def make(file: Path) -> None:
        _disk("vmdk", "-o", "subformat=monolithicFlat")(file)
        data = file.with_name(f"{file.stem}-flat.vmdk")
        data.unlink()
        if other:
            file.write_text(file.read_text().replace(data.name, other))

    return make


def _sparse_that_points_elsewhere(file: Path) -> None:
    """The descriptor within it names another file as its extent."""
    _disk("vmdk", "-o", "subformat=monolithicSparse")(file)
    whole = file.read_bytes()
    descriptor = whole[SECTOR : 21 * SECTOR]
    changed = descriptor.replace(file.name.encode(), b"/etc/hosts").ljust(len(descriptor), b"\0")
    assert changed != descriptor
    file.write_bytes(whole[:SECTOR] + changed + whole[21 * SECTOR :])


def _with_footer(file: Path) -> None:
    """The header says that its copy at the end counts: a marker, the copy, the end of the stream."""
    _disk("vmdk", "-o", "subformat=monolithicSparse")(file)
    whole = bytearray(file.read_bytes())
    whole += bytes(-len(whole) % SECTOR)
    marker = struct.pack("<QII", 1, 0, 3).ljust(SECTOR, b"\0")
    footer = bytes(whole[:SECTOR])
    whole[56:64] = b"\xff" * 8
    file.write_bytes(whole + marker + footer + bytes(SECTOR))


KINDS = (
    Kind("standard-qcow2v3", "qcow2", True, False, _disk("qcow2", "-o", "compat=1.1")),
    Kind("qcow-with-backing", "qcow2", False, True, _disk("qcow2", "-u", "-F", "raw", "-b", "/etc/hosts")),
    Kind("qcow-with-datafile", "qcow2", False, True, _with_data_file),
    Kind("raw-blank", "raw", True, False, _blank),
    Kind("gpt-blank", "gpt", True, False, _gpt),
    Kind("standard", "qed", False, False, _disk("qed")),
    Kind("standard-iso9660", "iso", True, False, _iso()),
    Kind("standard-udf", "iso", True, False, _iso("-udf")),
    Kind("iso-with-qcow2-in-system", "iso", False, True, _iso_that_begins_as_qcow2),
    Kind("vmdk-monolithicSparse", "vmdk", True, False, _disk("vmdk", "-o", "subformat=monolithicSparse")),
    Kind("vmdk-streamOptimized", "vmdk", True, False, _disk("vmdk", "-o", "subformat=streamOptimized")),
    Kind("vmdk-monolithicFlat", "vmdk", False, False, _flat()),
    Kind("vmdk-monolithicFlat-leak", "vmdk", False, True, _flat("/etc/hosts")),
    Kind("vmdk-sparse-with-url-backing", "vmdk", False, True, _sparse_that_points_elsewhere),
    Kind("vmdk-sparse-with-footer", "vmdk", True, False, _with_footer),
)


def make_all(folder: Path) -> tuple[Path, list[str]]:
    """The manifest's file, and a line for each image that was left out. JSON is YAML as well."""
    folder.mkdir(parents=True, exist_ok=True)
    made, missing = [], []
    for kind in KINDS:
        file = folder / kind.filename
        file.unlink(missing_ok=True)
        try:
            kind.make(file)
        except (Unsupported, FileNotFoundError) as problem:
            missing.append(f"no image {kind.filename}: {problem}")
            continue
        made.append({name: getattr(kind, name) for name in ("name", "format", "filename", "usable", "insecure")})
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"images": made}, indent=1))
    return manifest, missing


if __name__ == "__main__":
    written, left_out = make_all(Path(sys.argv[1]))
    print(written, *left_out, sep="\n")
