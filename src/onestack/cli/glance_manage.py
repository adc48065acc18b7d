"""`onestack glance-manage`: the words of Glance's own tool that make sense here, above all the metadata definitions.

Files are read and written by whoever runs the command; the database is touched by a child that runs as the server
does, so that nothing in the state directory changes hands.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from onestack.cli import programs, settings
from onestack.cli.problems import Problem
from onestack.config import Settings
from onestack.engines import process

# What brings the schema up to date; here it is one thing, and `up` does it as well.
_SYNC = ("sync", "upgrade", "expand", "migrate", "contract")
_WORDS = ("merge", "prefer_new", "overwrite")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="onestack glance-manage", description="The image service's database.")
    groups = top.add_subparsers(dest="group", required=True, metavar="COMMAND")
    under = groups.add_parser("db", help="the same commands, as `db sync` …").add_subparsers(
        dest="action", required=True, metavar="COMMAND"
    )
    for name in ("version", "load_metadefs", "unload_metadefs", "export_metadefs", *_SYNC):
        for parent, spelled in ((under, name), (groups, f"db_{name}")):
            _arguments(parent.add_parser(spelled, help=_help(name)), name, legacy=spelled != name)
    return top


def _help(name: str) -> str:
    return {
        "version": "the revision of the schema",
        "load_metadefs": "load metadata definitions from JSON files (default: those of this version)",
        "unload_metadefs": "remove every metadata definition",
        "export_metadefs": "write metadata definitions to JSON files",
    }.get(name, "bring the schema up to date")


def _arguments(command: argparse.ArgumentParser, name: str, *, legacy: bool) -> None:
    command.set_defaults(name=name)
    if name == "load_metadefs":
        if legacy:
            command.add_argument("path", nargs="?", help="a directory or a file")
            command.add_argument("words", nargs="*", metavar="merge|prefer_new|overwrite", default=[])
        else:
            command.add_argument("--path", help="a directory or a file")
            for word in _WORDS:
                command.add_argument(f"--{word}", dest="words", action="append_const", const=word)
    elif name == "export_metadefs":
        if legacy:
            command.add_argument("path", nargs="?", help="a directory")
        else:
            command.add_argument("--path", help="a directory")
    elif name in _SYNC:
        command.add_argument("version", nargs="?", help="ignored: there is one way, forward")


def run(options: argparse.Namespace) -> int:
    wanted = parser().parse_args(options.words)
    cloud = settings.existing(options)
    if wanted.name == "load_metadefs":
        return _load(cloud, wanted)
    if wanted.name == "export_metadefs":
        return _export(cloud, Path(wanted.path or "."))
    action = "sync" if wanted.name in _SYNC else wanted.name
    sys.stdout.write(_ask(cloud, action).decode())
    return 0


def _load(cloud: Settings, wanted: argparse.Namespace) -> int:
    words = set(wanted.words or ())
    unknown = sorted(words - {*_WORDS, "True", "False"})
    if unknown:
        raise Problem(f"{unknown[0]!r} is none of {', '.join(_WORDS)}")
    if ("prefer_new" in words and "merge" not in words) or {"merge", "overwrite"} <= words:
        raise Problem("prefer_new goes with merge, and merge doesn't go with overwrite")
    given = [flag for flag in _WORDS if flag in words]
    data = b"" if wanted.path is None else msgspec.json.encode([_read(file) for file in _files(Path(wanted.path))])
    ours = ["ours"] if wanted.path is None else []
    sys.stdout.write(_ask(cloud, "load_metadefs", *ours, *given, data=data).decode())
    return 0


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(path.glob("*.json"))
    if not found:
        raise Problem(f"there are no JSON files in {path}")
    return found


def _read(file: Path) -> msgspec.Raw:
    try:
        msgspec.json.decode(content := file.read_bytes())
    except msgspec.DecodeError as error:
        raise Problem(f"{file}: {error}") from error
    return msgspec.Raw(content)


def _export(cloud: Settings, folder: Path) -> int:
    found = msgspec.json.decode(_ask(cloud, "export_metadefs"), type=dict[str, msgspec.Raw])
    for name, content in found.items():
        file = folder / Path(name).name
        file.write_bytes(msgspec.json.format(bytes(content), indent=4))
        print(file)
    return 0


def _ask(cloud: Settings, *words: str, data: bytes = b"") -> bytes:
    """Run the part that has the database. Raises Problem with what it says."""
    arguments = ["--state", cloud.state, *words]
    user = programs.server(cloud).user
    program = programs.module(cloud, "glance-manage", "onestack.server.glance_manage", arguments, user)
    done = subprocess.run(
        program.argv, input=data, capture_output=True, cwd="/", check=False, user=user or None, group=user or None,
        extra_groups=[] if user else None, env={**process.clean_environment(), **program.env},
    )  # fmt: skip
    if done.returncode:
        raise Problem(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "glance-manage failed")
    return done.stdout
