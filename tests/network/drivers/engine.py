"""A real northbound and southbound database in a temporary directory: needs ovsdb-server, but no root."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from onestack.network.drivers.ovn import ovsdb

SCHEMAS = {"nb": "/usr/share/ovn/ovn-nb.ovsschema", "sb": "/usr/share/ovn/ovn-sb.ovsschema"}
NAMES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}


def installed() -> bool:
    return bool(shutil.which("ovsdb-server")) and all(Path(path).exists() for path in SCHEMAS.values())


def wait_for(condition: Any, seconds: float = 10.0) -> Any:
    """What `condition()` returned once it was true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


class Databases:
    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="os-ovn-"))  # short: a socket's path has 107 characters at most
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for which, schema in SCHEMAS.items():
            subprocess.run(["ovsdb-tool", "create", self.root / f"{which}.db", schema], check=True)
            self.start(which)

    def remote(self, which: str) -> str:
        return f"unix:{self.root}/{which}.sock"

    def start(self, which: str) -> None:
        socket = self.root / f"{which}.sock"
        self.processes[which] = subprocess.Popen(
            [
                "ovsdb-server",
                f"--remote=punix:{socket}",
                f"--unixctl={self.root}/{which}.ctl",
                "--no-chdir",
                "-vconsole:off",
                str(self.root / f"{which}.db"),
            ],
            env={"OVS_RUNDIR": str(self.root), "PATH": "/usr/bin:/usr/sbin:/bin"},
        )
        wait_for(lambda: not ovsdb.probe(self.remote(which), NAMES[which]))

    def kill(self, which: str) -> None:
        self.processes[which].kill()
        self.processes[which].wait()

    def close(self) -> None:
        for which in self.processes:
            self.kill(which)
        shutil.rmtree(self.root)

    def transact(self, which: str, *operations: Any) -> list[Any]:
        client = ovsdb.Client(self.remote(which), NAMES[which])
        try:
            return client.transact(list(operations))
        finally:
            client.close()

    def rows(self, table: str, columns: list[str] | None = None, which: str = "nb") -> list[dict[str, Any]]:
        operation: dict[str, Any] = {"op": "select", "table": table, "where": []}
        if columns:
            operation["columns"] = ["_uuid", *columns]
        found = self.transact(which, operation)[0]["rows"]
        return [{name: ovsdb.decode(value) for name, value in row.items()} for row in found]

    def row(self, table: str, uuid: str) -> dict[str, Any] | None:
        return next((row for row in self.rows(table) if row["_uuid"] == uuid), None)

    def content(self) -> str:
        """Everything in the northbound database, but for versions: equal when nothing differs."""
        tables = json.loads(Path(SCHEMAS["nb"]).read_text())["tables"]
        everything = {}
        for table in tables:
            rows = [
                {name: _plain(value) for name, value in row.items() if name != "_version"} for row in self.rows(table)
            ]
            everything[table] = sorted(rows, key=lambda row: str(row["_uuid"]))
        return json.dumps(everything, indent=1, sort_keys=True)

    def clear(self) -> None:
        tables = ("Logical_Switch", "Logical_Router", "Port_Group", "DHCP_Options", "DNS")
        self.transact("nb", *({"op": "delete", "table": table, "where": []} for table in tables))


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, frozenset) else value
