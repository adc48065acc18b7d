"""The Debian cloud kernel: where it comes from, and the order in which its modules go in.

The kernel package is unpacked, never installed: installing would run initramfs and boot loader hooks of the
host. Debian ships its modules without modules.dep (depmod runs at installation), so dependencies are read from
the `.modinfo` section of each module.
"""

from __future__ import annotations

import lzma
import os
import re
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from onestack.guest.tools import GuestError, run, which

META_PACKAGE = "linux-image-cloud-amd64"
_PACKAGE = re.compile(r"linux-image-[0-9][0-9a-z.+~-]*-cloud-amd64\Z")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_ALIAS = re.compile(rb"\0alias=([^\0]*)(?=\0)")
APT_ARCHIVES = Path("/var/cache/apt/archives")


class Kernel(NamedTuple):
    """A kernel: its release (`6.1.0-56-cloud-amd64`), the bzImage, and the modules asked for with all that they
    need, name → ELF image, each after those that it needs."""

    release: str
    image: bytes
    modules: dict[str, bytes]


def ensure_package(cache: Path) -> Path:
    """The kernel's .deb: the one in `cache`, else apt's own copy, else downloaded into `cache` (as any user).

    Raises GuestError when it is in neither and apt cannot get it.
    """
    for place in (cache, APT_ARCHIVES):
        found = sorted(place.glob("linux-image-*-cloud-amd64_*_amd64.deb"), key=_version_key)
        found = [path for path in found if _PACKAGE.match(path.name.split("_")[0])]
        if found:
            return found[-1]
    if which("apt-get") is None:
        raise GuestError(f"no kernel package in {cache} and no apt-get to fetch one")
    names = re.findall(r"Depends: (\S+)", run("apt-cache", "depends", META_PACKAGE).decode())
    names = [name for name in names if _PACKAGE.match(name)]
    if not names:
        raise GuestError(f"apt does not know {META_PACKAGE} (run: apt-get update)")
    partial = cache / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    # Without the sandbox user of apt: it may not write into a private directory, and apt would only warn about it.
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", names[0], cwd=partial)
    fetched = next(partial.glob(f"{names[0]}_*.deb"))
    return fetched.rename(cache / fetched.name)


def _version_key(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def unpack(package: Path, wanted: Iterable[str]) -> Kernel:
    """Take the image and the `wanted` modules (built-in and unknown ones are left out) from a kernel package."""
    image, release, available = b"", "", {}
    with tarfile.open(fileobj=BytesIO(run("dpkg-deb", "--fsys-tarfile", package))) as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            if not member.isfile():
                continue
            if path.startswith("boot/vmlinuz-"):
                release = path.removeprefix("boot/vmlinuz-")
                image = _content(tar, member)
            elif "lib/modules/" in path and ".ko" in os.path.basename(path):
                available[module_name(path)] = member
        if not image:
            raise GuestError(f"{package} holds no kernel")
        modules = {name: decompress(member.name, _content(tar, member)) for name, member in available.items()}
    needs = {name: dependencies(data) for name, data in modules.items()}
    return Kernel(release, image, {name: modules[name] for name in load_order(wanted, needs)})


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    return handle.read() if handle else b""


def module_name(path: str) -> str:
    """`kernel/drivers/net/nls_iso8859-1.ko.xz` → `nls_iso8859_1`: how the kernel itself calls it."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def decompress(path: str, data: bytes) -> bytes:
    """A module's ELF image, whichever way the distribution packs it (bookworm: not at all)."""
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return run("zstd", "-dc", stdin=data)
    return data


def dependencies(module: bytes) -> list[str]:
    """The modules that one needs, as its `.modinfo` section says; none when it says nothing."""
    found = _DEPENDS.search(module)
    return [name.replace("-", "_") for name in found.group(1).decode().split(",") if name] if found else []


def aliases(module: bytes) -> list[str]:
    """The patterns of device names (`virtio:d00000001v*`) and other names (`fs-vfat`) that call for a module."""
    return [alias.decode() for alias in _ALIAS.findall(module)]


def load_order(wanted: Iterable[str], needs: dict[str, list[str]]) -> list[str]:
    """The wanted modules and, before each, what it needs. Names that `needs` does not know are built in: left out.

    Raises GuestError when modules need each other in a circle.
    """
    order: dict[str, None] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in order or name not in needs:
            return
        if name in above:
            raise GuestError(f"kernel modules need each other in a circle: {' '.join(above)}")
        for dependency in needs[name]:
            add(dependency, (*above, name))
        order[name] = None

    for name in wanted:
        add(name.replace("-", "_"), ())
    return list(order)
