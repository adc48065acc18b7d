"""Commands in a guest, over SSH with dropbear's client, which every machine that can build the guest image has."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tests.system.waiting import until

LOGIN = "cirros"


class Key:
    """A key pair made for the tests. `public` is the line that goes into authorized_keys."""

    def __init__(self, directory: Path, name: str = "key") -> None:
        self.path = directory / name
        subprocess.run(
            ["dropbearkey", "-t", "ed25519", "-f", self.path], check=True, capture_output=True, cwd=directory
        )
        shown = subprocess.run(["dropbearkey", "-y", "-f", self.path], check=True, capture_output=True, text=True)
        self.public = next(line for line in shown.stdout.splitlines() if line.startswith("ssh-"))


class Ssh:
    """A guest that is reached at `address`."""

    def __init__(self, address: str, key: Key) -> None:
        self.address, self.key = address, key

    def run(self, command: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
        argv = ["dbclient", "-y", "-y", "-T", "-i", str(self.key.path), f"{LOGIN}@{self.address}", command]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, "", f"no end within {seconds} s")

    def __call__(self, command: str, seconds: float = 20) -> str:
        """What a command prints, without the newline at its end. Fails if the command does."""
        done = self.run(command, seconds)
        assert done.returncode == 0, f"{command!r} in {self.address}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout.rstrip("\n")

    def answers(self) -> bool:
        return self.run("true", 10).returncode == 0

    def wait(self, seconds: float = 90) -> Ssh:
        until(self.answers, seconds, f"SSH at {self.address}", 0.5)
        return self

    def boot_id(self) -> str:
        return self("cat /proc/sys/kernel/random/boot_id")

    def uptime(self) -> float:
        return float(self("cat /proc/uptime").split()[0])

    def pings(self, address: str, count: int = 1) -> bool:
        """Whether an address answers one of `count` pings of one second each."""
        done = self.run(f"sudo ping -c {count} -W 1 {address}", count * 2 + 15)
        assert "packets transmitted" in done.stdout, done.stderr
        return done.returncode == 0

    def addresses(self, device: str) -> list[str]:
        """The IPv4 addresses of a device in the guest; none when there is no such device."""
        with contextlib.suppress(AssertionError):
            words = self(f"ip -4 -o addr show dev {device}").split()
            return [words[at + 1].partition("/")[0] for at, word in enumerate(words) if word == "inet"]
        return []
