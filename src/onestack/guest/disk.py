"""Disk images without root and without loop devices: an MBR, a FAT partition with SYSLINUX, an ext4 root.

Layout, in sectors of 512 bytes: 0 the MBR; 2048 a FAT16 partition with kernel and initramfs; after it an ext4
partition that reaches to the end, so that a guest on a larger disk can grow it in place.
"""

from __future__ import annotations

import os
import secrets
import struct
from pathlib import Path

from onestack.guest.tools import GuestError, run, walk

SECTOR = 512
MIB = 1024 * 1024
FIRST_SECTOR = 2048  # 1 MiB: where every tool since 2010 puts the first partition
TYPE_FAT16 = 0x06
TYPE_LINUX = 0x83
MBR_CODE_SIZE = 440
# Cylinder 1023, head 254, sector 63: "look at the LBA fields instead".
CHS_TOO_LARGE = b"\xfe\xff\xff"

PROGRAMS = {
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "qemu-img": "qemu-utils",
}


def partition_table(boot_mib: int, root_mib: int, code: bytes, signature: bytes) -> bytes:
    """The 512 bytes of the MBR: boot code, the 4-byte disk signature, one active FAT and one Linux partition."""
    if len(code) > MBR_CODE_SIZE or len(signature) != 4:
        raise ValueError("the boot code is at most 440 bytes and the signature is 4")
    boot = _partition(0x80, TYPE_FAT16, FIRST_SECTOR, boot_mib)
    root = _partition(0, TYPE_LINUX, FIRST_SECTOR + boot_mib * MIB // SECTOR, root_mib)
    return code.ljust(MBR_CODE_SIZE, b"\0") + signature + bytes(2) + boot + root + bytes(32) + b"\x55\xaa"


def _partition(active: int, kind: int, start: int, mib: int) -> bytes:
    return struct.pack("<B3sB3sII", active, CHS_TOO_LARGE, kind, CHS_TOO_LARGE, start, mib * MIB // SECTOR)


def make_ext4(
    tree: Path, image: Path, *, mib: int, label: str, owners: dict[str, int] | None = None, journal_mib: int = 4
) -> None:
    """An ext4 file system with the content of `tree`.

    With `owners` (guest path → uid and gid of it and all below) the rest belongs to root, whoever builds it; without,
    files keep their owners. The journal stays: without one, a power cut while the guest grows the file system
    destroys it.
    """
    _sparse(image, mib)
    options = ["-t", "ext4", "-b", "4096", "-m", "0", "-J", f"size={journal_mib}", "-L", label]
    run("mke2fs", "-q", "-F", *options, "-E", "root_owner=0:0,nodiscard", "-d", tree, image)
    if owners is None:
        return
    commands = []
    for path in walk(tree):
        inside = "/" + str(path.relative_to(tree))
        uid = next((uid for top, uid in owners.items() if inside == top or inside.startswith(top + "/")), 0)
        commands += [f"sif {inside} uid {uid}", f"sif {inside} gid {uid}"]
    run("debugfs", "-w", "-f", "/dev/stdin", image, stdin="\n".join(commands).encode())


def make_boot(image: Path, *, mib: int, files: dict[str, bytes], arguments: str) -> None:
    """A FAT16 file system that SYSLINUX boots: `files` must hold vmlinuz and initrd; `arguments` are the kernel's."""
    config = (
        "DEFAULT linux\nPROMPT 0\nTIMEOUT 1\nNOESCAPE 1\nSERIAL 0 115200\n"
        f"LABEL linux\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND {arguments}\n"
    )
    _sparse(image, mib)
    run("mkfs.vfat", "-F", "16", "-h", str(FIRST_SECTOR), "-n", "BOOT", image)
    for name, data in {**files, "syslinux.cfg": config.encode()}.items():
        run("mcopy", "-i", image, "-", f"::/{name}", stdin=data)
    run("syslinux", "--install", image)


def assemble(boot: Path, root: Path, raw: Path) -> None:
    """Put the two partitions, sizes in whole MiB, behind an MBR into one sparse raw file."""
    boot_mib, root_mib = boot.stat().st_size // MIB, root.stat().st_size // MIB
    start = FIRST_SECTOR * SECTOR // MIB
    table = partition_table(boot_mib, root_mib, _boot_code(), secrets.token_bytes(4))
    with raw.open("wb") as disk:
        disk.truncate((start + boot_mib + root_mib) * MIB)
        disk.write(table)
        for source, offset in ((boot, start), (root, start + boot_mib)):
            _copy_sparse(source, disk.fileno(), offset * MIB)


def to_qcow2(raw: Path, output: Path, *, compress: bool = True) -> None:
    """Convert, then move into place at once: a reader sees the old image or the whole new one."""
    partial = raw.with_suffix(".qcow2")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *(["-c"] if compress else []), raw, partial)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(output)


def _boot_code() -> bytes:
    for candidate in ("/usr/lib/syslinux/mbr/mbr.bin", "/usr/lib/SYSLINUX/mbr.bin"):
        path = Path(candidate)
        if path.exists():
            return path.read_bytes()[:MBR_CODE_SIZE]
    raise GuestError("missing Debian packages: syslinux-common (apt-get install syslinux-common)")


def _sparse(image: Path, mib: int) -> None:
    with image.open("wb") as handle:
        handle.truncate(mib * MIB)


def _copy_sparse(source: Path, target: int, offset: int) -> None:
    """Copy all but the blocks of zeros; the target is already of zeros."""
    with source.open("rb") as handle:
        while block := handle.read(64 * 1024):
            if block.strip(b"\0"):
                os.pwrite(target, block, offset)
            offset += len(block)
