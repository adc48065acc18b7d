"""The root file system of `onestack-mini`: programs of this machine, their libraries, and the files of `files/mini`.

The tree has Debian's merged /usr, so a library lies where the loader looks whichever name it was found by.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from onestack.guest.kernel import Kernel, aliases, dependencies
from onestack.guest.tools import GuestError, run, which

FILES = Path(__file__).parent / "files" / "mini"

# Program → Debian package. Everything else in the guest is an applet of busybox.
PROGRAMS = {
    "busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "dropbearkey": "dropbear-bin",
    "dbclient": "dropbear-bin",
    "sudo": "sudo",
    "curl": "curl",
    "resize2fs": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "lsblk": "util-linux",
    "blkid": "util-linux",
}
DIRECTORIES = [
    "dev", "etc/dropbear", "home/cirros", "mnt", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin",
    "usr/lib", "usr/lib64", "var/lib/cloud", "var/log",
]  # fmt: skip
LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "etc/mtab": "/proc/mounts",
    "etc/resolv.conf": "/run/resolv.conf",
    "var/run": "/run",
    "usr/bin/ssh": "dbclient",
    "usr/sbin/mkfs.ext2": "mke2fs",
    "usr/sbin/mkfs.ext3": "mke2fs",
    "usr/sbin/mkfs.ext4": "mke2fs",
}
# Git and wheels keep the executable bit of a file only sometimes, so it is set here, by directory.
EXECUTABLE = ("etc/init.d", "etc/acpi", "usr/lib/onestack", "usr/sbin")
MODES = {"etc/shadow": 0o600, "etc/sudoers": 0o440, "root": 0o700, "tmp": 0o1777}
USER_HOME = "/home/cirros"
USER_ID = 1000
# Applets that Debian's busybox has but that would stand in the way of the real thing or make no sense in a guest.
LEFT_OUT = {"busybox", "dpkg", "dpkg-deb", "rpm", "rpm2cpio", "linuxrc", "init"}


def build(root: Path, kernel: Kernel) -> None:
    """Fill the empty directory `root`."""
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for link, target in LINKS.items():
        (root / link).symlink_to(target)
    shutil.copytree(FILES / "rootfs", root, dirs_exist_ok=True, copy_function=shutil.copyfile)
    install_programs(root)
    install_applets(root)
    install_modules(root / "usr/lib/modules" / kernel.release, kernel.modules)
    for top in EXECUTABLE:
        for path in (root / top).rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(0o755 | (path.stat().st_mode & stat.S_ISUID))
    for name, mode in MODES.items():
        (root / name).chmod(mode)


def install_programs(root: Path) -> None:
    """The real programs, sudo with its plugin and the one PAM module it is configured for, and all their libraries."""
    needed: set[Path] = set()
    for name in PROGRAMS:
        source = which(name)
        if source is None:
            raise GuestError(f"missing Debian packages: {PROGRAMS[name]} (apt-get install {PROGRAMS[name]})")
        home = "usr/sbin" if "/sbin/" in source else "usr/bin"
        _copy(Path(source), root / home / name, 0o4755 if name == "sudo" else 0o755)
        needed |= libraries(Path(source))
    for name in ("sudoers.so", "libsudo_util.so.0"):
        plugin = Path("/usr/libexec/sudo", name)
        _copy(plugin, root / str(plugin)[1:], 0o644)
        needed |= libraries(plugin)
    libc = next(path for path in needed if path.name == "libc.so.6")
    needed.add(libc.parent / "security" / "pam_permit.so")
    for library in needed:
        _copy(library, root / str(library)[1:], 0o755)


def libraries(binary: Path) -> set[Path]:
    """Full paths of the shared libraries and the loader that a program of this machine needs; none if it is static."""
    try:
        listing = run("ldd", binary).decode()
    except GuestError:
        return set()
    return {Path(word) for word in listing.split() if word.startswith("/") and os.path.exists(word)}


def install_applets(root: Path) -> None:
    """A link to busybox for each applet that no real program stands for; and for init."""
    taken = {path.name for top in ("usr/bin", "usr/sbin") for path in (root / top).iterdir()} | LEFT_OUT
    for line in run("busybox", "--list-full").decode().split():
        name = os.path.basename(line)
        if name not in taken:
            home = "usr/sbin" if "sbin/" in line else "usr/bin"
            (root / home / name).symlink_to("/usr/bin/busybox")
    (root / "usr/sbin/init").symlink_to("/usr/bin/busybox")


def install_modules(home: Path, modules: dict[str, bytes]) -> None:
    """Modules with what modprobe wants to know of them, as depmod would write it."""
    home.mkdir(parents=True)
    for name, text in module_files(modules).items():
        (home / name).write_bytes(text)


def module_files(modules: dict[str, bytes]) -> dict[str, bytes]:
    """The content of a /lib/modules/<release>: the modules, modules.dep and modules.alias."""
    lines, patterns = [], []
    for name, data in modules.items():
        # modprobe loads only what stands on the module's own line, so it must be the whole closure, nearest first.
        closure: dict[str, None] = {}
        pending = dependencies(data)
        while pending:
            needed = pending.pop(0)
            if needed in modules:
                closure.pop(needed, None)
                closure[needed] = None
                pending += dependencies(modules[needed])
        lines.append(" ".join([f"{name}.ko:", *(f"{needed}.ko" for needed in closure)]))
        patterns += [f"alias {alias} {name}" for alias in aliases(data)]
    files = {f"{name}.ko": data for name, data in modules.items()}
    files["modules.dep"] = "".join(line + "\n" for line in lines).encode()
    files["modules.alias"] = "".join(pattern + "\n" for pattern in patterns).encode()
    return files


def _copy(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # follows links: libraries are known by their soname
    target.chmod(mode)
