"""`onestack openrc`: the environment that clients find."""

from __future__ import annotations

import subprocess

import pytest

from onestack import config
from onestack.cli import credentials


@pytest.fixture
def of_a_cloud(tmp_path):
    (tmp_path / "secrets").mkdir()
    for name in ("admin-password", "demo-password"):
        (tmp_path / "secrets" / name).write_text("it's $ecret\n")
    return config.load(str(tmp_path), hypervisor="fake", port_offset=100)


def in_a_shell(text, **before):
    """The OS_ variables of a shell that had others before it evaluated `text`."""
    done = subprocess.run(
        ["sh", "-c", f"{text}\nenv"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **before},
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {name: value for name, value in found.items() if name.startswith(("OS_", "SERVICE_"))}


def test_old_clients_get_what_identity_v2_takes_and_nothing_newer(of_a_cloud):
    newer = in_a_shell(credentials.openrc(of_a_cloud, "admin"))
    older = in_a_shell(credentials.openrc(of_a_cloud, "admin", v2=True), **newer, SERVICE_TOKEN="left over")
    assert older == {
        "OS_AUTH_URL": "http://127.0.0.1:35457/v2.0",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": "it's $ecret",
        "OS_TENANT_NAME": "admin",
        "OS_REGION_NAME": "RegionOne",
    }


def test_newer_clients_get_nothing_of_an_old_environment(of_a_cloud):
    older = in_a_shell(credentials.openrc(of_a_cloud, "admin", v2=True))
    newer = in_a_shell(credentials.openrc(of_a_cloud, "demo"), **older)
    assert newer["OS_AUTH_URL"] == "http://127.0.0.1:5100/v3"
    assert newer["OS_IDENTITY_API_VERSION"] == "3"
    assert "OS_TENANT_NAME" not in newer
