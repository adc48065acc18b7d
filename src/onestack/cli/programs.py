"""Which programs make a cloud, and who keeps them running: systemd, or our supervisor."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

import onestack
from onestack.cli import layout
from onestack.config import Settings
from onestack.engines import libvirt, ovn, ovs, paths, process, systemd
from onestack.engines.process import Program

# A server that others take over from finishes long uploads first; server/drain.py has its own bound below this.
LEAVING_SECONDS = 630.0
PACKAGE = Path(onestack.__file__).parent


def build_id() -> str:
    """Changes when the program's files do, so that the next `up` restarts what runs old ones."""
    newest, count = 0, 0
    for directory, names, files in os.walk(PACKAGE):
        names[:] = [name for name in names if name != "__pycache__"]
        for file in files:
            newest = max(newest, os.stat(os.path.join(directory, file)).st_mtime_ns)
            count += 1
    return f"{newest:x}-{count}"


def module(
    settings: Settings, name: str, python_module: str, words: list[str], user: str, patience: float = 15.0
) -> Program:
    environment = {"ONESTACK_BUILD": build_id(), "PYTHONUNBUFFERED": "1"}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.path.abspath(os.environ["PYTHONPATH"])
    return Program(
        name=name,
        argv=(sys.executable, "-P", "-m", python_module, *words),
        pidfile=paths.pidfile(settings, name),
        log=paths.log(settings, name),
        user=user,
        env=environment,
        patience=patience,
    )


def supervisor(settings: Settings) -> Program:
    return module(settings, "supervisor", "onestack.engines.supervise", [str(paths.supervisor_directory(settings))], "")


def server(settings: Settings, number: int = 1) -> Program:
    words = ["--state", settings.state, "--port-offset", str(settings.port_offset), "--hypervisor", settings.hypervisor]
    if number > 1:
        words += ["--number", str(number)]
    name = f"server-{number}" if number > 1 else "server"
    user = layout.service_user(real(settings))
    return module(settings, name, "onestack.server", words, user, patience=LEAVING_SECONDS)


def servers(settings: Settings) -> list[Program]:
    return [server(settings, number + 1) for number in range(settings.servers)]


def agent(settings: Settings) -> Program:
    return module(
        settings, "agent", "onestack.agent", ["--state", settings.state, "--hypervisor", settings.hypervisor], ""
    )


def real(settings: Settings) -> bool:
    return settings.hypervisor != "fake"


def of_cloud(settings: Settings) -> list[Program]:
    engines = ovn.programs(settings, layout.service_user(True)) if real(settings) else []
    return [*engines, *servers(settings), agent(settings)]


def of_machine(settings: Settings) -> list[Program]:
    """Engines of the machine that some cloud of ours started."""
    if not real(settings):
        return []
    return [program for program in [*ovs.programs(), *libvirt.programs()] if process.running(program)]


def under_systemd() -> bool:
    return paths.systemd() and os.geteuid() == 0


def ensure_running(settings: Settings) -> list[Program]:
    """Hand the list to whoever keeps programs running; returns at once.

    Of several servers those that run an older program go on: they are returned, for `restart` one after the other.
    """
    several = {one.name for one in servers(settings)} if settings.servers > 1 else set()
    if under_systemd():
        extra = {}
        if real(settings):
            extra[systemd.unit_name(settings, "external")] = systemd.render_external(settings, sys.executable)
        running = {one.name for one in servers(settings) if one.name in several and systemd.main_pid(one)}
        late = systemd.ensure_units(settings, of_cloud(settings), extra, running)
        return [one for one in servers(settings) if one.name in late]
    late = [one.name for one in servers(settings) if one.name in several and older(one)]
    hand_over(settings, late)
    return [one for one in servers(settings) if one.name in late]


def older(program: Program) -> bool:
    """Whether it runs, started with other words."""
    known = process.read_pidfile(Path(program.pidfile))
    return known is not None and known[1] != program.digest


