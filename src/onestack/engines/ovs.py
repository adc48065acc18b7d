"""Open vSwitch: ovsdb-server and ovs-vswitchd, the machine's own (ovs-vswitchd(8), ovs-ctl(8)).

One that runs already is used as it is. With systemd it is Debian's `openvswitch-switch`; without, we start the two
programs on the same database and in the same run directory.

Datapath: the kernel's where its module is or can be loaded, else the userspace one (`netdev`).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from onestack.engines import process
from onestack.engines.health import EngineError, Health
from onestack.engines.paths import MACHINE_LOG, MACHINE_RUN, OVS_DATABASE, OVS_RUN, OVS_SCHEMA, systemd
from onestack.engines.process import Program

NAMES = ("ovsdb-server", "ovs-vswitchd")
# The userspace datapath reads taps through packet sockets, whose default buffer (208 KiB) overflows under load.
RECEIVE_BUFFER = 8 << 20
# Userspace connection tracking of these aborts when NATed connections reuse source ports; fixed in 3.1.3 and 3.3.
CONNTRACK_ABORTS = ((3, 0, 0), (3, 1, 3))


def programs() -> list[Program]:
    """The two programs, for a machine without systemd; ovs-vswitchd watches itself too (`--monitor`)."""
    logging = ["-vconsole:info", "-vsyslog:off", "-vfile:off"]
    database = [
        "ovsdb-server", OVS_DATABASE, *logging, "--no-chdir", f"--remote=punix:{OVS_RUN}/db.sock",
        f"--pidfile={OVS_RUN}/ovsdb-server.pid",
        f"--unixctl={OVS_RUN}/ovsdb-server.ctl",
    ]  # fmt: skip
    switch = [
        "ovs-vswitchd", f"unix:{OVS_RUN}/db.sock", *logging, "--no-chdir", "--monitor",
        f"--pidfile={OVS_RUN}/ovs-vswitchd.pid",
        f"--unixctl={OVS_RUN}/ovs-vswitchd.ctl",
    ]  # fmt: skip
    return [
        Program(
            name=name,
            argv=tuple(argv),
            pidfile=f"{MACHINE_RUN}/{name}.pid",
            log=f"{MACHINE_LOG}/{name}.log",
            env={"OVS_RUNDIR": OVS_RUN},
            shared=True,
            own_pidfile=f"{OVS_RUN}/{name}.pid",
        )
        for name, argv in zip(NAMES, (database, switch), strict=True)
    ]


def answers(path: str) -> bool:
    """Whether somebody accepts connections on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def database_answers() -> bool:
    return answers(f"{OVS_RUN}/db.sock")


def switch_pid() -> int | None:
    return process.foreign_pid(f"{OVS_RUN}/ovs-vswitchd.pid", "ovs-vswitchd")


def ours() -> bool:
    """Whether what runs was started by one of this machine's clouds, not by systemd or by somebody's hand."""
    return any(process.running(program) for program in programs())


def ensure_running() -> None:
    """Raises EngineError with one line that says what is wrong."""
    if not (database_answers() and switch_pid()):
        if systemd():
            process.run(["systemctl", "enable", "--now", "openvswitch-switch.service"], seconds=60)
        else:
            start()
    if not process.wait_for(lambda: database_answers() and switch_pid() is not None, 15):
        raise EngineError(f"Open vSwitch does not start: {why()}")
    vsctl("--no-wait", "init")


