"""`onestack up`: from whatever state the machine is in to a running cloud.

Every step ensures, so that Ctrl-C at any point and `up` again works.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import site
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from onestack.cli import checks, client, credentials, demo, layout, programs, restart, summary
from onestack.cli.problems import Problem
from onestack.cli.progress import Step, note
from onestack.cli.settings import of
from onestack.config import Settings
from onestack.engines import external, kvm, libvirt, ovn, ovs, packages, process
from onestack.engines.health import EngineError

# What a cloud is useful with; the console's pages may lack a package, which `status` tells.
APIS = ("identity", "identity-admin", "image", "compute", "metadata", "placement", "network")
PATIENCE = 60.0


def run(options: argparse.Namespace) -> int:
    settings = of(options)
    refuse(checks.root(settings))
    layout.ensure_directories(settings, ensure_user(settings))
    with layout.alone(settings):
        settings = prepare(settings)
        start(settings)
        vm = furnish(settings, boot=not options.no_boot)
    print(summary.after_up(settings, vm))
    return 0


def ensure_user(settings: Settings) -> str:
    """Who the server will run as; made when it is missing."""
    user = layout.service_user(programs.real(settings))
    if user:
        layout.ensure_user()
    return user


def refuse(*found: checks.Check) -> None:
    """Raise Problem for the first check that failed."""
    for check in found:
        if check.level == "bad":
            raise Problem(check.words, check.fix)


def prepare(settings: Settings) -> Settings:
    """All that must be there before anything is started; the settings with the hypervisor chosen."""
    user = layout.service_user(programs.real(settings))
    refuse(*checks.quick(settings))
    if programs.real(settings):
        install()
    if settings.database.startswith("postgresql"):
        ensure_psycopg()
        refuse(checks.database(settings))
    if any(store.type == "rbd" for store in settings.image.stores.values()):
        ensure_ceph_bindings()
    chosen = choose_hypervisor(settings)
    settings = layout.ensure_settings(settings, chosen, user)
    layout.ensure_secrets(settings, user)
    if user:
        check_access(settings, user)
    return settings


def install() -> None:
    wanted = checks.wanted_packages()
    if packages.missing(wanted):
        with Step("Installing Debian packages") as step:
            packages.install(wanted, lambda share, words: step.update(share, words))
    try:
        with Step("Fetching noVNC") as step:
            packages.ensure_novnc(lambda share, words: step.update(share, words))
    except EngineError as error:
        note(f"consoles in the browser will not work: {error}")
    ensure_libvirt_binding()


def ensure_ceph_bindings() -> None:
    """Debian's bindings of Ceph, for who stores images there and has them; the doctor says when they are missing."""
    if sys.prefix != sys.base_prefix:
        packages.link_ceph_bindings(Path(sysconfig.get_paths()["platlib"]))


