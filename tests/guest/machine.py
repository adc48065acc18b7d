"""A QEMU under emulation for the tests of guest images: serial console, QMP, user-mode network with a way to SSH."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

QEMU = "qemu-system-x86_64"


def config_drive(path: Path, files: dict[str, str]) -> Path:
    """An ISO 9660 with the label that config drives carry."""
    tree = path.with_suffix(".d")
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    program = shutil.which("genisoimage") or shutil.which("xorrisofs")
    assert program, "genisoimage or xorriso is needed"
    subprocess.run([program, "-quiet", "-J", "-r", "-V", "config-2", "-o", path, tree], check=True)
    return path


class Machine:
    """A running guest; `console` is all that it printed on the serial port so far."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], ssh_port: int) -> None:
        self.home, self.process, self.ssh_port = home, process, ssh_port
        self.serial = socket.socket(socket.AF_UNIX)
        self._monitor = socket.socket(socket.AF_UNIX)
        for sock, name in ((self.serial, "serial"), (self._monitor, "qmp")):
            connect(sock, home / name)
        self.serial.settimeout(0.2)
        self._lines = self._monitor.makefile("r")
        self._lines.readline()
        self.qmp("qmp_capabilities")
        self.console = ""

    def qmp(self, command: str, **arguments: object) -> object:
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "error" in answer:
                raise AssertionError(answer["error"])
            if "return" in answer:
                return answer["return"]

    def hmp(self, line: str) -> object:
        return self.qmp("human-monitor-command", **{"command-line": line})

    def until(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """Wait for the console to show a pattern after what earlier calls matched, and return the match."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.console)
            if found:
                self.console = self.console[found.end() :]
                return found
            assert time.monotonic() < deadline, f"no {pattern!r} on the console:\n{self.console[-3000:]}"
            with contextlib.suppress(TimeoutError):
                data = self.serial.recv(65536)
                assert data, f"QEMU ended; the console said:\n{self.console[-3000:]}"
                self.console += data.decode(errors="replace").replace("\r", "")

    def type(self, line: str) -> None:
        self.serial.sendall(line.encode() + b"\n")

    def login(self, user: str, password: str) -> None:
        self.until("login: ")
        self.type(user)
        self.until("Password: ")
        self.type(password)
        self.until(r"\$ ")

    def ssh(self, key: Path, *command: str, user: str = "cirros") -> subprocess.CompletedProcess[str]:
        options = ["StrictHostKeyChecking=no", f"UserKnownHostsFile={self.home}/known", "BatchMode=yes"]
        options += ["ConnectTimeout=20", "LogLevel=ERROR", f"IdentityFile={key}", f"Port={self.ssh_port}"]
        return subprocess.run(
            ["ssh", *(f"-o{option}" for option in options), f"{user}@127.0.0.1", *command],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(sock: socket.socket, path: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            sock.connect(str(path))
            return
        except OSError:
            assert time.monotonic() < deadline, f"QEMU did not open {path}"
            time.sleep(0.05)


@contextlib.contextmanager
def machine(
    home: Path, image: Path, *, drive: Path | None = None, disk_gib: float = 1, memory_mib: int = 128,
    net: str = "", extra: list[str] | None = None,
) -> Iterator[Machine]:  # fmt: skip
    """Boot an overlay of `image`; the process is gone afterwards."""
    home.mkdir(parents=True, exist_ok=True)
    overlay = home / "disk.qcow2"
    size = str(int(disk_gib * 1024**3))
    if not overlay.exists():
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay, size], check=True
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("serial", "qmp"):
        (home / name).unlink(missing_ok=True)
    command = [
        QEMU, "-accel", "tcg", "-cpu", "max", "-m", str(memory_mib), "-nodefaults", "-display", "none", "-vga", "none",
        "-drive", f"file={overlay},if=virtio,cache=unsafe", "-device", "virtio-rng-pci",
        "-chardev", f"socket,id=s,path={home}/serial,server=on,wait=off,logfile={home}/console.log", "-serial",
        "chardev:s", "-qmp", f"unix:{home}/qmp,server=on,wait=off",
        "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22{net}", "-device", "virtio-net-pci,netdev=n",
    ]  # fmt: skip
    if drive:
        command += ["-drive", f"file={drive},if=virtio,format=raw,readonly=on"]
    process = subprocess.Popen([*command, *(extra or [])])
    try:
        yield Machine(home, process, port)
    finally:
        process.kill()
        process.wait()
