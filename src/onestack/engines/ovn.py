"""OVN: the two databases, ovn-northd and ovn-controller of one cloud (ovn-architecture(7), ovn-controller(8)).

All four are the cloud's own, with or without systemd: Debian's units know one OVN a machine, and their sockets are
root's. The databases and northd run as the unprivileged user; only ovn-controller, which programs Open vSwitch, is
root.

Chassis: the controller is started with its name (`-n`), and its settings in the shared Open vSwitch database carry
that name as a suffix, so that several clouds' controllers don't see each other's.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

from onestack.config import Settings
from onestack.engines import ovs, process
from onestack.engines.health import EngineError, Health
from onestack.engines.paths import (
    MACHINE_RUN,
    OVN_SCHEMAS,
    OVS_RUN,
    engine_paths,
    log,
    pidfile,
)
from onestack.engines.process import Program

DATABASES = {"ovn-nb": ("ovnnb", "ovn-nb.ovsschema"), "ovn-sb": ("ovnsb", "ovn-sb.ovsschema")}
NAMES = ("ovn-nb", "ovn-sb", "ovn-northd", "ovn-controller")
# To standard error, which whoever starts them sends to the log: the unprivileged ones could not open it themselves.
TO_STDERR = ("-vconsole:info", "-vsyslog:off", "-vfile:off", "--no-chdir")


def programs(settings: Settings, user: str) -> list[Program]:
    """How the four are started; `user` is the unprivileged one."""
    paths, run = engine_paths(settings), str(settings.path("run"))
    environment = {"OVN_RUNDIR": run, "OVS_RUNDIR": run}
    rows: list[tuple[str, list[str], str, dict[str, str]]] = []
    for name, (stem, _) in DATABASES.items():
        argv = ["ovsdb-server", str(database(settings, stem)), f"--remote=punix:{run}/{stem}_db.sock"]
        rows.append((name, argv, user, environment))
    northd = ["ovn-northd", f"--ovnnb-db={paths.nb_db}", f"--ovnsb-db={paths.sb_db}"]
    rows.append(("ovn-northd", northd, user, environment))
    # It talks to the bridges through sockets of Open vSwitch, so that run directory is the machine's.
    controller = ["ovn-controller", paths.ovs_db, "-n", settings.hostname]
    rows.append(("ovn-controller", controller, "", {"OVN_RUNDIR": MACHINE_RUN, "OVS_RUNDIR": OVS_RUN}))
    return [program(settings, *row) for row in rows]


def program(settings: Settings, name: str, argv: list[str], user: str, environment: dict[str, str]) -> Program:
    options = [*TO_STDERR]
    if name != "ovn-controller":  # it has no such option before OVN 24.03
        options.append(f"--unixctl={settings.path('run', name)}.ctl")
    return Program(
        name=name,
        argv=(*argv, *options),
        pidfile=pidfile(settings, name),
        log=log(settings, name),
        user=user,
        env=environment,
    )


def database(settings: Settings, stem: str) -> Path:
    return settings.path("engines", f"{stem}.db")


def ensure_databases(settings: Settings, user: str) -> None:
    """Create the two files, or bring them to the installed OVN's schema; owned by who serves them."""
    for stem, schema in DATABASES.values():
        path, source = database(settings, stem), f"{OVN_SCHEMAS}/{schema}"
        if not os.path.exists(source):
            raise EngineError("OVN is not installed (packages ovn-central, ovn-host)")
        if not path.exists():
            part = path.with_name(f"{path.name}.new")
            part.unlink(missing_ok=True)
            process.run(["ovsdb-tool", "create", str(part), source])
            own(part, user)
            part.replace(path)
        elif process.run(["ovsdb-tool", "needs-conversion", str(path), source]).strip() == "yes":
            process.run(["ovsdb-tool", "convert", str(path), source])
            own(path, user)


