"""`up --hypervisor fake`, as an ordinary command: the whole cloud, then again, after a crash, and down."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from onestack import config
from onestack.cli import ports
from onestack.engines import process


class Cloud:
    def __init__(self, state):
        self.state = state
        candidates = (random.randrange(10_000, 30_000) for _ in range(100))
        self.offset = next(
            number
            for number in candidates
            if not any(ports.in_use("127.0.0.1", port + number) for port in config.PORTS.values())
        )

    def __call__(self, *words):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        for name in ("ONESTACK_STATE", "ONESTACK_PORT_OFFSET", "ONESTACK_HYPERVISOR"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, "-m", "onestack.cli.main", "--state", str(self.state), *words],
            capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip

    def status(self):
        return json.loads(self("status", "--json").stdout)

    def pid(self, name):
        return next(row["pid"] for row in self.status()["processes"] if row["name"] == name)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    made = Cloud(tmp_path_factory.mktemp("cloud") / "state")
    yield made
    made("down")


@pytest.fixture(scope="module")
def up(cloud):
    done = cloud("--port-offset", str(cloud.offset), "up", "--hypervisor", "fake")
    assert done.returncode == 0, done.stderr
    return done


def test_it_tells_how_to_go_on(cloud, up):
    for words in ("clouds.yaml", "openrc-admin", "openrc-demo", " down", f":{5000 + cloud.offset}/v3"):
        assert words in up.stdout


def test_everything_is_up(cloud, up):
    found = cloud.status()
    assert found["ok"], found
    assert {row["name"] for row in found["apis"]} == set(config.PORTS)
    assert found["hosts"]
    assert found["engines"] == []


def test_again_changes_nothing(cloud, up):
    before = [(row["name"], row["pid"]) for row in cloud.status()["processes"]]
    done = cloud("up", "--hypervisor", "fake")
    assert done.returncode == 0, done.stderr
    assert [(row["name"], row["pid"]) for row in cloud.status()["processes"]] == before


def test_the_demo_project_can_boot_a_server(cloud, up):
    done = cloud("boot", "first")
    assert done.returncode == 0, done.stderr
    assert "The VM first has the floating IP 172.24.4." in done.stdout


def test_a_killed_server_comes_back(cloud, up):
    pid = cloud.pid("server")
    os.kill(pid, signal.SIGKILL)
    assert process.wait_for(lambda: cloud.status()["ok"] and cloud.pid("server") != pid, 30, 0.2)


def test_a_second_cloud_on_the_same_ports_is_told_who_has_them(cloud, up, tmp_path):
    other = Cloud(tmp_path / "other")
    done = other("--port-offset", str(cloud.offset), "up", "--hypervisor", "fake")
    assert done.returncode == 1
    assert f"port {5000 + cloud.offset} (identity) is in use by " in done.stderr
    assert f"(pid {cloud.pid('server')})" in done.stderr


def test_down_and_up_keep_the_data(cloud, up):
    done = cloud("down")
    assert done.returncode == 0, done.stderr
    assert "server" in done.stdout
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{5000 + cloud.offset}/", timeout=2)
    assert cloud("status").returncode == 3
    assert cloud("up", "--no-boot").returncode == 0
    assert cloud.status()["ok"]
    assert "floating IP" in cloud("boot", "first").stdout
