"""An empty disk as a qcow2 file, without QEMU's tools. Source: QEMU's docs/interop/qcow2.rst."""

from __future__ import annotations

import struct

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_MAGIC = b"QFI\xfb"
_HEADER = ">4sIQIIQIIQQIIQQQQII"  # version 3, up to the length of the header
_HEADER_BYTES = struct.calcsize(_HEADER)
_REFCOUNT_ORDER = 4  # 16 bits each
_REFCOUNTS = _CLUSTER * 8 >> _REFCOUNT_ORDER  # in one block
_PER_L2 = _CLUSTER // 8 * _CLUSTER  # bytes of the disk that one entry of the L1 table stands for


def empty(virtual_size: int) -> bytes:
    """A disk of zeros; `virtual_size` in bytes is rounded up to sectors. Of at most 8 PiB."""
    virtual_size = -(-virtual_size // 512) * 512
    entries = -(-virtual_size // _PER_L2)
    table = max(-(-entries * 8 // _CLUSTER), 1)
    used = 3 + table  # the header, the refcount table, one block of refcounts, the L1 table
    if used > _REFCOUNTS:
        raise ValueError(f"a disk of {virtual_size} bytes is too large")
    header = struct.pack(
        _HEADER, _MAGIC, 3, 0, 0, _CLUSTER_BITS, virtual_size, 0, entries, 3 * _CLUSTER, _CLUSTER, 1, 0, 0, 0, 0, 0,
        _REFCOUNT_ORDER, _HEADER_BYTES,
    )  # fmt: skip
    refcounts = struct.pack(">H", 1) * used
    parts = (header, struct.pack(">Q", 2 * _CLUSTER), refcounts)
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in parts) + bytes(table * _CLUSTER)