def own(path: Path, user: str) -> None:
    import pwd

    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def ensure_chassis(settings: Settings) -> None:
    """Tell Open vSwitch what this cloud's controller needs to know, and make its integration bridge."""
    paths, kind = engine_paths(settings), ovs.datapath()
    bridge = paths.integration_bridge
    values = {
        "ovn-remote": paths.sb_db,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": host_address(),
        "ovn-bridge": bridge,
        "ovn-bridge-datapath-type": kind,
        "ovn-bridge-mappings": f"{paths.physical_network}:{paths.external_bridge}",
        "hostname": settings.hostname,
    }
    options = [f'external_ids:{key}-{settings.hostname}="{value}"' for key, value in values.items()]
    ovs.vsctl(
        "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, f"datapath_type={kind}", "fail_mode=secure",
        "other_config:disable-in-band=true", "--", "set", "Open_vSwitch", ".", *options,
        # A chassis name in the database would be taken by a controller of Debian's unit.
        "external_ids:rundir=" + OVS_RUN,
    )  # fmt: skip


def host_address() -> str:
    """The address that other hosts reach this one at: the source of its default route, else loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # no packet is sent
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def ensure_running(settings: Settings, user: str) -> None:
    """Start the four directly; `up` leaves that to the supervisor or systemd and only prepares what they need."""
    ensure_databases(settings, user)
    ensure_chassis(settings)
    for item in programs(settings, user):
        process.start(item)
    wait_for_databases(settings)


def wait_for_databases(settings: Settings, seconds: float = 15.0) -> None:
    for name, (stem, _) in DATABASES.items():
        path = str(settings.path("run", f"{stem}_db.sock"))
        if not process.wait_for(functools.partial(ovs.answers, path), seconds):
            raise EngineError(
                f"{name} does not start: {process.last_line(log(settings, name)) or 'no word in its log'}"
            )


def wait_for_chassis(settings: Settings, seconds: float = 20.0) -> None:
    """Until the controller has registered itself in the southbound database."""

    def registered() -> bool:
        words = ["--bare", "--columns=_uuid", "find", "Chassis", f"name={settings.hostname}"]
        database = engine_paths(settings).sb_db
        return bool(process.run(["ovn-sbctl", f"--db={database}", "--timeout=5", *words]).strip())

    if not process.wait_for(registered, seconds, 0.1):
        reason = process.last_line(log(settings, "ovn-controller"))
        raise EngineError(f"ovn-controller does not register this host: {reason or 'no word in its log'}")


def stop(settings: Settings, user: str) -> None:
    for item in reversed(programs(settings, user)):
        process.stop(item)


def forget_chassis(settings: Settings) -> None:
    """Take this cloud's bridge and its settings out of the shared Open vSwitch."""
    bridge = engine_paths(settings).integration_bridge
    keys = ("remote", "encap-type", "encap-ip", "bridge", "bridge-datapath-type", "bridge-mappings")
    words = [f"ovn-{key}-{settings.hostname}" for key in keys]
    ovs.vsctl(
        "--if-exists", "del-br", bridge, "--", "remove", "Open_vSwitch", ".", "external_ids", *words,
        f"hostname-{settings.hostname}",
    )  # fmt: skip


def look(settings: Settings) -> list[Health]:
    found = []
    for item in programs(settings, ""):
        pid = find_pid(item)
        reason = process.last_line(item.log) if not pid else ""
        found.append(Health(item.name, "up" if pid else "down", reason, pid))
    for index, (stem, _) in enumerate(DATABASES.values()):
        path = str(settings.path("run", f"{stem}_db.sock"))
        if found[index].good and not ovs.answers(path):
            found[index] = Health(found[index].name, "wrong", f"nobody answers on {path}", found[index].pid)
    return found


def find_pid(item: Program) -> int | None:
    """Of our own pid file, or of the systemd unit."""
    from onestack.engines import systemd

    return process.running(item) or systemd.main_pid(item)
