"""What `keystone-manage doctor` and `onestack doctor` look at in identity and in the policy files: one line each."""

from __future__ import annotations

from pathlib import Path

from onestack.cli.checks import Check
from onestack.config import Settings

_SERVICES = ("identity", "image", "placement", "network", "compute")


def every(settings: Settings) -> list[Check]:
    return [*keys(settings), admin_token(settings), schema(settings), *policies(settings)]


def keys(settings: Settings) -> list[Check]:
    found = []
    for kind in ("fernet", "receipt", "credential"):
        directory = settings.path("keys", kind)
        names = sorted(int(name.name) for name in directory.glob("[0-9]*")) if directory.is_dir() else []
        open_ = [path.name for path in [directory, *directory.glob("[0-9]*")] if path.exists() and _readable(path)]
        if open_:
            words = f"keys/{kind} can be read by others: {', '.join(open_)}"
            found.append(Check(kind, "bad", words, f"chmod -R go= {directory}"))
        elif len(names) < 2:
            fix = f"keystone-manage {kind}_setup"
            found.append(Check(kind, "note", f"keys/{kind} holds {len(names)} keys; there should be two or more", fix))
        else:
            found.append(Check(kind, "ok", f"keys/{kind} holds {len(names)} keys, {names[-1]} is primary"))
    return found


def _readable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o077)


def admin_token(settings: Settings) -> Check:
    if not settings.identity.admin_token:
        return Check("admin token", "ok", "there is none")
    return Check("admin token", "note", "whoever has identity.admin_token is an admin", "take it out of onestack.toml")


def schema(settings: Settings) -> Check:
    from onestack.core.db import Database
    from onestack.server import schema as tables

    database = Database(settings.database_url)
    try:
        current = tables.revision(database)
    finally:
        database.close()
    if current == tables.newest():
        return Check("tables", "ok", f"they are at {current}")
    return Check(
        "tables", "bad", f"they are at {current or 'nothing'}, not {tables.newest()}", "keystone-manage db_sync"
    )


def policies(settings: Settings) -> list[Check]:
    """Every file in policy/: one that is broken is not in force, whatever it says."""
    directory = settings.path("policy")
    if not directory.is_dir():
        return []
    from onestack.core import policy_files

    found = []
    for file in sorted(directory.iterdir()):
        service, _, suffix = file.name.partition(".")
        if suffix not in policy_files.SUFFIXES:
            continue
        if service not in _SERVICES:
            fix = f"one of {', '.join(f'{name}.{suffix}' for name in _SERVICES)}"
            found.append(Check("policy", "note", f"{file} is no service's, so nobody reads it", fix))
            continue
        found.append(_policy(settings, service, file))
    return found


def _policy(settings: Settings, service: str, file: Path) -> Check:
    from onestack.config import ConfigError
    from onestack.core import policy_files
    from onestack.server import build

    used = policy_files.find(service, file.parent)
    if used != file:
        return Check("policy", "note", f"{file} is not read, because {used} is there", "keep one of the two")
    try:
        rules = policy_files.read(file)
        known = build.rules(settings, service)
    except ConfigError as error:
        return Check("policy", "bad", f"{error} (the rules in force are older)", "correct that file")
    strange = [name for name in rules if name not in known and ":" in name]
    if strange:
        words = f"{file}: {len(strange)} of its {len(rules)} rules guard nothing here: {', '.join(strange[:3])}"
        return Check("policy", "note", words + (" …" if len(strange) > 3 else ""))
    return Check("policy", "ok", f"{file}: {len(rules)} rules")
