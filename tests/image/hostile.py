"""Image files as an attacker makes them, byte by byte, without any tool."""

from __future__ import annotations

import struct

CLUSTER = 1 << 16
MIB = 1 << 20
SECRET = b"/etc/passwd"


def qcow2(
    *, version: int = 3, backing: bytes = b"", features: int = 0, data_file: bytes = b"", size: int = MIB,
    entries: int = 1, bits: int = 16,
) -> bytes:  # fmt: skip
    """An empty disk that QEMU opens, with what is asked for beside."""
    extensions = b""
    if data_file:
        extensions += struct.pack(">II", 0x44415441, len(data_file)) + data_file.ljust(
            -(-len(data_file) // 8) * 8, b"\0"
        )
    extensions += struct.pack(">II", 0, 0)
    length = 104 if version == 3 else 72
    where = length + len(extensions) if backing else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        where,
        len(backing),
        bits,
        size,
        0,
        entries,
        3 * CLUSTER,
        CLUSTER,
        1,
        0,
        0,
    )
    if version == 3:
        header += struct.pack(">QQQII", features, 0, 0, 4, 104)
    first = (header + extensions + backing).ljust(CLUSTER, b"\0")
    references = struct.pack(">Q", 2 * CLUSTER).ljust(CLUSTER, b"\0")
    counts = struct.pack(">4H", 1, 1, 1, 1).ljust(CLUSTER, b"\0")
    return first + references + counts + b"\0" * CLUSTER


DESCRIPTOR = (
    b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\n\n'
    b'RW 16384 SPARSE "disk"\n\n#DDB\nddb.adapterType = "ide"\n'
)


def vmdk(
    descriptor: bytes = DESCRIPTOR, *, capacity: int = 16384, where: int = 1, length: int = 20, directory: int = 32,
    also: tuple[int, bytes] = (0, b""),
) -> bytes:  # fmt: skip
    """A sparse extent with its descriptor; `also` is written over it at last."""
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 1, 1, capacity, 128, where, length, 512, 0, directory, 64, 0, b"\n \r\n", 0
    )
    whole = bytearray(header.ljust(64 * 512, b"\0"))
    whole[where * 512 : where * 512 + len(descriptor)] = descriptor
    at, what = also
    whole[at : at + len(what)] = what
    return bytes(whole)


def vdi(*, kind: int = 1, size: int = MIB, parent: bytes = b"", blocks: int | None = None) -> bytes:
    blocks = size // MIB if blocks is None else blocks
    header = bytearray(1024)
    header[0:40] = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
    struct.pack_into("<IIIII", header, 0x40, 0xBEDA107F, 0x00010001, 0x190, kind, 0)
    struct.pack_into("<II", header, 0x154, 512, 1024)
    struct.pack_into("<IIQIIII", header, 0x168, 512, 0, size, MIB, 0, blocks, 0)
    header[0x188:0x198] = b"u" * 16
    header[0x1B8 : 0x1B8 + len(parent)] = parent
    return bytes(header) + b"\xff" * 512


def vhd_footer(*, kind: int = 2, size: int = MIB, application: bytes = b"qem2", chs: int = 0) -> bytes:
    footer = struct.pack(
        ">8sIIQI4sI4sQQII", b"conectix", 2, 0x10000, (1 << 64) - 1, 0, application, 1, b"Wi2k", size, size, chs, kind
    ).ljust(512, b"\0")
    checksum = ~sum(footer) & 0xFFFFFFFF
    return footer[:64] + struct.pack(">I", checksum) + footer[68:]


def vhd(**what: int) -> bytes:
    """A fixed disk."""
    return b"\0" * MIB + vhd_footer(**what)  # type: ignore[arg-type]


def iso(beginning: bytes = b"") -> bytes:
    return beginning.ljust(0x8000, b"\0")[:0x8000] + b"\x01CD001\x01" + b"\0" * 4000


EVERY = {"qcow2": qcow2(), "vmdk": vmdk(), "vdi": vdi(), "vhd": vhd(), "iso": iso()}
"""What is no attack, by Glance's name of the format."""

_PARENT = DESCRIPTOR + b'parentFileNameHint="' + SECRET + b'"\n'


def extent(line: bytes, kind: bytes = b"monolithicFlat") -> bytes:
    return DESCRIPTOR.replace(b'RW 16384 SPARSE "disk"', line).replace(b"monolithicSparse", kind)


