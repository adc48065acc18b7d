"""Copies of root disks, for images of servers: `<state>/instances/<server id>/copy-<operation id>`, a qcow2 file that
stands on no other; `.part` until it is whole.

A guest that runs (or is paused) goes on meanwhile: QEMU copies the disk as it was at one moment, and keeps what the
guest overwrites until it is copied (libvirt's virDomainBackupBegin, push mode,
https://libvirt.org/formatbackup.html). The disk of one that is off is copied by qemu-img, in the sandbox, because what
it stands on came from a stranger.

libvirt keeps a job while the agent dies, and what became of it until it is asked; both are looked at first. Where
nothing is known of a job any more (libvirtd or the guest ended), what it had copied is worth nothing and goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import libvirt

from onestack import sandbox
from onestack.agent import names
from onestack.agent.drivers.base import StepFailed, Superseded
from onestack.agent.drivers.libvirt.connection import explained, translated
from onestack.agent.drivers.libvirt.images import SPARE_BYTES, host_error
from onestack.agent.programs import ProgramFailed, found

LOOK_SECONDS = 0.25  # between looks at a job
PREFIX, PART = "copy-", ".part"
WHAT = "copy the server's disk"
GIB = 1 << 30
_DAY = 24 * 3600
_LIMITS = sandbox.Limits(memory=2 * GIB, cpu=_DAY, file_size=0, seconds=_DAY)  # file_size: see _while_it_is_off


class Base(NamedTuple):
    """The image that a root disk stands on."""

    path: Path
    format: str


def of(directory: Path) -> list[Path]:
    """The copies in a server's directory, whole or not."""
    return list(directory.glob(PREFIX + "*"))


def path(directory: Path, operation_id: str) -> Path:
    return directory / (PREFIX + names.checked(operation_id))


def begun(target: Path) -> bool:
    return target.with_name(target.name + PART).exists()


def make(
    domain: libvirt.virDomain | None, disk: Path, base: Base | None, target: Path, cancelled: Callable[[], bool]
) -> float:
    """0 when `target` is whole, else the seconds after which to look again. Raises StepFailed, Unavailable,
    Superseded."""
    part = target.with_name(target.name + PART)
    try:
        with translated(WHAT):
            if domain is not None and domain.isActive():
                return _while_it_runs(domain, disk, base, part, target)
        part.unlink(missing_ok=True)
        _check_room(part, disk, base)
        _while_it_is_off(disk, base, part, cancelled)
        _finish(part, target)
    except ProgramFailed as error:
        raise _failed(error.text) from error
    except OSError as error:
        raise host_error(error, part) from error
    return 0.0


def discard(domain: libvirt.virDomain | None, directory: Path) -> None:
    """No copy and no job is left."""
    with translated("end the copy of the server's disk"):
        if domain is not None and domain.isActive() and _target(domain, directory):
            domain.abortJob()
    for copy in of(directory):
        copy.unlink(missing_ok=True)


def _while_it_runs(domain: libvirt.virDomain, disk: Path, base: Base | None, part: Path, target: Path) -> float:
    running = _target(domain, part.parent)
    if running == str(part):
        return LOOK_SECONDS
    if running:  # of an operation that was ended
        domain.abortJob()
        return LOOK_SECONDS
    ended = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)  # asking also forgets it
    if part.exists():
        if ended.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
            if ended["type"] == libvirt.VIR_DOMAIN_JOB_COMPLETED:
                _finish(part, target)
                return 0.0
            part.unlink()
            raise _failed(str(ended.get("errmsg") or "QEMU gave no reason"))
        part.unlink()
    _check_room(part, disk, base)
    domain.backupBegin(_request(domain, disk, part), None, 0)
    return LOOK_SECONDS


def _failed(text: str) -> StepFailed:
    """The guest may have died under the copy; room is not made by trying again."""
    return StepFailed(explained(WHAT, text), text, again="no space left" not in text.lower())


def _target(domain: libvirt.virDomain, directory: Path) -> str:
    """The file that a running backup of ours writes; "" when there is none."""
    try:
        text = domain.backupGetXMLDesc(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
            return ""
        raise
    target = ET.fromstring(text).find("disks/disk/target")  # noqa: S314 (libvirt's own words)
    file = "" if target is None else target.get("file", "")
    return file if file.startswith(f"{directory}/{PREFIX}") else ""


def _request(domain: libvirt.virDomain, disk: Path, part: Path) -> str:
    """All of one disk into a new file, and nothing of the others."""
    root = ET.Element("domainbackup", mode="push")
    disks = ET.SubElement(root, "disks")
    for element in ET.fromstring(domain.XMLDesc(0)).iterfind("devices/disk"):  # noqa: S314
        source, name = element.find("source"), element.find("target")
        if name is None:
            continue
        if source is None or source.get("file") != str(disk):
            ET.SubElement(disks, "disk", name=name.get("dev", ""), backup="no")
            continue
        wanted = ET.SubElement(disks, "disk", name=name.get("dev", ""), backup="yes", type="file")
        ET.SubElement(wanted, "driver", type="qcow2")
        ET.SubElement(wanted, "target", file=str(part))
    return ET.tostring(root, encoding="unicode")


def _while_it_is_off(disk: Path, base: Base | None, part: Path, cancelled: Callable[[], bool]) -> None:
    """Raises ProgramFailed, Superseded, OSError."""
    os.chown(disk, 0, 0)  # whoever died while it was lent to the sandbox did not take it back
    with contextlib.ExitStack() as stack:
        reading, writing = stack.enter_context(disk.open("rb")), stack.enter_context(part.open("w+b"))
        options, shared = f"driver=qcow2,file.driver=file,file.filename={sandbox.seen_as(reading)}", []
        if base is not None:
            below = stack.enter_context(base.path.open("rb"))
            # Only who is handed it can open it: nobody passes through the cache's directory.
            os.fchmod(below.fileno(), stat.S_IMODE(os.fstat(below.fileno()).st_mode) | 0o444)
            options += f",backing.driver={base.format},backing.file.driver=file"
            options += f",backing.file.filename={sandbox.seen_as(below)}"
            shared.append(below)
        argv = [
            found("qemu-img"), "convert", "--image-opts", options, "-O", "qcow2", str(sandbox.seen_as(writing)),
        ]  # fmt: skip
        limits = _LIMITS._replace(file_size=shutil.disk_usage(part.parent).total)
        ended = sandbox.run(argv, limits, read=[reading], write=[writing], shared=shared, cancelled=cancelled)
    if cancelled():
        raise Superseded
    if ended.status:
        raise ProgramFailed(argv, ended.words)


def _check_room(part: Path, disk: Path, base: Base | None) -> None:
    needed = sum(file.stat().st_blocks * 512 for file in (disk, *([base.path] if base is not None else [])))
    free = shutil.disk_usage(part.parent).free
    if free < needed + SPARE_BYTES:
        raise StepFailed(
            f"The host has no room for a copy of the server's disk: it needs about {needed // 2**20} MiB and "
            f"{free // 2**20} MiB are free. Delete servers that are not needed, or ask the operator for room.",
            f"file system of {part.parent}",
        )


def _finish(part: Path, target: Path) -> None:
    """The copy outlasts the host's power."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.chmod(0o600)
    part.replace(target)
