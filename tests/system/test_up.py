"""`up` on a machine that isn't cooperative: interrupted everywhere, on a disk that is full."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cloud import LAUNCHER, SystemCloud
from tests.system.waiting import until

STEP = 0.4  # seconds between two interruptions
INTERRUPTED = 128 + signal.SIGINT


@pytest.fixture
def cloud() -> Iterator[SystemCloud]:
    """Not there yet; what is made of it is removed."""
    made = SystemCloud(Path(tempfile.mkdtemp(prefix="onestack-up-", dir="/var/tmp")), 6000)
    yield made
    made.remove()


def interrupted_after(cloud: SystemCloud, seconds: float) -> tuple[int, str]:
    """`up`, with a Ctrl-C for it and all that it started after `seconds`: exit status and last words."""
    argv = [str(LAUNCHER), "--state", str(cloud.state), "--port-offset", str(cloud.offset), "up"]
    up = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = up.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(up.pid, signal.SIGINT)
        said, _ = up.communicate(timeout=30)
    return up.returncode, said


def banner(address: str) -> str:
    try:
        with socket.create_connection((address, 22), timeout=5) as connection:
            connection.settimeout(5)
            return connection.recv(64).decode(errors="replace")
    except OSError:
        return ""


def test_up_goes_on_from_wherever_it_was_interrupted(cloud: SystemCloud) -> None:
    delay, rounds = STEP, 0
    while True:
        status, said = interrupted_after(cloud, delay)
        assert "Traceback" not in said
        if status == 0:
            break
        # The launcher is a shell for its first moments: it dies of the signal itself.
        assert status in (INTERRUPTED, -signal.SIGINT), said
        delay += STEP
        rounds += 1
    assert rounds > 5, "too quick to have been interrupted everywhere"
    cloud.wait_until_well()
    servers = list(cloud.connect("demo").compute.servers())
    assert [server.name for server in servers] == ["hello"]
    (address,) = [one["addr"] for one in servers[0].addresses["demo-net"] if one["OS-EXT-IPS:type"] == "floating"]
    until(lambda: banner(address).startswith("SSH-"), 90, "SSH at the floating IP", 0.5)


def test_a_full_disk_is_one_clear_line() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], check=True)
        try:
            argv = [str(LAUNCHER), "--state", f"{folder}/state", "--port-offset", "6000", "up", "--hypervisor", "fake"]
            done = subprocess.run(argv, capture_output=True, text=True)
            assert done.returncode == 1
            assert done.stderr.strip().splitlines()[-1].startswith(f"onestack: 0.0 GiB free for {folder}/state;")
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_under_the_cloud_refuses_what_it_cannot_keep() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", folder], check=True)
        cloud = SystemCloud(Path(folder, "state"), 6000)
        try:
            cloud.onestack("up", "--hypervisor", "fake")
            conn = cloud.connect("demo")
            argv = ["dd", "if=/dev/zero", f"of={folder}/filler", "bs=64k"]
            assert "No space left" in subprocess.run(argv, capture_output=True, text=True).stderr
            answer = conn.network.post("/networks", json={"network": {"name": "too-much"}})
            assert answer.status_code == 503
            assert "Free some space" in json.dumps(answer.json())
            assert list(conn.network.networks())
            os.remove(f"{folder}/filler")
            assert conn.network.post("/networks", json={"network": {"name": "enough"}}).status_code == 201
            assert [one.name for one in conn.network.networks() if one.name in ("too-much", "enough")] == ["enough"]
        finally:
            cloud.onestack("down")
            subprocess.run(["umount", folder], check=True)
