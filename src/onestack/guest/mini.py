"""`onestack-mini`: a Linux guest of some 26 MB, made in seconds on this machine from Debian's packages.

No root, no loop device and, once the packages are here, no network. It boots from BIOS on `pc` and `q35` with
virtio, SCSI or (on `pc`) IDE disks. What it does at boot is in `files/mini` and told in docs/images.md.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from onestack.guest import cpio, disk, kernel, rootfs
from onestack.guest.tools import Progress, require, silent, which, workshop

NAME = "onestack-mini"
USER, PASSWORD = "cirros", "gocubsgo"  # printed on the guest's console, as CirrOS does
MIN_RAM_MIB = 96  # 64 is too little for the kernel to unpack its initramfs
LABEL = "onestack-mini"

# Debian packages that `build` needs, for the installer. The kernel package comes on top: `ensure_kernel`.
PACKAGES = sorted({*rootfs.PROGRAMS.values(), *disk.PROGRAMS.values(), "syslinux-common", "libpam-modules"})

# In the initramfs: whatever a root disk can hang on.
DISK_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix")
# In the root file system: the rest of a virtual machine, and the file systems of config drives.
OTHER_MODULES = (
    "virtio_net", "virtio_rng", "virtio_balloon", "virtio_console", "button", "evdev", "sr_mod", "isofs", "vfat",
    "nls_ascii", "nls_cp437", "nls_iso8859_1", "nls_utf8", "8021q", "dummy", "loop",
)  # fmt: skip
ARGUMENTS = " ".join((
    f"root=LABEL={LABEL} console=tty1 console=ttyS0 quiet",
    # What costs time under emulation and protects nothing in a throw-away guest.
    "random.trust_cpu=on nokaslr mitigations=off no_timer_check cryptomgr.notests audit=0 apparmor=0 edd=off",
    "i8042.noaux",
))  # fmt: skip
INITRD_APPLETS = [
    "blkid", "blockdev", "cat", "dd", "echo", "findfs", "mount", "od", "printf", "readlink", "sh", "sync",
    "switch_root", "umount", "usleep",
]  # fmt: skip


def default_cache() -> Path:
    """Where the kernel package is kept between builds: the machine's for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/cache/onestack/guest")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "onestack", "guest")


def ensure_kernel(cache: Path | None = None) -> Path:
    """Have the kernel's package on this machine, so that `build` needs no network. Raises GuestError."""
    return kernel.ensure_package(cache or default_cache())


def build(
    output: Path,
    *,
    boot_mib: int = 20,
    root_mib: int = 44,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Build the image into the qcow2 file `output`, replacing what is there, and return it.

    `boot_mib` and `root_mib` are the sizes of the two partitions (the guest grows the second to its disk);
    `cache` is where the kernel package is kept. Raises GuestError, with `output` as it was.
    """
    say = progress or silent
    say("looking for the programs", 0.0)
    require({**rootfs.PROGRAMS, **disk.PROGRAMS, "dpkg-deb": "dpkg"})
    say("getting the kernel", 0.02)
    package = ensure_kernel(cache)
    with workshop(output) as work:
        say("unpacking the kernel", 0.1)
        linux = kernel.unpack(package, (*DISK_MODULES, *OTHER_MODULES))
        say("filling the root file system", 0.35)
        tree = work / "root"
        tree.mkdir()
        rootfs.build(tree, linux)
        say("making the partitions", 0.45)
        owners = {rootfs.USER_HOME: rootfs.USER_ID}
        disk.make_ext4(tree, work / "root.ext4", mib=root_mib, label=LABEL, owners=owners)
        files = {"vmlinuz": linux.image, "initrd": initramfs(linux)}
        disk.make_boot(work / "boot.fat", mib=boot_mib, files=files, arguments=ARGUMENTS)
        disk.assemble(work / "boot.fat", work / "root.ext4", work / "mini.raw")
        say("compressing", 0.6)
        disk.to_qcow2(work / "mini.raw", output)
    say("done", 1.0)
    return output


def initramfs(linux: kernel.Kernel) -> bytes:
    """Busybox, the disk drivers and /init, as a gzip'd cpio archive."""
    needs = {name: kernel.dependencies(data) for name, data in linux.modules.items()}
    drivers = {name: linux.modules[name] for name in kernel.load_order(DISK_MODULES, needs)}
    home = f"lib/modules/{linux.release}"
    parents = [home.rsplit("/", depth)[0] for depth in (2, 1)] + [home]
    busybox = Path(which("busybox") or "/bin/busybox").read_bytes()
    entries = [cpio.directory(name) for name in ("bin", "dev", "proc", "sys", "newroot", *parents)]
    entries.append(cpio.file("bin/busybox", busybox, 0o755))
    entries += [cpio.symlink(f"bin/{name}", "busybox") for name in (*INITRD_APPLETS, "modprobe")]
    entries += [cpio.file(f"{home}/{name}", data) for name, data in rootfs.module_files(drivers).items()]
    entries.append(cpio.file("init", (rootfs.FILES / "init").read_bytes(), 0o755))
    return gzip.compress(cpio.archive(entries), 9, mtime=0)
