"""Local disks of a server: files in `<state>/instances/<server id>/`. Each is complete or not there.

disk          root, a qcow2 overlay on a cached image (or empty)
disk.ephN     ephemeral, raw and sparse, ext4 with the label ephemeralN
disk.swap     raw and sparse, a swap area
disk.config   the config drive, ISO 9660 with the label config-2
image         name of the cached image that the root disk stands on
console.log   what the serial console said (virtlogd keeps it below 2 MiB and three older ones)
copy-…        a copy of the root disk on its way to become an image (copies.py)
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from onestack.agent import names
from onestack.agent.drivers.base import StepFailed, Unavailable
from onestack.agent.drivers.libvirt.images import host_error
from onestack.agent.drivers.libvirt.xml import LocalDisk, is_q35
from onestack.agent.programs import ProgramFailed, run
from onestack.wire import DiskSpec, DriveFile, ServerSpec

GIB, MIB = 2**30, 2**20


class Disks:
    def __init__(self, instances: Path) -> None:
        self.root = instances

    def directory(self, server_id: str) -> Path:
        return self.root / names.checked(server_id)

    def layout(self, spec: ServerSpec) -> list[LocalDisk]:
        """The disks in the order in which the guest sees them."""
        directory = self.directory(spec.id)
        disks = [LocalDisk(directory / file_name(disk), file_format(disk), disk.bus) for disk in _ordered(spec)]
        if spec.config_drive:
            # q35 has no IDE, and small kernels have no AHCI: there the drive is a virtio disk.
            bus, device = ("virtio", "disk") if is_q35(spec) else ("ide", "cdrom")
            disks.append(LocalDisk(directory / "disk.config", "raw", bus, device))
        return disks

    def complete(self, spec: ServerSpec) -> bool:
        return self.directory(spec.id).is_dir() and all(disk.path.exists() for disk in self.layout(spec))

    def ensure(self, spec: ServerSpec, base: Path | None, drive: Callable[[], list[DriveFile]]) -> None:
        """Make what is missing; `drive` gives the config drive's files. Raises StepFailed, Unavailable."""
        directory = self.directory(spec.id)
        try:
            directory.mkdir(mode=0o710, exist_ok=True)
            os.chown(directory, 0, self.root.stat().st_gid)
            if base is not None:
                (directory / "image").write_text(base.name)  # first: from now on the cache keeps it
            for disk in _ordered(spec):
                _make(directory / file_name(disk), functools.partial(_disk, disk, spec, base))
            if spec.config_drive:
                _make(directory / "disk.config", lambda part: _config_drive(part, drive()))
        except ProgramFailed as error:
            if "No space left" in error.text:
                raise host_error(OSError(28, error.text), directory) from error
            raise StepFailed("The host could not make the server's disks.", str(error)) from error
        except OSError as error:
            raise host_error(error, directory) from error

    def remove(self, server_id: str) -> None:
        try:
            shutil.rmtree(self.directory(server_id))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"The server's disks cannot be removed: {error}.") from error

    def console_logs(self, server_id: str) -> Iterator[Path]:
        """Oldest first."""
        directory = self.directory(server_id)
        for name in ("console.log.2", "console.log.1", "console.log.0", "console.log"):
            if (directory / name).exists():
                yield directory / name


def file_name(disk: DiskSpec) -> str:
    return {"root": "disk", "swap": "disk.swap"}.get(disk.kind, f"disk.eph{int(disk.index)}")


def file_format(disk: DiskSpec) -> str:
    return "qcow2" if disk.kind == "root" else "raw"


def _ordered(spec: ServerSpec) -> list[DiskSpec]:
    order = {"root": 0, "ephemeral": 1, "swap": 2}
    return sorted(spec.disks, key=lambda disk: (order[disk.kind], disk.index))


def _make(path: Path, fill: Callable[[Path], None]) -> None:
    """The file appears under its name only when it is complete."""
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        fill(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.chmod(0o600)
    part.replace(path)


def _disk(disk: DiskSpec, spec: ServerSpec, base: Path | None, part: Path) -> None:
    if disk.kind == "root":
        _root(part, disk, spec, base)
        return
    size = disk.size_mb * MIB if disk.kind == "swap" else disk.size_gb * GIB
    with part.open("wb") as file:
        file.truncate(size)
    if disk.kind == "swap":
        run(["mkswap", "--label", "swap", str(part)])
    else:
        label = f"ephemeral{int(disk.index)}"
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-E", "lazy_itable_init=1,nodiscard", str(part)], 300)


def _root(part: Path, disk: DiskSpec, spec: ServerSpec, base: Path | None) -> None:
    """An overlay on the image, or an empty disk. The image's format is what the spec says, never what QEMU guesses."""
    if base is None or spec.image is None:
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(part), str((disk.size_gb or 1) * GIB)])
        return
    if disk.size_gb and disk.size_gb * GIB < spec.image.virtual_size:
        raise StepFailed(
            f"Flavor's disk is too small for requested image. Flavor disk is {disk.size_gb * GIB} bytes, image is "
            f"{spec.image.virtual_size} bytes. Choose a flavor with a larger disk."
        )
    # The image isn't opened here (-u): what a stranger wrote is read in the sandbox, and by QEMU under the guest.
    backing = ["-u", "-b", str(base), "-F", spec.image.disk_format]
    size = disk.size_gb * GIB or spec.image.virtual_size
    run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(part), str(size)])


def _config_drive(part: Path, files: list[DriveFile]) -> None:
    folder = part.with_name("disk.config.d")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for file in files:
            path = _inside(folder, file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        folder.mkdir(exist_ok=True)
        run(["genisoimage", "-quiet", "-J", "-r", "-V", "config-2", "-o", str(part), str(folder)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _inside(folder: Path, relative: str) -> Path:
    """The path below `folder`. Raises StepFailed for one that leads out of it."""
    parts = [part for part in relative.split("/") if part]
    if not parts or any(part in (".", "..") or "\0" in part for part in parts):
        raise StepFailed("The config drive has a file with a path that is not allowed.", repr(relative))
    return folder.joinpath(*parts)
