"""What this machine has and lacks: one line each, with the fix. `doctor` prints them all, `up` stops at the worst."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onestack import config
from onestack.cli import ports, programs
from onestack.config import Settings
from onestack.engines import kvm, ovs, packages
from onestack.engines.paths import systemd

GIB = 1 << 30
REAL_DISK, FAKE_DISK = 3 * GIB, 256 << 20
LEAST_MEMORY = 1536  # MiB, for a real hypervisor


@dataclass(frozen=True)
class Check:
    """`level`: ok, note (works, but less well) or bad (does not work)."""

    name: str
    level: Literal["ok", "note", "bad"]
    words: str
    fix: str = ""


def python() -> Check:
    number = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", "ok", f"Python {number}, {sys.executable}")


def root(settings: Settings) -> Check:
    if os.geteuid() == 0:
        return Check("root", "ok", "running as root")
    if settings.hypervisor == "fake":
        return Check("root", "ok", "not root, and the fake hypervisor needs none")
    return Check(
        "root", "bad", "real VMs and networks need root", "sudo ./onestack up (or --hypervisor fake, for the APIs only)"
    )


def parent_that_exists(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def disk(settings: Settings) -> Check:
    place = parent_that_exists(settings.root)
    free = shutil.disk_usage(place).free
    least = REAL_DISK if programs.real(settings) else FAKE_DISK
    words = f"{free / GIB:.1f} GiB free for {settings.state}"
    if free < least:
        return Check(
            "disk", "bad", f"{words}; at least {least / GIB:.1f} are needed", "free some, or --state elsewhere"
        )
    if os.statvfs(place).f_favail == 0 and os.statvfs(place).f_files:
        return Check(
            "disk", "bad", f"no inode is free on the file system of {place}", "remove files, or --state elsewhere"
        )
    return Check("disk", "ok", words)


def memory(settings: Settings) -> Check:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    if programs.real(settings) and available < LEAST_MEMORY:
        words = f"{available} MiB of memory available; VMs may not fit"
        return Check("memory", "note", words, f"have {LEAST_MEMORY} MiB or more")
    return Check("memory", "ok", f"{available} MiB available")


def port(settings: Settings) -> list[Check]:
    """One check for each port that somebody else has; one in all when they are free or ours."""
    if any(programs.pid(server) for server in programs.servers(settings)):
        return [Check("ports", "ok", "held by this cloud's server")]
    taken = []
    for service in config.PORTS:
        number = settings.port(service)
        if ports.in_use(settings.bind, number):
            words = f"port {number} ({service}) is in use by {ports.owner(number)}"
            taken.append(Check("ports", "bad", words, "stop that, or use --port-offset N with another --state"))
    first, last = (settings.port(name) for name in ("metadata", "identity"))
    return taken or [Check("ports", "ok", f"{len(config.PORTS)} ports are free ({last}, {first} …)")]


def database(settings: Settings) -> Check:
    """Nothing of the address but host and name is said: there may be a password in it."""
    if not settings.database.startswith("postgresql"):
        return Check("database", "ok", "SQLite in the state directory")
    try:
        import psycopg
    except ImportError:
        return Check("database", "note", "PostgreSQL, which can't be looked at yet")
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(settings.database, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
        url = engine.url
        where = f"PostgreSQL database {url.database or '-'} on {url.host or url.query.get('host') or 'this machine'}"
        with engine.connect() as connection:
            collation = connection.exec_driver_sql(
                "SELECT datcollate FROM pg_database WHERE datname = current_database()"
            ).scalar_one()
    except sa.exc.ArgumentError:
        return Check(
            "database", "bad", "`database` in onestack.toml is no database's address", "see docs/operations.md"
        )
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[-1] if isinstance(error.orig, psycopg.Error) else "no answer"
        return Check("database", "bad", f"{where} cannot be reached: {reason}", "start it, or repair `database`")
    if collation not in ("C", "C.UTF-8", "C.utf8", "POSIX"):
        fix = "none needed; CREATE DATABASE … TEMPLATE template0 LC_COLLATE 'C' sorts names as SQLite does"
        return Check("database", "note", f"{where} sorts text as {collation} does", fix)
    return Check("database", "ok", f"{where} answers")


def virtualization(settings: Settings) -> Check:
    if not programs.real(settings):
        return Check("kvm", "ok", "not needed by the fake hypervisor")
    if not shutil.which("qemu-system-x86_64"):
        reason = kvm.device_problem()
        words = reason or "/dev/kvm is there; it is tried with a guest as soon as QEMU is installed"
        return Check("kvm", "note" if reason else "ok", words)
    answer = kvm.probe()
    if answer.works:
        return Check("kvm", "ok", f"KVM works: {answer.reason}")
    fix = "none needed; a machine with working hardware virtualization makes VMs 10 times faster"
    return Check("kvm", "note", f"KVM does not work here, VMs are emulated (TCG): {answer.reason}", fix)


def datapath(settings: Settings) -> list[Check]:
    if not programs.real(settings):
        return []
    if ovs.datapath() == "system":
        return [Check("openvswitch", "ok", "the kernel has the openvswitch module")]
    fix = "none needed; a kernel with the module is some 10 times faster"
    found = [Check("openvswitch", "note", "no openvswitch kernel module: the userspace datapath is used", fix)]
    danger = ovs.danger() if shutil.which("ovs-vswitchd", path="/usr/sbin:/usr/bin") else ""
    if danger:
        found.append(Check("openvswitch", "note", danger, "a kernel with the module, or Open vSwitch 3.3"))
    return found


def installed(settings: Settings) -> Check:
    if not programs.real(settings):
        return Check("packages", "ok", "none needed by the fake hypervisor")
    left = packages.missing(wanted_packages())
    if left:
        return Check("packages", "note", f"not installed: {', '.join(left)}", "`onestack up` installs them with apt")
    return Check("packages", "ok", f"{len(wanted_packages())} Debian packages are installed")


def wanted_packages() -> list[str]:
    """Of the engines, and of the tools that build the guest image."""
    from onestack.guest import mini

    return sorted({*packages.ENGINE_PACKAGES, *mini.PACKAGES})


def init() -> Check:
    if systemd():
        return Check("init", "ok", "systemd keeps the cloud running")
    return Check("init", "ok", "no systemd: onestack's own supervisor keeps the cloud running, until the next boot")


def quick(settings: Settings) -> list[Check]:
    """What `up` makes sure of before it touches anything."""
    from onestack.cli import image_checks

    found = [python(), root(settings), disk(settings), *port(settings), database(settings)]
    return [*found, *image_checks.protections(settings)]


def every(settings: Settings) -> list[Check]:
    from onestack.cli import extras, identity_checks, image_checks

    more = [memory(settings), installed(settings), virtualization(settings), *datapath(settings), init()]
    more += [*extras.checks(settings), *identity_checks.policies(settings), *image_checks.stores(settings)]
    more += image_checks.plugins(settings)
    return [*quick(settings), *more]