def hand_over(settings: Settings, unchanged: Collection[str] = ()) -> None:
    """Give our supervisor the list; programs that are `unchanged` stand in it as they did."""
    file = paths.supervisor_directory(settings) / "programs.json"
    before = {program.name: program for program in process.load(file)}
    wanted = [*of_machine(settings), *of_cloud(settings)]
    process.save([before.get(one.name, one) if one.name in unchanged else one for one in wanted], file)
    keeper = supervisor(settings)
    pid_before = process.running(keeper)
    if process.start(keeper) == pid_before and pid_before:
        os.kill(pid_before, signal.SIGHUP)


def restart(settings: Settings, program: Program, unchanged: Collection[str]) -> int | None:
    """Let a server leave, and start it again; the pid that it had. `unchanged`: the servers that wait their turn."""
    before = pid(program)
    if under_systemd():
        systemd.restart(settings, program)
        return before
    asked = older(program)
    hand_over(settings, unchanged)
    if before and not asked:  # with other words the supervisor itself asks it
        os.kill(before, signal.SIGTERM)
    return before


def wait_for_current(settings: Settings, but: Collection[str] = (), seconds: float = 30.0) -> bool:
    """Until servers and agent are the ones that were asked for: an older one may still answer for a moment."""
    if under_systemd():
        return True

    def current() -> bool:
        wanted = [one for one in [*servers(settings), agent(settings)] if one.name not in but]
        known = [(process.read_pidfile(Path(one.pidfile)), one) for one in wanted]
        return all(found is not None and found[1] == one.digest for found, one in known)

    return process.wait_for(current, seconds, 0.05)


def pid(program: Program) -> int | None:
    return process.running(program) or systemd.main_pid(program)


def stop(settings: Settings) -> list[str]:
    """Stop all that is this cloud's; the names of what ran. VMs go on."""
    if under_systemd() and (systemd.UNITS / systemd.target(settings)).exists():
        ran = [program.name for program in of_cloud(settings) if systemd.main_pid(program)]
        for program in servers(settings):
            systemd.hurry(settings, program)
        systemd.stop(settings)
        return ran
    process.stop(supervisor(settings))
    ran = []
    # What the list says besides: servers that are no longer asked for, when there were more.
    known = {one.name: one for one in process.load(paths.supervisor_directory(settings) / "programs.json")}
    more = [one for one in known.values() if one.name.startswith("server-") and one not in servers(settings)]
    for program in reversed([*of_cloud(settings), *more]):
        # SIGINT: nobody takes over, so a server need not wait for clients to notice.
        if process.stop(program, first=signal.SIGINT if program.name.startswith("server") else signal.SIGTERM):
            ran.append(program.name)
    return ran


def register(settings: Settings) -> None:
    """Note on the machine that this cloud uses its engines, so that another one's `down` leaves them."""
    Path(paths.MACHINE_RUN).mkdir(mode=0o755, parents=True, exist_ok=True)
    Path(paths.MACHINE_RUN, f"cloud{paths.cloud_tag(settings)}").write_text(settings.state, encoding="utf-8")


def unregister(settings: Settings) -> list[str]:
    """Take the note away; the state directories of the clouds that are left."""
    Path(paths.MACHINE_RUN, f"cloud{paths.cloud_tag(settings)}").unlink(missing_ok=True)
    left = []
    for note in Path(paths.MACHINE_RUN).glob("cloud*"):
        state = note.read_text(encoding="utf-8")
        watched = process.read_pidfile(Path(state, "supervisor", "supervisor.pid"))
        if watched or under_systemd() or layout.busy(state):  # one that starts has no supervisor yet
            left.append(state)
        else:
            note.unlink(missing_ok=True)
    return left


def stop_machine(settings: Settings) -> list[str]:
    """Stop libvirt and Open vSwitch, if we started them and no other cloud is left that uses them."""
    if not real(settings) or unregister(settings):
        return []
    stopped = []
    for name, engine in (("libvirt", libvirt), ("Open vSwitch", ovs)):
        if engine.ours():
            engine.stop()
            stopped.append(name)
    return stopped