ATTACKS: dict[str, tuple[str, bytes, str]] = {
    # CVE-2015-5163, CVE-2015-1850, CVE-2015-1851, CVE-2024-40767: a backing file
    "qcow2-backing": ("qcow2", qcow2(backing=SECRET), "backing file"),
    "qcow2-backing-v2": ("qcow2", qcow2(version=2, backing=SECRET), "backing file"),
    "qcow2-backing-json": ("qcow2", qcow2(backing=b'json:{"driver":"raw"}'), "backing file"),
    "qcow2-backing-nbd": ("qcow2", qcow2(backing=b"nbd://127.0.0.1:22/"), "backing file"),
    # CVE-2024-32498: an external data file, by the feature and by the name alone
    "qcow2-data-file": ("qcow2", qcow2(features=4, data_file=SECRET), "external data file"),
    "qcow2-data-name": ("qcow2", qcow2(data_file=b'json:{"driver":"raw"}'), "external data file"),
    "qcow2-unknown": ("qcow2", qcow2(features=1 << 40), "unknown features"),
    # CVE-2015-5162: sizes that keep qemu-img busy or fill its memory
    "qcow2-huge": ("qcow2", qcow2(size=1 << 62), "more than is allowed"),
    "qcow2-table": ("qcow2", qcow2(entries=(1 << 32) - 1), "truncated"),
    "qcow2-cluster": ("qcow2", qcow2(bits=63), "cluster"),
    "vmdk-huge": ("vmdk", vmdk(capacity=1 << 60), "more than is allowed"),
    "vdi-huge": ("vdi", vdi(size=1 << 62, blocks=1), "more than is allowed"),
    "vhd-huge": ("vhd", vhd(size=1 << 62), "more than is allowed"),
    # CVE-2022-47951: extents that are other files, the descriptor alone or within a sparse file
    "vmdk-flat": ("vmdk", extent(b'RW 1 FLAT "/etc/passwd" 0'), "elsewhere"),
    "vmdk-comment": ("vmdk", b"# hello\n \n" + extent(b'RW 1 FLAT "/etc/passwd" 0'), "elsewhere"),
    "vmdk-flat-inside": ("vmdk", vmdk(extent(b'RW 1 FLAT "/etc/passwd" 0')), "type monolithicFlat"),
    "vmdk-named-right": ("vmdk", vmdk(extent(b'RW 1 FLAT "/etc/passwd" 0', b"monolithicSparse")), "extents"),
    "vmdk-two-extents": ("vmdk", vmdk(DESCRIPTOR + b'RW 1 FLAT "/etc/passwd" 0\n'), "extents"),
    "vmdk-no-capacity": ("vmdk", vmdk(extent(b'RW 1 FLAT "/etc/passwd" 0'), capacity=0), "capacity"),
    "vmdk-esx": ("vmdk", b"COWD" + b"\0" * 2048, "elsewhere"),
    "vmdk-parent": ("vmdk", vmdk(_PARENT), "parent"),
    # QEMU looks for a parent where it expects the descriptor, not where the header says that it is
    "vmdk-descriptor-elsewhere": ("vmdk", vmdk(where=25, also=(512, _PARENT)), "descriptor"),
    "vmdk-parent-in-a-line": ("vmdk", vmdk(DESCRIPTOR + b'x=parentFileNameHint="/etc/passwd"\n'), "parent"),
    "vmdk-two-headers": ("vmdk", vmdk(directory=(1 << 64) - 1), "at its end"),
    "vdi-difference": ("vdi", vdi(kind=4), "difference"),
    "vdi-parent": ("vdi", vdi(parent=b"p" * 16), "parent"),
    "vhd-difference": ("vhd", vhd(kind=4), "neither fixed nor dynamic"),
    # CVE-2026-24708, CVE-2024-44082, CVE-2013-1922: what is called raw would be opened as something else
    "raw-is-qcow2": ("raw", qcow2(backing=SECRET), "backing file"),
    "raw-is-plain-qcow2": ("raw", qcow2(), "does not match stream data qcow2"),
    "raw-is-vmdk": ("raw", extent(b'RW 1 FLAT "/etc/passwd" 0'), "elsewhere"),
    "raw-is-vhd": ("raw", vhd(), "does not match stream data vhd"),
    "raw-is-qed": ("raw", b"QED\0" + b"\0" * 4096, "qed"),
    "qcow2-is-raw": ("qcow2", b"\0" * 4096, "does not match stream data raw"),
    # files that are two things
    "iso-and-qcow2": ("iso", iso(qcow2(backing=SECRET)), "Multiple formats"),
    "iso-and-vmdk": ("iso", iso(vmdk()), "Multiple formats"),
    "qcow2-and-vhd": ("qcow2", qcow2() + vhd_footer(), "Multiple formats"),
    "qcow2-and-iso": ("qcow2", qcow2()[:0x8000] + iso()[0x8000:], "Multiple formats"),
}
"""Name → what the image is said to be, its bytes, and words of the refusal."""
