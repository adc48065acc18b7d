"""README's tour with the unmodified `openstack` command, from an empty project to a VM that one can log in to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.ssh import Ssh
from tests.system.tenants import Tenant
from tests.system.waiting import until

PROGRAM = shutil.which("openstack", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
USER_DATA = """#!/bin/sh
echo "user data of $(hostname) ran" > /run/user-data
timeout 60 curl -s --retry 20 --retry-all-errors --retry-delay 1 {url}/{name}
"""


class Shell:
    """`openstack …` as one user; `json` decodes what `-f json` prints."""

    def __init__(self, environment: dict[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
        self.environment = {**kept, **environment}

    def __call__(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run([str(PROGRAM), *words], env=self.environment, capture_output=True, text=True, timeout=300)
        assert (done.returncode != 0) == fails, f"openstack {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))


@pytest.fixture(scope="module")
def traveller(tenant: Callable[[str], Tenant]) -> Tenant:
    assert PROGRAM, "python-openstackclient is not installed"
    return tenant("traveller")


@pytest.fixture(scope="module")
def shell(traveller: Tenant) -> Shell:
    return Shell(traveller.environment())


@pytest.fixture(scope="module")
def network(shell: Shell) -> str:
    """`private`, its subnet and its router to the outside."""
    shell("network", "create", "private")
    shell("subnet", "create", "--network", "private", "--subnet-range", "10.50.0.0/24", "private")
    shell("router", "create", "--external-gateway", "public", "gateway")
    shell("router", "add", "subnet", "gateway", "private")
    return "private"


@pytest.fixture(scope="module")
def public_key(traveller: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tour") / "key.pub"
    path.write_text(traveller.key.public + "\n")
    return path


@pytest.fixture(scope="module")
def hello(shell: Shell, network: str, public_key: Path, web: Any) -> Iterator[dict[str, Any]]:
    """A server with user data, key, group and config drive, and a floating IP; its `server show`."""
    shell("keypair", "create", "--public-key", str(public_key), "mykey")
    shell("security", "group", "create", "login")
    shell("security", "group", "rule", "create", "--proto", "tcp", "--dst-port", "22", "login")
    shell("security", "group", "rule", "create", "--proto", "icmp", "login")
    script = public_key.with_name("user-data")
    script.write_text(USER_DATA.format(url=web.url, name="hello"))
    shell(
        "server", "create", "--image", "onestack-mini", "--flavor", "m1.nano", "--network", network, "--key-name",
        "mykey", "--security-group", "login", "--user-data", str(script), "--config-drive", "True", "--wait", "hello",
    )  # fmt: skip
    address = shell.json("floating", "ip", "create", "public")["floating_ip_address"]
    shell("server", "add", "floating", "ip", "hello", address)
    shown = shell.json("server", "show", "hello")
    yield {**shown, "floating": address}
    shell("server", "delete", "--wait", "hello")
    assert shell.json("server", "list") == []


@pytest.fixture(scope="module")
def ssh(hello: dict[str, Any], traveller: Tenant) -> Ssh:
    return Ssh(hello["floating"], traveller.key).wait(120)


def test_what_there_is(shell: Shell) -> None:
    assert "onestack-mini" in [row["Name"] for row in shell.json("image", "list")]
    assert "m1.nano" in [row["Name"] for row in shell.json("flavor", "list")]
    assert [row["Name"] for row in shell.json("network", "list", "--external")] == ["public"]
    assert shell.json("server", "list") == []


def test_the_catalog_names_every_service(shell: Shell) -> None:
    found = {row["Type"] for row in shell.json("catalog", "list")}
    assert {"identity", "image", "compute", "network", "placement"} <= found


def test_server_show(hello: dict[str, Any]) -> None:
    assert hello["status"] == "ACTIVE"
    assert hello["OS-EXT-STS:power_state"] in (1, "Running")
    assert hello["key_name"] == "mykey"
    assert hello["config_drive"] in ("True", True)
    assert [group["name"] for group in hello["security_groups"]] == ["login"]
    fixed, floating = hello["addresses"]["private"]
    assert fixed.startswith("10.50.0.")
    assert floating == hello["floating"]


def test_server_list(shell: Shell, hello: dict[str, Any]) -> None:
    (row,) = shell.json("server", "list")
    assert (row["ID"], row["Name"], row["Status"]) == (hello["id"], "hello", "ACTIVE")


def test_login_with_the_injected_key(ssh: Ssh) -> None:
    assert ssh("id -un") == "cirros"


def test_the_hostname_is_the_servers_name(ssh: Ssh) -> None:
    assert ssh("hostname") == "hello"


def test_the_user_data_ran(ssh: Ssh) -> None:
    assert until(lambda: ssh.run("cat /run/user-data").stdout.strip(), 60, "user data") == "user data of hello ran"


def test_the_config_drive_is_there(ssh: Ssh, hello: dict[str, Any]) -> None:
    # cloud-init's and the guest's own way to find it: by its label.
    device = ssh("sudo blkid -t LABEL=config-2 -o device")
    ssh(f"sudo mkdir -p /mnt && sudo mount -o ro {device} /mnt")
    assert json.loads(ssh("cat /mnt/openstack/latest/meta_data.json"))["uuid"] == hello["id"]
    ssh("sudo umount /mnt")


def test_the_guest_reaches_out_from_its_floating_ip(ssh: Ssh, hello: dict[str, Any], web: Any) -> None:
    assert ssh(f"curl -s -m 10 {web.url}/from-inside") == "welcome"
    assert (hello["floating"], "/from-inside") in web.seen


def test_without_a_floating_ip_it_reaches_out_through_the_router(
    shell: Shell, network: str, web: Any, public_key: Path
) -> None:
    """Its user data calls the host: what it printed is not needed, the visit is the proof."""
    script = public_key.with_name("user-data-2")
    script.write_text(USER_DATA.format(url=web.url, name="quiet"))
    shell("server", "create", "--image", "onestack-mini", "--flavor", "m1.nano", "--network", network,
          "--user-data", str(script), "--wait", "quiet")  # fmt: skip
    gateway = shell.json("router", "show", "gateway")["external_gateway_info"]
    address = gateway["external_fixed_ips"][0]["ip_address"]
    assert until(lambda: [who for who, path in web.seen if path == "/quiet"], 120, "a visit of the guest") == [address]
    shell("server", "delete", "--wait", "quiet")


def test_console_log_show(shell: Shell, hello: dict[str, Any], ssh: Ssh) -> None:
    text = until(lambda: re.search("boot done.*", shell("console", "log", "show", "hello")), 60, "the end of the boot")
    assert hello["id"] in text.group()
    assert len(shell("console", "log", "show", "--lines", "3", "hello").strip().splitlines()) <= 3


def test_console_url_show(shell: Shell, hello: dict[str, Any]) -> None:
    found = shell.json("console", "url", "show", "--novnc", "hello")
    assert found["protocol"] == "vnc"
    assert "token%3D" in found["url"]
    with urllib.request.urlopen(found["url"], timeout=10) as page:
        assert b"noVNC" in page.read()


def test_an_unknown_server_is_refused_in_the_clients_words(shell: Shell) -> None:
    assert "No Server found for nothing-like-this" in shell("server", "show", "nothing-like-this", fails=True)
