"""`onestack`: the words on the command line. Everything else is imported only by the command that needs it."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys

HYPERVISORS = ("auto", "kvm", "qemu", "fake")

# Commands that read their own words.
PASSED_ON = ("tempest", "glance-manage", "keystone-manage")
# command: (module, function)
COMMANDS = {
    "up": ("onestack.cli.up", "run"),
    "down": ("onestack.cli.down", "run"),
    "restart": ("onestack.cli.restart", "run"),
    "status": ("onestack.cli.status", "run"),
    "doctor": ("onestack.cli.doctor", "run"),
    "logs": ("onestack.cli.logs", "run"),
    "openrc": ("onestack.cli.main", "openrc"),
    "explain": ("onestack.cli.explain", "run"),
    "keystone-manage": ("onestack.cli.keystone_manage", "run"),
    "boot": ("onestack.cli.up", "boot"),
    "tempest": ("onestack.cli.tempest", "run"),
    "version": ("onestack.cli.main", "version"),
    "glance-manage": ("onestack.cli.glance_manage", "run"),
}


def parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: an option before the command must not be undone by its default after it.
    where.add_argument(
        "--state", metavar="DIR", default=argparse.SUPPRESS, help="where the cloud lives (ONESTACK_STATE)"
    )
    where.add_argument(
        "--port-offset",
        metavar="N",
        type=int,
        default=argparse.SUPPRESS,
        help="added to every port (ONESTACK_PORT_OFFSET)",
    )
    top = argparse.ArgumentParser(prog="onestack", description="OpenStack in one program.", parents=[where])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, words: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=words, description=words, parents=[where])

    up = add("up", "start the cloud, installing what is missing, and boot a first VM")
    down = add("down", "stop the cloud; VMs and data stay")
    add("restart", "restart the servers, one after the other, so that no client notices")
    status = add("status", "every process, API, host and engine")
    doctor = add("doctor", "what this machine lacks, and the fix")
    logs = add("logs", "the logs of the server, the agent or an engine")
    openrc_ = add("openrc", 'the environment of a user: eval "$(onestack openrc)"')
    add_explain = add("explain", "who may do something, and which rule says so")
    words = "Keystone's own administration: bootstrap, db_sync, fernet_rotate …"
    commands.add_parser("keystone-manage", help=words, add_help=False, parents=[where])
    boot = add("boot", "boot one more demo VM")
    words = "Glance's own tool: metadata definitions from files, and to files"
    commands.add_parser("glance-manage", help=words, add_help=False, parents=[where])
    commands.add_parser("tempest", help="OpenStack's own tests against this cloud", add_help=False, parents=[where])
    add("version", "the version")
    for one in (up, doctor):
        one.add_argument(
            "--hypervisor",
            choices=HYPERVISORS,
            help="auto tries KVM with a guest; fake needs no root (ONESTACK_HYPERVISOR)",
        )
    up.add_argument("--no-boot", action="store_true", help="do not boot the first VM")
    status.add_argument("--json", action="store_true", help="for programs")
    logs.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="server, agent, supervisor, ovn-controller … (default: server and agent)",
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on as they grow")
    logs.add_argument(
        "-n", "--lines", type=count, default=40, metavar="N", help="how many lines (default: %(default)s)"
    )
    openrc_.add_argument("--v2", action="store_true", help="for old clients: identity v2.0, on the admins' port")
    openrc_.add_argument("user", nargs="?", default="admin", metavar="USER", help="admin (default) or demo")
    boot.add_argument("name", nargs="?", metavar="NAME", help="the VM's name (default: hello, hello-2 …)")
    del down
    from onestack.cli import explain

    explain.options(add_explain)
    return top


def count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def openrc(options: argparse.Namespace) -> int:
    from onestack.cli import credentials
    from onestack.cli.settings import existing

    print(credentials.openrc(existing(options), options.user, v2=options.v2), end="")
    return 0


def version(options: argparse.Namespace) -> int:
    from importlib import metadata
    from pathlib import Path

    try:
        number = metadata.version("onestack")
    except metadata.PackageNotFoundError:
        # A checkout is not installed as a package; its own file knows.
        import tomllib

        place = os.environ.get("ONESTACK_CHECKOUT") or str(Path(__file__).parents[3])
        with open(os.path.join(place, "pyproject.toml"), "rb") as handle:
            number = tomllib.load(handle)["project"]["version"]
    print(f"onestack {number}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    options, words = parser().parse_known_args(arguments)
    options.words = words
    if words and options.command not in PASSED_ON:
        parser().error(f"unrecognized arguments: {' '.join(words)}")
    options.state = getattr(options, "state", None)
    options.port_offset = getattr(options, "port_offset", None)
    module, function = COMMANDS[options.command]
    from onestack.cli.problems import Problem
    from onestack.engines.health import EngineError

    try:
        return int(getattr(importlib.import_module(module), function)(options))
    except (Problem, EngineError) as error:
        print(f"onestack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nonestack: interrupted; the same command goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        print(f"onestack: {error.strerror or error}{place}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
