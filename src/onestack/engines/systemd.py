"""Units, where systemd runs the machine: one for each program of the cloud, made from the same `Program` records.

Debian's own units run libvirt and Open vSwitch; ours are named `onestack[-N]-<program>.service` (N: the port offset),
with a target that groups them. Logs go to the same files as without systemd.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from onestack.config import Settings
from onestack.engines import process
from onestack.engines.health import EngineError
from onestack.engines.paths import cloud_tag, systemd
from onestack.engines.process import Program

UNITS = Path("/etc/systemd/system")
AFTER = {
    "ovn-northd": ["ovn-nb", "ovn-sb"],
    "ovn-controller": ["ovn-sb"],
    "server": ["ovn-nb", "ovn-sb"],
    "agent": ["ovn-controller"],
}
ENGINES = "openvswitch-switch.service libvirtd.service virtlogd.socket"


def prefix(settings: Settings) -> str:
    return f"onestack{cloud_tag(settings)}"


def unit_name(settings: Settings, name: str) -> str:
    return f"{prefix(settings)}-{name}.service"


def target(settings: Settings) -> str:
    return f"{prefix(settings)}.target"


def quote(word: str) -> str:
    """One word of an ExecStart line: systemd.service(5), "Command lines"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def render(settings: Settings, program: Program, names: set[str]) -> str:
    kind = "server" if program.name.startswith("server-") else program.name  # server-2 is one more server
    before = [unit_name(settings, other) for other in AFTER.get(kind, []) if other in names]
    lines = [
        "[Unit]",
        f"Description=OneStack {program.name} ({settings.state})",
        f"After=network-online.target {ENGINES} {' '.join(before)}".rstrip(),
        f"PartOf={target(settings)}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStart={' '.join(quote(word) for word in executable(program))}",
        *(f"Environment={quote(f'{key}={value}')}" for key, value in sorted(program.env.items())),
        *([f"User={program.user}", f"Group={program.group or program.user}"] if program.user else []),
        "Restart=always",
        "RestartSec=1",
        # VMs that libvirtd or the agent had a hand in must not end with a unit.
        "KillMode=process",
        f"TimeoutStopSec={program.patience:.0f}",
        "UMask=0027",
        "LimitNOFILE=65536",
        f"StandardOutput=append:{program.log}",
        f"StandardError=append:{program.log}",
        "",
        "[Install]",
        f"WantedBy={target(settings)}",
        "",
    ]
    return "\n".join(lines)


def executable(program: Program) -> list[str]:
    """systemd wants the absolute path of the program."""
    import shutil

    found = shutil.which(program.argv[0], path=process.clean_environment()["PATH"])
    return [found or program.argv[0], *program.argv[1:]]


def render_external(settings: Settings, python: str) -> str:
    command = [python, "-P", "-m", "onestack.engines.external", "--state", settings.state]
    return "\n".join(
        [
            "[Unit]",
            f"Description=OneStack's bridge to the outside ({settings.state})",
            f"After=network-online.target {ENGINES}",
            f"PartOf={target(settings)}",
            "",
            "[Service]",
            "Type=oneshot",
            "RemainAfterExit=yes",
            f"ExecStart={' '.join(quote(word) for word in command)}",
            "",
            "[Install]",
            f"WantedBy={target(settings)}",
            "",
        ]
    )


def ensure_units(
    settings: Settings,
    programs: list[Program],
    extra: dict[str, str],
    running: Collection[str] = (),
) -> list[str]:
    """Write what differs, and start or restart exactly that. `extra`: file text of other units, by unit name.

    Programs named in `running` whose units differ are left running; their names are returned, to `restart` them.
    """
    names = {program.name for program in programs}
    wanted = {unit_name(settings, program.name): render(settings, program, names) for program in programs} | extra
    grouping = ["[Unit]", f"Description=OneStack ({settings.state})", "", "[Install]", "WantedBy=multi-user.target", ""]
    changed = [name for name, text in wanted.items() if replaced(UNITS / name, text)]
    if replaced(UNITS / target(settings), "\n".join(grouping)) or changed:
        process.run(["systemctl", "daemon-reload"])
        process.run(["systemctl", "enable", target(settings), *wanted])
    late = [name for name in running if unit_name(settings, name) in changed]
    changed = [unit for unit in changed if unit not in {unit_name(settings, name) for name in late}]
    if changed:
        process.run(["systemctl", "restart", *changed], seconds=60)
    process.run(["systemctl", "start", target(settings), *wanted], seconds=60)
    return late


def restart(settings: Settings, program: Program) -> None:
    """One unit; returns when the old process is gone and the new one is started."""
    process.run(["systemctl", "restart", unit_name(settings, program.name)], seconds=program.patience + 30)


def hurry(settings: Settings, program: Program) -> None:
    """Tell a server that is going to be stopped that nobody takes over."""
    with contextlib.suppress(EngineError):
        process.run(["systemctl", "kill", "--signal=INT", unit_name(settings, program.name)])


def replaced(path: Path, text: str) -> bool:
    """Write a file unless it says that already; whether it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return True


def stop(settings: Settings) -> None:
    """Stop all of the cloud's units, and keep them from the next boot."""
    names = [path.name for path in UNITS.glob(f"{prefix(settings)}-*.service") if mine(path, settings)]
    if (UNITS / target(settings)).exists():
        process.run(["systemctl", "disable", "--now", target(settings), *names], seconds=90)


def mine(path: Path, settings: Settings) -> bool:
    return f"({settings.state})" in path.read_text(encoding="utf-8", errors="replace")


def main_pid(program: Program) -> int | None:
    """The pid of the unit that was made from a program."""
    if not systemd():
        return None
    for path in UNITS.glob(f"onestack*-{program.name}.service"):
        if f"append:{program.log}\n" not in path.read_text(encoding="utf-8", errors="replace"):
            continue
        # A unit that doesn't run may be left of a cloud that had this state directory on other ports.
        if pid := int(process.run(["systemctl", "show", "-p", "MainPID", "--value", path.name]).strip() or 0):
            return pid
    return None