def ensure_psycopg() -> None:
    """PostgreSQL's client, for who uses it. Raises Problem."""
    if importlib.util.find_spec("psycopg") is not None:
        return
    with Step("Installing psycopg"):
        argv = [sys.executable, "-m", "pip", "install", "-q", "psycopg[binary]>=3.2"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem("psycopg, which speaks to PostgreSQL, could not be installed", " ".join(argv))
    importlib.invalidate_caches()


def ensure_libvirt_binding() -> None:
    """Debian's binding where our Python is Debian's; else it is built (which needs a compiler). Raises Problem."""
    place = Path(sysconfig.get_paths()["platlib"])
    if sys.prefix != sys.base_prefix and packages.link_libvirt_binding(place):
        return
    probe = subprocess.run([sys.executable, "-c", "import libvirt"], capture_output=True, check=False)
    if probe.returncode == 0:
        return
    with Step("Building the libvirt binding"):
        argv = [sys.executable, "-m", "pip", "install", "-q", "libvirt-python>=9.0"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(
            f"no libvirt binding for Python {sys.version_info.major}.{sys.version_info.minor}",
            "use Debian's /usr/bin/python3, or apt install gcc pkg-config libvirt-dev python3-dev",
        )
    site.main()


def choose_hypervisor(settings: Settings) -> str:
    """`auto` becomes kvm or qemu by running a guest; a wish for kvm is only granted where it works."""
    if settings.hypervisor in ("fake", "qemu"):
        return settings.hypervisor
    with Step("Trying KVM with a tiny guest"):
        answer = kvm.cached_probe(settings.path("cache", "kvm-probe.json"))
    if answer.works:
        return "kvm"
    if settings.hypervisor == "kvm":
        raise Problem(f"KVM does not work here: {answer.reason}", "--hypervisor qemu (emulation), or auto")
    note(f"KVM does not work here, so VMs are emulated (TCG, some 10 times slower): {answer.reason}")
    return "qemu"


def check_access(settings: Settings, user: str) -> None:
    """The unprivileged server must be able to read the program and the state directory. Raises Problem."""
    if programs.pid(programs.server(settings)):
        return
    program = programs.server(settings)
    environment = {**process.clean_environment(), **program.env}
    argv = [sys.executable, "-P", "-c", f"import os, onestack; os.stat({str(settings.path('db'))!r})"]
    try:
        done = subprocess.run(
            argv, user=user, group=user, extra_groups=[], capture_output=True, text=True, cwd="/", env=environment,
            check=False,
        )  # fmt: skip
        reason = done.stderr.strip().splitlines()[-1] if done.returncode else ""
    except OSError as error:
        reason = f"{sys.executable}: {error.strerror}"
    if reason:
        raise Problem(f"the user {user}, who runs the server, cannot use this installation: {reason}",
                      "a --state and a Python that everybody may read")  # fmt: skip


def start(settings: Settings) -> None:
    """Engines, server and agent; returns when every API answers."""
    if programs.real(settings):
        with Step("Starting the engines"):
            programs.register(settings)
            ovs.ensure_running()
            libvirt.ensure_running()
            ovn.ensure_databases(settings, layout.USER)
            ovn.ensure_chassis(settings)
            external.ensure_running(settings)
        if ovs.datapath() == "netdev":
            note("no openvswitch kernel module: packets go through the userspace datapath")
            if danger := ovs.danger():
                note(danger)
    with Step("Starting the server and the agent") as step:
        late = programs.ensure_running(settings)
        if not programs.wait_for_current(settings, [one.name for one in late]):
            raise Problem("the supervisor does not start the server", "onestack logs supervisor")
        if programs.real(settings):
            ovn.wait_for_databases(settings)
            ovn.wait_for_chassis(settings)
        wait_for_apis(settings, step)
    if late:
        restart.one_after_the_other(settings, late)
    credentials.write(settings)


def wait_for_apis(settings: Settings, step: Step) -> None:
    """Raises Problem with the server's own last words."""
    server, deadline = programs.server(settings), time.monotonic() + PATIENCE
    begun = time.monotonic()
    left = list(APIS)
    while left:
        reason = client.answers(settings, left[0])
        if not reason:
            left.pop(0)
            step.update(1 - len(left) / len(APIS), left[0] if left else "")
            continue
        alive = programs.pid(server) is not None
        if time.monotonic() > deadline or (time.monotonic() - begun > 5 and not alive):
            words = reason if alive else process.last_line(server.log) or reason
            raise Problem(f"the {left[0]} API does not answer: {words}", f"see {server.log}")
        time.sleep(0.05)


def furnish(settings: Settings, *, boot: bool) -> demo.Vm | None:
    """Image, flavors, the demo project with its network; and the first VM, where VMs are real."""
    with Step("Looking at the guest image") as step:
        ensure_image(settings, step)
    with Step("Making the demo network"):
        network = demo.ensure_resources(settings)
    with Step("Waiting for the host") as step:
        demo.wait_for_host(settings, step.update)
    if not boot or not programs.real(settings):
        return None
    with Step("Booting the first VM") as step:
        return demo.ensure_vm(settings, "hello", network, step.update)


def ensure_image(settings: Settings, step: Step) -> None:
    api = demo.admin(settings)
    if not programs.real(settings):
        demo.ensure_image(api, lambda: placeholder(settings), step.update, disk_format="raw")
        return

    def build() -> Path:
        from onestack.guest import mini
        from onestack.guest.tools import GuestError

        step.title = "Building the guest image"
        try:
            target = settings.path("cache", "onestack-mini.qcow2")
            return mini.build(target, progress=lambda words, share: step.update(share, words))
        except GuestError as error:
            raise Problem(f"cannot build the guest image: {error}") from error

    demo.ensure_image(api, build, step.update)
    settings.path("cache", "onestack-mini.qcow2").unlink(missing_ok=True)


def placeholder(settings: Settings) -> Path:
    """Nothing boots with the fake hypervisor, so an empty disk is image enough."""
    path = settings.path("cache", "placeholder.img")
    with path.open("wb") as handle:
        handle.truncate(1 << 20)
    return path


def boot(options: argparse.Namespace) -> int:
    """`onestack boot [NAME]`: one more VM like the first."""
    from onestack.cli.settings import existing

    settings = existing(options)
    if os.geteuid() != 0 and programs.real(settings):
        raise Problem("the demo's password and key are root's", "sudo onestack boot")
    with Step("Making the demo network"):
        network = demo.ensure_resources(settings)
    with Step("Booting a VM") as step:
        demo.wait_for_host(settings, step.update)
        name = options.name or demo.free_name(demo.demo(settings))
        vm = demo.ensure_vm(settings, name, network, step.update, wait=programs.real(settings))
    print(summary.of_vm(settings, vm))
    return 0
