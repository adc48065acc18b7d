"""A real cloud, brought up by the product's own command and looked at from outside: clients, processes, engines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from openstack.config.loader import OpenStackConfig
from openstack.connection import Connection

from onestack import config
from onestack.engines import external, ovn, ovs, paths
from tests.system.waiting import until

LAUNCHER = Path(__file__).parents[2] / "onestack"


class SystemCloud:
    def __init__(self, state: Path, offset: int) -> None:
        self.state, self.offset = state, offset

    def onestack(self, *words: str, seconds: float = 600) -> str:
        """The product's command line; what it prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
        argv = [str(LAUNCHER), "--state", str(self.state), "--port-offset", str(self.offset), *words]
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=seconds)
        assert done.returncode in ((0, 3) if words[0] == "status" else (0,)), done.stdout + done.stderr
        return done.stdout

    @property
    def settings(self) -> config.Settings:
        return config.load(str(self.state))

    # -- processes ----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return json.loads(self.onestack("status", "--json"))

    def pid(self, name: str) -> int:
        """The pid of one of the cloud's programs, from its pid file; 0 when it does not run."""
        directories = (paths.supervisor_directory(self.settings), Path(paths.MACHINE_RUN))
        for directory in directories:
            file = directory / f"{name}.pid"
            if file.exists():
                pid = int(file.read_text().split()[0])
                return pid if Path(f"/proc/{pid}").exists() else 0
        return 0

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """End a process and wait until it is gone."""
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, number)
            until(lambda: not alive(pid), 15, f"the end of {pid}", 0.02)
        finally:
            os.close(handle)

    def wait_until_well(self, seconds: float = 60) -> None:
        until(lambda: self.status()["ok"] or wrong(self.status()), seconds, "all is well")

    # -- clients ------------------------------------------------------------------------------------------

    def connect(self, name: str = "demo", **more: Any) -> Connection:
        """openstacksdk, from the generated clouds.yaml."""
        found = OpenStackConfig(config_files=[str(self.state / "clouds.yaml")], load_envvars=False)
        return Connection(config=found.get_one(cloud=name, **more))

    def connect_as(self, user: str, password: str, project: str) -> Connection:
        auth = {"username": user, "password": password, "project_name": project}
        return self.connect("demo", auth={**self.connect("demo").config.config["auth"], **auth})

    # -- the host -----------------------------------------------------------------------------------------

    @property
    def host_address(self) -> str:
        """The host's own address on br-ex, which is the gateway of the external network."""
        return str(external.address(self.settings).ip)

    def qemu_pid(self, server_id: str) -> int:
        """0 when the server's QEMU does not run."""
        file = Path(f"/run/libvirt/qemu/instance-{server_id}.pid")
        try:
            pid = int(file.read_text())
        except (OSError, ValueError):
            return 0
        return pid if alive(pid) else 0

    def sbctl(self, *words: str) -> str:
        return ctl("ovn-sbctl", paths.engine_paths(self.settings).sb_db, *words)

    def nbctl(self, *words: str) -> str:
        return ctl("ovn-nbctl", paths.engine_paths(self.settings).nb_db, *words)

    # -- the end ------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Servers, processes, bridges and files: everything that `up` and the tests made."""
        settings = self.settings
        conn = self.connect("onestack")
        for server in conn.compute.servers(all_projects=True):
            conn.compute.delete_server(server, force=False)
        until(lambda: not list(conn.compute.servers(all_projects=True)), 90, "no server is left")
        self.onestack("down")
        if not ovs.database_answers():
            ovs.ensure_running()
        ovn.forget_chassis(settings)
        external.stop(settings)
        if ovs.ours() and not others(settings):
            ovs.stop()
        shutil.rmtree(self.state)


def others(settings: config.Settings) -> list[str]:
    """The state directories of other clouds of this machine whose supervisor runs."""
    found = []
    for note in Path(paths.MACHINE_RUN).glob("cloud*"):
        state = note.read_text()
        keeper = Path(state, "supervisor", "supervisor.pid")
        if state != settings.state and keeper.exists() and alive(int(keeper.read_text().split()[0])):
            found.append(state)
    return found


def alive(pid: int) -> bool:
    """A zombie is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def wrong(status: dict[str, Any]) -> bool:
    """Fails with the lines of a status that are not well."""
    kinds = ("processes", "apis", "hosts", "engines")
    bad = [row for kind in kinds for row in status[kind] if row["state"] != "up"]
    assert not bad, bad
    return True


def ctl(program: str, database: str, *words: str) -> str:
    argv = [program, f"--db={database}", "--timeout=10", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
