"""Writer of the "newc" cpio archive that Linux takes as its initramfs.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import stat
from typing import NamedTuple


class Entry(NamedTuple):
    """A member: `name` without a leading slash, `mode` with the type bits, `data` the content or a link's target."""

    name: str
    mode: int
    data: bytes = b""


def directory(name: str) -> Entry:
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(name, stat.S_IFREG | mode, data)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: list[Entry]) -> bytes:
    """The archive, every member owned by root and dated 1970, so that equal entries give equal bytes.

    Device nodes are not needed: the kernel mounts devtmpfs. Directories must stand before what they hold.
    """
    parts = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    parts.append(_member(0, Entry("TRAILER!!!", 0)))
    return b"".join(parts)


def _member(inode: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(header) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
