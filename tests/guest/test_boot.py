"""Builds onestack-mini and boots it in QEMU without KVM: what a cloud does with a guest, done to this one."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onestack.guest import mini

from .machine import QEMU, Machine, config_drive, machine

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which(QEMU), reason="needs qemu-system-x86"),
]

NAME = "openstack/latest/"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    steps: list[float] = []
    output = tmp_path_factory.mktemp("image") / "mini.qcow2"
    assert mini.build(output, progress=lambda step, share: steps.append(share)) == output
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    assert 15e6 < output.stat().st_size < 35e6
    assert [path.name for path in output.parent.iterdir()] == ["mini.qcow2"]
    return output


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def meta_data(key: Path, **more: object) -> str:
    public = key.with_suffix(".pub").read_text()
    return json.dumps({"public_keys": {"my.key": public}, "meta": {"hostname": "trap"}, **more})


def test_config_drive_ssh_hotplug_reboot_power_button(tmp_path: Path, image: Path, key: Path) -> None:
    script = "#!/bin/sh\necho ran as $(id -u) >>/root/proof\n"
    files = {f"{NAME}meta_data.json": meta_data(key, uuid="uuid-1", hostname="vm-one.novalocal"),
             f"{NAME}user_data": script}  # fmt: skip
    drive = config_drive(tmp_path / "drive.iso", files)
    with machine(tmp_path / "vm", image, drive=drive) as guest:
        guest.until("user data script ended with 0")
        guest.until("BEGIN SSH HOST KEY FINGERPRINTS")
        guest.until(r"boot done \(instance uuid-1\)")
        guest.until("vm-one login: ")
        show = guest.ssh(key, "hostname; sudo cat /root/proof; df -m / | tail -n 1; cat /run/cirros/datasource/name")
        assert show.returncode == 0, show.stderr
        name, proof, size, source = show.stdout.splitlines()
        assert (name, proof, source) == ("vm-one", "ran as 0", "configdrive")
        assert int(size.split()[1]) > 900, "the root file system did not grow to the disk of 1 GiB"
        for program in ("ping", "nc", "wget", "curl --version", "ip link", "lsblk", "ssh -V"):
            assert guest.ssh(key, f"{program} 2>&1").returncode != 127, program

        plug_network(guest)
        address = guest.ssh(
            key, "for i in $(seq 100); do ip -4 -o addr show eth1 | grep inet && break; usleep 200000; done"
        )
        assert "inet 10.9.0.15/24" in address.stdout

        guest.type("cirros")
        guest.until("Password: ")
        guest.type("gocubsgo")
        guest.until(r"\$ ")
        guest.type("sudo id -u && sudo reboot")
        guest.until(r"boot done \(instance uuid-1\)")
        assert guest.ssh(key, "sudo cat /root/proof").stdout == "ran as 0\n", "user data ran twice"

        guest.qmp("system_powerdown")
        assert guest.process.wait(60) == 0


def plug_network(guest: Machine) -> None:
    guest.qmp("netdev_add", type="user", id="m", net="10.9.0.0/24")
    guest.qmp("device_add", driver="virtio-net-pci", netdev="m", id="nic2")


CONFIG = """#cloud-config
hostname: named-by-user
password: s3cret
ssh_pwauth: true
chpasswd: {expire: false}
write_files:
  - path: /etc/made/here
    owner: cirros:cirros
    permissions: '0640'
    encoding: b64
    content: aGVsbG8=
runcmd:
  - echo "one two" >/root/line
  - [sh, -c, "echo \\"$1\\" >/root/list", x, "it's here"]
"""


@pytest.fixture
def service(key: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A metadata service on loopback; pages can be changed while it runs."""
    pages: dict[str, str] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], pages
    server.shutdown()
    server.server_close()


def link_local(port: int) -> str:
    """QEMU's options of a network in which 169.254.169.254:80 is the service on our loopback."""
    return f",net=169.254.0.0/16,dhcpstart=169.254.7.7,guestfwd=tcp:169.254.169.254:80-cmd:busybox nc 127.0.0.1 {port}"


def test_metadata_service_that_comes_late_and_cloud_config(
    tmp_path: Path, image: Path, key: Path, service: tuple[int, dict[str, str]]
) -> None:
    port, pages = service
    with machine(tmp_path / "vm", image, net=link_local(port)) as guest:
        guest.until("sshd is up")
        time.sleep(3)  # the guest asks in vain for a while
        pages[f"/{NAME}user_data"] = CONFIG
        pages[f"/{NAME}meta_data.json"] = meta_data(key, uuid="uuid-2", hostname="vm-two")
        guest.until("data source openstack, hostname named-by-user")
        guest.until("boot done")
        guest.login("cirros", "s3cret")
        show = guest.ssh(key, "sudo cat /root/line /root/list; ls -l /etc/made/here; cat /etc/made/here; ps")
        assert show.stdout.startswith("one two\nit's here\n-rw-r-----    1 cirros   cirros")
        assert "\nhello" in show.stdout
        assert "dropbear -s" not in show.stdout, "passwords are still refused"


def test_ec2_metadata(tmp_path: Path, image: Path, key: Path, service: tuple[int, dict[str, str]]) -> None:
    port, pages = service
    pages |= {
        "/latest/meta-data/instance-id": "i-0000002a",
        "/latest/meta-data/hostname": "vm-three.novalocal",
        "/latest/meta-data/public-keys/": "0=mine",
        "/latest/meta-data/public-keys/0/openssh-key": key.with_suffix(".pub").read_text(),
        "/latest/user-data": "#!/bin/sh\necho hello from user data >/dev/console\n",
    }
    with machine(tmp_path / "vm", image, net=link_local(port), extra=["-M", "q35"]) as guest:
        guest.until("data source ec2, hostname vm-three")
        guest.until("hello from user data")
        guest.until(r"boot done \(instance i-0000002a\)")
        assert guest.ssh(key, "hostname").stdout == "vm-three\n"