def start() -> None:
    if not shutil.which("ovs-vswitchd", path=process.clean_environment()["PATH"]):
        raise EngineError("Open vSwitch is not installed (package openvswitch-switch)")
    for directory in (OVS_RUN, MACHINE_RUN, MACHINE_LOG, os.path.dirname(OVS_DATABASE)):
        Path(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
    if not os.path.exists(OVS_DATABASE):
        part = f"{OVS_DATABASE}.new"
        Path(part).unlink(missing_ok=True)
        process.run(["ovsdb-tool", "create", part, OVS_SCHEMA])
        os.replace(part, OVS_DATABASE)
    elif process.run(["ovsdb-tool", "needs-conversion", OVS_DATABASE, OVS_SCHEMA]).strip() == "yes":
        process.run(["ovsdb-tool", "convert", OVS_DATABASE, OVS_SCHEMA])
    if datapath() == "netdev":
        enlarge_buffers()
    database, switch = programs()
    process.start(database)
    if not process.wait_for(database_answers, 10):
        raise EngineError(f"ovsdb-server does not start: {why()}")
    process.start(switch)


def stop() -> None:
    """Only what the clouds of this machine started. Taps and their addresses stay with the VMs that hold them."""
    database, switch = programs()
    pid = switch_pid() if process.running(switch) else None
    process.stop(switch)
    # The watcher that we started ends with its child, but a child whose watcher was killed is still there.
    if pid:
        process.stop_pid(pid)
    process.stop(database)


def look() -> list[Health]:
    if not shutil.which("ovs-vsctl", path=process.clean_environment()["PATH"]):
        return [Health("openvswitch", "absent", "not installed (package openvswitch-switch)")]
    if not database_answers():
        return [
            Health(NAMES[0], "down", f"nobody answers on {OVS_RUN}/db.sock{after(why())}"),
            Health(NAMES[1], "down"),
        ]
    database = process.foreign_pid(f"{OVS_RUN}/ovsdb-server.pid", "ovsdb-server")
    pid = switch_pid()
    if not pid:
        return [Health(NAMES[0], "up", pid=database), Health(NAMES[1], "down", why())]
    kind = "kernel datapath" if datapath() == "system" else "userspace datapath"
    return [Health(NAMES[0], "up", pid=database), Health(NAMES[1], "up", kind, pid)]


def after(reason: str) -> str:
    return f" ({reason})" if reason else ""


def why() -> str:
    """The newest complaint in the logs of what we started."""
    for name in reversed(NAMES):
        line = process.last_line(f"{MACHINE_LOG}/{name}.log")
        if any(word in line for word in ("|ERR|", "|EMER|", "|WARN|", f"{name}:")):
            return line
    return ""


def vsctl(*arguments: str) -> str:
    """One ovs-vsctl transaction. It would wait for ever for a dead switch, so it never waits longer than this."""
    return process.run(["ovs-vsctl", f"--db=unix:{OVS_RUN}/db.sock", "--timeout=15", *arguments]).strip()


def datapath() -> str:
    """`system` when the kernel has the openvswitch module, or loads it; else `netdev`."""
    if os.path.isdir("/sys/module/openvswitch"):
        return "system"
    if os.geteuid() == 0 and shutil.which("modprobe", path=process.clean_environment()["PATH"]):
        subprocess.run(
            ["modprobe", "-q", "openvswitch"], capture_output=True, env=process.clean_environment(), check=False
        )
    return "system" if os.path.isdir("/sys/module/openvswitch") else "netdev"


def version() -> tuple[int, ...]:
    """(3, 1, 0); empty when it cannot be told."""
    try:
        words = process.run(["ovs-vswitchd", "--version"])
    except EngineError:
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", words)
    return tuple(int(part) for part in found.groups()) if found else ()


def danger() -> str:
    """What an operator must know about this Open vSwitch, or nothing."""
    known = version()
    lowest, fixed = CONNTRACK_ABORTS
    if known and lowest <= known < fixed and datapath() == "netdev":
        number = ".".join(str(part) for part in known)
        return (
            f"Open vSwitch {number} in userspace: any VM can make it restart (3 s without network) by reusing source "
            "ports through NAT; 3.1.3, 3.3 or the kernel module do not have this"
        )
    return ""


def enlarge_buffers() -> None:
    """net.core.rmem_default is the machine's, so it is only ever raised. Containers may not write it."""
    path = Path("/proc/sys/net/core/rmem_default")
    try:
        if int(path.read_text(encoding="ascii")) < RECEIVE_BUFFER:
            path.write_text(str(RECEIVE_BUFFER), encoding="ascii")
    except OSError:
        return
