"""Does KVM work here? Found out by running a tiny guest, because there are machines whose /dev/kvm opens and creates
a VM, and then aborts or hangs as soon as a real kernel runs in it.

The guest is probe/probe.bin (source beside it). It is tried with the processor model that servers get, then with a
plain one. The answer is kept with the boot id: within one boot it does not change.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

KVM_GET_API_VERSION = 0xAE00
PAYLOAD = Path(__file__).parent / "probe" / "probe.bin"
ALL_STAGES = "12345678"
EXIT_STATUS = 85  # isa-debug-exit turns the 42 that the guest writes into 42 * 2 + 1
STAGE_NAMES = {
    "": "before its first instruction",
    "1": "in real mode",
    "2": "in protected mode",
    "3": "in long mode",
    "4": "waiting for timer interrupts",
    "5": "entering ring 3",
    "6": "at system calls",
    "7": "at page faults",
}


@dataclass(frozen=True)
class Answer:
    """`works` says whether the guest ran to its end; `reason` is a line for the user."""

    works: bool
    reason: str
    cpu: str = ""
    stages: str = ""
    seconds: float = 0.0


def probe(accel: str = "kvm", *, qemu: str = "qemu-system-x86_64", timeout: float = 3.0) -> Answer:
    """Run the guest under an accelerator (`tcg` is the control: it works everywhere)."""
    if accel == "kvm":
        reason = device_problem()
        if reason:
            return Answer(False, reason)
    answer = Answer(False, "not tried")
    for cpu in ("host", "qemu64") if accel == "kvm" else ("max",):
        answer = run_guest(qemu, accel, cpu, timeout)
        if answer.works:
            break
    return answer


def device_problem(path: str = "/dev/kvm") -> str:
    """Why the device is of no use, or nothing."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"there is no {path}: no hardware virtualization, or it is off in the firmware"
    except OSError as error:
        return f"{path}: {error.strerror}"
    try:
        version = fcntl.ioctl(descriptor, KVM_GET_API_VERSION)
    except OSError as error:
        return f"{path} does not answer as KVM does: {error.strerror}"
    finally:
        os.close(descriptor)
    return "" if version == 12 else f"{path} speaks version {version} of its interface, not 12"


def run_guest(qemu: str, accel: str, cpu: str, timeout: float) -> Answer:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="onestack-probe-") as directory:
        firmware, console = Path(directory, "firmware"), Path(directory, "console")
        firmware.write_bytes(bytes(65536 - 4096) + PAYLOAD.read_bytes())
        try:
            code, errors = run_qemu(command(qemu, accel, cpu, firmware, console), timeout)
        except OSError as error:
            return Answer(False, f"{qemu}: {error.strerror}")
        stages = console.read_text(encoding="ascii", errors="replace") if console.exists() else ""
    seconds = round(time.monotonic() - begun, 2)
    if code == EXIT_STATUS and stages == ALL_STAGES:
        return Answer(True, "a test guest ran to its end", cpu, stages, seconds)
    words = [line for line in errors.splitlines() if "KVM internal error" in line or "failed" in line]
    what = words[0].strip() if words else ("it hung" if code is None else f"QEMU ended with status {code}")
    return Answer(False, f"a test guest died {STAGE_NAMES.get(stages[-1:], 'late')}: {what}", cpu, stages, seconds)


def command(qemu: str, accel: str, cpu: str, firmware: Path, console: Path) -> list[str]:
    return [
        qemu, "-accel", accel, "-machine", "pc", "-cpu", cpu, "-m", "16", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-bios", str(firmware),
        "-chardev", f"file,id=console,path={console}", "-device", "isa-debugcon,iobase=0xe9,chardev=console",
        "-device", "isa-debug-exit,iobase=0x501,iosize=2",
    ]  # fmt: skip


def run_qemu(argv: list[str], timeout: float) -> tuple[int | None, str]:
    """(exit status or None when it had to be killed, what it wrote to stderr)."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        errors, deadline = b"", time.monotonic() + timeout
        try:
            # After an internal error QEMU only stops the guest, so waiting for its end would be for nothing.
            while process.poll() is None and time.monotonic() < deadline and b"KVM internal error" not in errors:
                if select.select([process.stderr], [], [], 0.02)[0]:
                    errors += process.stderr.read() or b""
            code = process.poll()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        errors += process.stderr.read() or b""
    return code, errors.decode(errors="replace")


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def cached_probe(cache: Path) -> Answer:
    """The answer for this boot, from the file or by asking again."""
    identity = [boot_id(), PAYLOAD.stat().st_size, os.path.exists("/dev/kvm")]
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
        if known["identity"] == identity:
            return Answer(**known["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    answer = probe()
    temporary = cache.with_name(cache.name + ".new")
    temporary.write_text(json.dumps({"identity": identity, "answer": asdict(answer)}), encoding="utf-8")
    temporary.replace(cache)
    return answer
