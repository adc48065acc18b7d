"""Debian's packages that the real hypervisor needs, and how they get here."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from onestack.engines import process
from onestack.engines.health import EngineError
from onestack.engines.paths import MACHINE_LOG, systemd

ENGINE_PACKAGES = (
    "ethtool",
    "genisoimage",  # config drives
    "iproute2",
    "kmod",
    "libvirt-daemon-system",
    "nftables",
    "openvswitch-switch",
    "ovn-central",
    "ovn-host",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
)
POLICY = Path("/usr/sbin/policy-rc.d")
NOVNC = Path("/opt/onestack/novnc")
DEBIANS = Path("/usr/lib/python3/dist-packages")
MARK = "# written by onestack for the time of one installation"
# What Debian would start for us at every boot although this cloud runs its own.
UNWANTED_UNITS = ("ovn-central.service", "ovn-host.service", "ovn-controller.service", "ovn-northd.service")

Report = Callable[[float, str], None]  # share from 0 to 1, what is being done


def missing(packages: list[str]) -> list[str]:
    """Those that dpkg does not know as installed."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return sorted(set(packages) - installed)


@contextlib.contextmanager
def services_held_back() -> Iterator[None]:
    """While packages are installed, their services are not started: `up` starts what it wants, as it wants it.

    Debian's hook for that is /usr/sbin/policy-rc.d; one that is there already is somebody's decision and stays. Ours
    is recognized by its mark, so one that a killed run left behind is taken away by the next.
    """
    ours = not POLICY.exists() or MARK in POLICY.read_text(encoding="utf-8", errors="replace")
    if ours:
        POLICY.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def install(packages: list[str], report: Report) -> None:
    """apt-get install, with its progress. Raises EngineError with apt's own first complaint."""
    wanted = missing(packages)
    if not wanted:
        return
    new_ovn = "ovn-central" in wanted
    with services_held_back():
        # What an interrupted installation left half configured.
        apt(["dpkg", "--configure", "-a"], report, 0.0, 0.02)
        try:
            apt(["apt-get", "update"], report, 0.02, 0.15)
        except EngineError as error:
            raise EngineError(f"apt cannot fetch its lists: {error}") from error
        apt(["apt-get", "install", "-y", "--no-install-recommends", *wanted], report, 0.15, 1.0)
    if systemd() and new_ovn:
        subprocess.run(["systemctl", "disable", "--now", *UNWANTED_UNITS], capture_output=True, check=False)
    left = missing(packages)
    if left:
        raise EngineError(f"apt did not install {', '.join(left)}")


def ensure_novnc(report: Report) -> None:
    """Unpack Debian's noVNC, of which only the pages are wanted: installed, it brings 40 Python packages along."""
    if any(Path(root, "usr/share/novnc").is_dir() for root in ("/", NOVNC)):
        return
    fresh = NOVNC.with_name("novnc.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # apt fetches as a user of its own where it can.
    fresh.chmod(0o755)
    apt(["apt-get", "download", "novnc"], report, 0.0, 0.9, directory=fresh)
    archives = list(fresh.glob("novnc_*.deb"))
    if not archives:
        raise EngineError("apt did not fetch the package novnc")
    process.run(["dpkg-deb", "-x", str(archives[0]), str(fresh)])
    archives[0].unlink()
    fresh.rename(NOVNC)


def apt(argv: list[str], report: Report, low: float, high: float, directory: Path = Path("/")) -> None:
    """Run one of apt's programs; its log goes to a file, its progress (APT::Status-Fd) to `report`."""
    log = Path(MACHINE_LOG, "apt.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    options = ["-q", "-o", f"APT::Status-Fd={writer}", "-o", "DPkg::Lock::Timeout=120"] if argv[0] == "apt-get" else []
    environment = {
        **process.clean_environment(),
        **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    with log.open("wb") as record:
        # Its own session: a Ctrl-C ends us, not dpkg in the middle of a package.
        child = subprocess.Popen(
            [argv[0], *options, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=record,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
        os.close(writer)
        follower = threading.Thread(target=follow, args=(reader, report, low, high), daemon=True)
        follower.start()
        code = child.wait()
    follower.join(timeout=2)
    if code:
        raise EngineError(complaint(log, argv))


def follow(reader: int, report: Report, low: float, high: float) -> None:
    """Lines like `dlstatus:1:37.5:Retrieving file 3 of 9` and `pmstatus:qemu-utils:62.0:Unpacking …`."""
    with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = re.match(r"(dlstatus|pmstatus):[^:]*:([0-9.]+):(.*)", line)
            if found:
                # Half of the bar for fetching, half for unpacking.
                share = float(found[2]) / 200 + (0.5 if found[1] == "pmstatus" else 0.0)
                report(low + (high - low) * min(share, 1.0), found[3].strip())


def complaint(log: Path, argv: list[str]) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("E:", "Err:", "dpkg: error"))]
    return f"{errors[0] if errors else argv[0] + ' failed'} (log: {log})"


def link_libvirt_binding(site: Path, debian: Path = DEBIANS) -> bool:
    """Make Debian's libvirt binding importable in a virtual environment; whether there is one for this Python."""
    return _link(site, debian, "libvirtmod*", "libvirt*.py")


def link_ceph_bindings(site: Path, debian: Path = DEBIANS) -> bool:
    """The same for python3-rados and python3-rbd."""
    return all([_link(site, debian, "rados"), _link(site, debian, "rbd")])


def _link(site: Path, debian: Path, compiled: str, beside: str = "") -> bool:
    """Only the binding's own files: nothing else of Debian's Python packages gets into the environment."""
    import sys

    modules = [*debian.glob(f"{compiled}.cpython-{sys.version_info.major}{sys.version_info.minor}-*.so")]
    if not modules:
        return False
    for source in [*modules, *(debian.glob(beside) if beside else ())]:
        link = site / source.name
        if link.is_symlink() and os.readlink(link) == str(source):
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return True
