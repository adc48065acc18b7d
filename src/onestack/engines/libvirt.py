"""libvirtd and virtlogd: the machine's own (libvirtd(8), virtlogd(8)).

With systemd they are Debian's units; without, we start the two programs. VMs are no children of theirs in any sense
that matters: libvirtd finds them again whenever it starts.
"""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
from pathlib import Path

from onestack.engines import process
from onestack.engines.health import EngineError, Health
from onestack.engines.ovs import answers
from onestack.engines.paths import LIBVIRT_SOCKET, MACHINE_LOG, MACHINE_RUN, systemd
from onestack.engines.process import Program

KVM = "/dev/kvm"
LOG_SOCKET = "/run/libvirt/virtlogd-sock"
NAMES = ("virtlogd", "libvirtd")


def programs() -> list[Program]:
    """Without `-d`: whoever watches them must be able to tell that they ended."""
    return [
        Program(
            name=name,
            argv=(f"/usr/sbin/{name}", "--pid-file", f"/run/{name}.pid"),
            pidfile=f"{MACHINE_RUN}/{name}.pid",
            log=f"{MACHINE_LOG}/{name}.log",
            shared=True,
            own_pidfile=f"/run/{name}.pid",
        )
        for name in NAMES
    ]


def ours() -> bool:
    return any(process.ours(program) for program in programs())


def ensure_running() -> None:
    """Raises EngineError with one line that says what is wrong."""
    ensure_kvm_permissions()
    if not answers(LIBVIRT_SOCKET):
        if systemd():
            process.run(["systemctl", "enable", "--now", "virtlogd.socket", "libvirtd.socket"], seconds=60)
        else:
            start()
    elif not systemd():
        Path(MACHINE_RUN).mkdir(mode=0o755, parents=True, exist_ok=True)
        for program in programs():
            process.watch(program)
    if not process.wait_for(lambda: answers(LIBVIRT_SOCKET), 20):
        raise EngineError(f"libvirtd does not start: {process.last_line(f'{MACHINE_LOG}/libvirtd.log') or 'no word'}")


def ensure_kvm_permissions(device: str = KVM) -> None:
    """Give /dev/kvm to the group kvm where no udev did (containers, minimal machines).

    A device that QEMU's user can't open looks to libvirt like a change of the machine: it then asks each QEMU binary
    for its capabilities again on each call, 4 s each time, also where VMs are emulated.
    """
    # No device and no such group are both ordinary; a device on a read-only /dev stays as it is.
    with contextlib.suppress(OSError, KeyError):
        if os.stat(device).st_mode & 0o070 == 0:
            os.chown(device, 0, grp.getgrnam("kvm").gr_gid)
            os.chmod(device, 0o660)


def start() -> None:
    if not os.path.exists("/usr/sbin/libvirtd"):
        raise EngineError("libvirt is not installed (package libvirt-daemon-system)")
    for directory in ("/run/libvirt", MACHINE_RUN, MACHINE_LOG):
        Path(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
    logs, daemon = programs()
    if not answers(LOG_SOCKET):
        process.start(logs)
        process.wait_for(lambda: answers(LOG_SOCKET), 10)
    process.start(daemon)


def stop() -> None:
    """Only what the clouds of this machine started. virtlogd stays while VMs write their consoles to it."""
    logs, daemon = programs()
    process.stop(daemon)
    if not guests():
        process.stop(logs)


def guests() -> list[int]:
    """Pids of the QEMU processes of our servers."""
    found = []
    for path in Path("/run/libvirt/qemu").glob("instance-*.pid"):
        try:
            pid = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if process.start_time(pid) is not None:
            found.append(pid)
    return found


def look() -> list[Health]:
    if not shutil.which("libvirtd", path="/usr/sbin:/usr/bin"):
        return [Health("libvirtd", "absent", "not installed (package libvirt-daemon-system)")]
    pid = process.foreign_pid("/run/libvirtd.pid", "libvirtd")
    log_pid = process.foreign_pid("/run/virtlogd.pid", "virtlogd")
    logs = Health("virtlogd", "up" if answers(LOG_SOCKET) else "down", pid=log_pid)
    if not answers(LIBVIRT_SOCKET):
        reason = f"nobody answers on {LIBVIRT_SOCKET}"
        return [Health("libvirtd", "down", reason, pid), logs]
    return [Health("libvirtd", "up", pid=pid), logs]
