"""A full Debian with the real cloud-init, from a Debian mirror by mmdebstrap.

It takes some minutes and 2 GB beside the output, and needs root (mmdebstrap makes a file system of many owners).
Boots from BIOS like `mini`; the user is `debian`, without a password.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from onestack.guest import disk
from onestack.guest.tools import GuestError, Progress, require, run, silent, walk, workshop

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
LABEL = "debian-root"
ARGUMENTS = f"root=LABEL={LABEL} ro console=tty1 console=ttyS0 quiet net.ifnames=0"
FILES = Path(__file__).parent / "files" / "debian"
BOOT_MIB = 96

# Debian packages that `build` needs on this machine.
PACKAGES = sorted({"mmdebstrap", "syslinux-common", *disk.PROGRAMS.values()})
# Debian packages in the image.
INSIDE = [
    "linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "cloud-init", "cloud-guest-utils",
    "openssh-server", "sudo", "iproute2", "iputils-ping", "netcat-openbsd", "curl", "isc-dhcp-client", "ifupdown",
    "fdisk", "gdisk", "e2fsprogs", "ca-certificates",
]  # fmt: skip
LEAN = ("man", "doc", "locale", "info")


def build(output: Path, *, suite: str = SUITE, mirror: str = MIRROR, progress: Progress | None = None) -> Path:
    """Build the image into the qcow2 file `output` and return it. Raises GuestError, with `output` as it was."""
    say = progress or silent
    say("looking for the programs", 0.0)
    if os.geteuid() != 0:
        raise GuestError("building the Debian image needs root (the mini image does not)")
    require({**disk.PROGRAMS, "mmdebstrap": "mmdebstrap"})
    with workshop(output) as work:
        say(f"installing Debian {suite} with mmdebstrap", 0.02)
        archive = work / "root.tar"
        run(*mmdebstrap(archive, suite, mirror))
        say("unpacking", 0.7)
        tree = work / "root"
        with tarfile.open(archive) as tar:
            # Said in the way that Python 3.11 before .4 takes too, which knows no filters and trusts anyway.
            tar.extraction_filter = lambda member, _path: member
            tar.extractall(tree, numeric_owner=True)  # noqa: S202 - made by us just now
        archive.unlink()
        say("making the partitions", 0.75)
        files = {"vmlinuz": _only(tree, "vmlinuz-*"), "initrd": _only(tree, "initrd.img-*")}
        disk.make_ext4(tree, work / "root.ext4", mib=_room(tree), label=LABEL, journal_mib=32)
        disk.make_boot(work / "boot.fat", mib=BOOT_MIB, files=files, arguments=ARGUMENTS)
        disk.assemble(work / "boot.fat", work / "root.ext4", work / "debian.raw")
        say("compressing", 0.85)
        disk.to_qcow2(work / "debian.raw", output)
    say("done", 1.0)
    return output


def mmdebstrap(archive: Path, suite: str, mirror: str) -> list[str]:
    """The command that fills `archive`. What differs from plain Debian is in files/debian, copied over it."""
    sources = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
    sources.append(f"deb {mirror.rstrip('/')}-security {suite}-security main")
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(INSIDE)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEAN),
        f"--essential-hook=copy-in {FILES}/initramfs-tools /etc",
        f"--customize-hook=copy-in {FILES}/cloud /etc",
        f"--customize-hook=copy-in {FILES}/fstab /etc",
        f'--customize-hook=sh {FILES}/finish.sh "$1"',
        suite,
        str(archive),
        *sources,
    ]


def _only(tree: Path, pattern: str) -> bytes:
    found = sorted((tree / "boot").glob(pattern))
    if not found:
        raise GuestError(f"mmdebstrap left no /boot/{pattern}")
    return found[-1].read_bytes()


def _room(tree: Path) -> int:
    """MiB of file system for a tree: a fifth more than its files, and some to live in until the guest grows it."""
    used = sum(path.lstat().st_blocks * 512 for path in walk(tree))
    return used * 12 // 10 // disk.MIB + 128
