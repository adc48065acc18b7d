"""The operator's policy files: reading one, and saying what is wrong with it.

YAML, or the JSON of older releases, whose checks may also be lists of lists (any of the inner lists, all of its
elements). oslo.policy turns what it cannot parse into "deny"; here that makes the whole file wrong, because a typing
error should not lock anybody out without a word.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from oslo_policy import _checks, _parser

from onestack.config import ConfigError

SUFFIXES = ("yaml", "json")
Stamp = tuple[tuple[int, int, int] | None, ...]


class PolicyFileError(ConfigError):
    """The message names the file and what is wrong in it."""


def stamp(service: str, directory: Path) -> Stamp:
    """Changes whenever a file of the service appears, changes or goes."""
    found: list[tuple[int, int, int] | None] = []
    for suffix in SUFFIXES:
        try:
            status = os.stat(directory / f"{service}.{suffix}")
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def find(service: str, directory: Path) -> Path | None:
    return next((file for suffix in SUFFIXES if (file := directory / f"{service}.{suffix}").exists()), None)


def read(file: Path) -> dict[str, str]:
    """Rule name → check string, in the newer form. Raises PolicyFileError."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyFileError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyFileError(f"{file}: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PolicyFileError(f"{file}: it must map names of rules to checks")
    return {str(name): _text(file, str(name), check) for name, check in content.items()}


def check_circles(file: Path, checks: dict[str, Any], names: dict[str, str]) -> None:
    """Refuse rules that ask each other for ever. `names`: those of the file. Raises PolicyFileError."""
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise PolicyFileError(f"{file}: {' → '.join([*path[path.index(name) :], name])} goes round in a circle")
        if name in finished or name not in checks:
            return
        for inner in references(checks[name]):
            visit(inner, (*path, name))
        finished.add(name)

    for name in names:
        visit(name, ())


def references(check: Any) -> list[str]:
    """The rules that a check asks for."""
    if isinstance(check, _checks.RuleCheck):
        return [check.match]
    inner = getattr(check, "rules", None) or ([check.rule] if isinstance(check, _checks.NotCheck) else [])
    return [name for one in inner for name in references(one)]


def _denies(check: Any) -> bool:
    """Whether a check has "deny" in it."""
    inner = getattr(check, "rules", None) or ([check.rule] if isinstance(check, _checks.NotCheck) else [])
    return isinstance(check, _checks.FalseCheck) or any(_denies(one) for one in inner)


def _text(file: Path, name: str, check: Any) -> str:
    text = check
    if check is None:
        text = ""
    elif isinstance(check, list):
        text = _from_lists(file, name, check)
    if not isinstance(text, str):
        raise PolicyFileError(f"{file}: the check of {name} is neither a string nor a list")
    # What oslo.policy can't read is "deny" afterwards; somebody who means that writes "!".
    if _denies(_parser.parse_rule(text)) and "!" not in re.split(r"[\s()]+", text):
        raise PolicyFileError(f"{file}: the check of {name} cannot be read: {text[:200]!r}")
    return text


def _from_lists(file: Path, name: str, check: list[Any]) -> str:
    """`[["role:admin"], ["is_admin:1", "a:b"]]` → `role:admin or (is_admin:1 and a:b)`; an empty list allows all."""
    alternatives = []
    for inner in check:
        parts = [inner] if isinstance(inner, str) else inner
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise PolicyFileError(f"{file}: the check of {name} is not a list of lists of strings")
        if parts:
            alternatives.append(" and ".join(parts) if len(parts) == 1 else f"({' and '.join(parts)})")
    return " or ".join(alternatives)
