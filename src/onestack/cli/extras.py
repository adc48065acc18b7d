"""What only some clouds need: their settings ask for it, `up` installs it, `doctor` tells what is missing.

What pip installs stands in pyproject.toml too, as optional dependencies of the same names.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from onestack.cli.checks import Check
from onestack.cli.problems import Problem
from onestack.cli.progress import Step
from onestack.config import STORE_MODULES, Settings
from onestack.engines import packages


@dataclass(frozen=True)
class Extra:
    """`requirement` is pip's; empty: it is Debian's `package`, made for Debian's Python."""

    name: str
    module: str
    requirement: str = ""
    package: str = ""

    @property
    def product(self) -> str:
        return self.package or self.requirement.partition(">")[0].partition("[")[0]


POSTGRESQL = Extra("postgresql", "psycopg", "psycopg[binary]>=3.2")
STORES = {
    "s3": Extra("s3", STORE_MODULES["s3"], "boto3>=1.40"),
    "swift": Extra("swift", STORE_MODULES["swift"], "python-swiftclient>=4.8"),
    "rbd": Extra("rbd", STORE_MODULES["rbd"], package="python3-rbd"),
}


def wanted(settings: Settings) -> list[Extra]:
    found = [POSTGRESQL] if settings.database.startswith("postgresql") else []
    types = {store.type for store in settings.image.stores.values()}
    return found + [extra for kind, extra in STORES.items() if kind in types]


def missing(settings: Settings) -> list[Extra]:
    return [extra for extra in wanted(settings) if importlib.util.find_spec(extra.module) is None]


def ensure(settings: Settings) -> None:
    """Install what the settings ask for. Raises Problem, EngineError."""
    for extra in missing(settings):
        with Step(f"Installing {extra.product}") as step:
            if extra.requirement:
                _with_pip(extra)
            else:
                _from_debian(extra, step)
        importlib.invalidate_caches()


def _with_pip(extra: Extra) -> None:
    argv = [sys.executable, "-m", "pip", "install", "-q", extra.requirement]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        raise Problem(f"{extra.product} could not be installed", " ".join(argv))


def _from_debian(extra: Extra, step: Step) -> None:
    """Linked into our environment as libvirt's binding is; there is none for another Python than Debian's."""
    if packages.missing([extra.package]):
        if os.geteuid() != 0:
            raise Problem(f"{extra.package} is not installed", f"sudo apt install {extra.package}")
        packages.install([extra.package], lambda share, words: step.update(share, words))
    place = Path(sysconfig.get_paths()["platlib"])
    if sys.prefix == sys.base_prefix or not packages.link_binding(place, "rados", "rbd"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Problem(f"{extra.package} is not for Python {version}", "use Debian's /usr/bin/python3")


def checks(settings: Settings) -> list[Check]:
    """A line for each that is missing."""
    fix = "`onestack up` installs it"
    return [
        Check(extra.name, "note", f"the settings ask for {extra.name}: {extra.product} is not installed", fix)
        for extra in missing(settings)
    ]
