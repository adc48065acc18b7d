"""A cloud for clients: brought up by the product's own command, and what the lines of the sheet speak of made in it."""

from __future__ import annotations

import os
import pty
import random
import re
import secrets
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from onestack import config
from onestack.cli import credentials, demo, ports
from tests.clients import environments

REPOSITORY = Path(__file__).parents[2]
ADMIN_TOKEN = secrets.token_hex(16)
PASSWORD = "nova"  # of the service's user, as the sheet has it
IMAGE = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Said:
    code: int
    out: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace")


class ClientCloud:
    def __init__(self, folder: Path) -> None:
        self.state, self.work, self.home = folder / "state", folder / "work", folder / "home"
        for directory in (self.state, self.work, self.home):
            directory.mkdir()
        candidates = (random.randrange(10_000, 30_000) for _ in range(100))
        offset = next(
            number
            for number in candidates
            if not any(ports.in_use("127.0.0.1", port + number) for port in config.PORTS.values())
        )
        lines = [f"port_offset = {offset}", 'hypervisor = "fake"', "[identity]", f'admin_token = "{ADMIN_TOKEN}"']
        (self.state / "onestack.toml").write_text("\n".join(lines) + "\n")
        self.values: dict[str, str] = {}

    def up(self) -> None:
        done = self.onestack("up", "--hypervisor", "fake", "--no-boot")
        assert done.code == 0, done.errors
        self.settings = config.load(str(self.state))
        self._furnish()

    def onestack(self, *words: str) -> Said:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ONESTACK_"))}
        environment["PYTHONPATH"] = str(REPOSITORY / "src")
        argv = [sys.executable, "-m", "onestack.cli.main", "--state", str(self.state), *words]
        return _run(argv, environment, self.work, 120)

    def _furnish(self) -> None:
        api = demo.admin(self.settings)
        role = api.post("identity", "/roles", {"role": {"name": "operator"}})["role"]["id"]
        project = api.post("identity", "/projects", {"project": {"name": "services"}})["project"]["id"]
        admin = api.get("identity", "/roles?name=admin")["roles"][0]["id"]
        users = {}
        for name in ("nova", "ann"):
            body = {"user": {"name": name, "password": PASSWORD}}
            users[name] = api.post("identity", "/users", body)["user"]["id"]
        api.call("identity", "PUT", f"/projects/{project}/users/{users['nova']}/roles/{admin}")
        (self.work / "arch_linux.img").write_bytes(IMAGE)
        body = {"name": "shared", "disk_format": "raw", "container_format": "bare", "visibility": "shared"}
        image = api.post("image", "/images", body)["id"]
        api.upload(image, self.work / "arch_linux.img", lambda share: None)
        password = credentials.variables(self.settings, "admin")["OS_PASSWORD"]
        self.values = {
            "user_id": users["ann"], "userid": users["ann"], "role_id": role, "id_of_admin_role": admin,
            "tenant_id": project, "tenantid": project, "tenant": project, "image": image, "your_secret": ADMIN_TOKEN,
            "whatever": password, "state": str(self.state),
        }  # fmt: skip

    def filled(self, text: str) -> str:
        """A line with what stands in <angle brackets>, and with this cloud's ports for the well-known ones."""
        for service in ("identity", "identity-admin"):
            text = text.replace(f":{config.PORTS[service]}/", f":{self.settings.port(service)}/")
        return re.sub(r"<(\w+)>", lambda found: self.values[found[1]], text)

    def environment(self, kind: str) -> dict[str, str]:
        """`v2`: the four variables of the sheet; `v3`: those of today; `none`."""
        base = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore",
            "COLUMNS": "200", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        if kind == "v2":
            base |= credentials.variables_v2(self.settings, "admin")
        elif kind == "v3":
            base |= credentials.variables(self.settings, "admin")
        return base

    def run(self, client: str, command: str, kind: str, **more: str) -> Said:
        """Run a line as the sheet has it; its first word is a program of that client, or of the checkout."""
        words = shlex.split(self.filled(command))
        environment = self.environment(kind) | {name: self.filled(value) for name, value in more.items()}
        if client == "checkout":
            environment = {**os.environ, "ONESTACK_STATE": str(self.state)}
            return _run([str(REPOSITORY / words[0]), *words[1:]], environment, self.work, 120)
        return _run([environments.program(client, words[0]), *words[1:]], environment, self.work, 120)


def _run(argv: list[str], environment: dict[str, str], directory: Path, seconds: int) -> Said:
    """With a terminal as its input, as somebody at a keyboard has: `glance` takes anything else for an image."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            argv, stdin=slave, capture_output=True, env=environment, cwd=directory, timeout=seconds, check=False
        )
    finally:
        os.close(slave)
        os.close(master)
    return Said(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
