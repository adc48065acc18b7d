"""Which cloud a command means."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from onestack.cli.problems import Problem

if TYPE_CHECKING:
    from onestack.config import Settings


def of(options: argparse.Namespace) -> Settings:
    """The settings of the cloud that the options, the environment and its file name. Raises Problem."""
    from onestack import config

    try:
        settings = config.load(
            options.state, port_offset=options.port_offset, hypervisor=getattr(options, "hypervisor", None)
        )
    except config.ConfigError as error:
        raise Problem(str(error)) from error
    unchangeable(settings)
    return settings


def unchangeable(settings: Settings) -> None:
    """A cloud keeps its port offset and its kind: endpoints and hosts were made with them. Raises Problem."""
    from onestack import config

    if not settings.path("onestack.toml").exists():
        return
    saved = {name: os.environ.pop(name, None) for name in ("ONESTACK_PORT_OFFSET", "ONESTACK_HYPERVISOR")}
    try:
        own = config.load(settings.state)
    finally:
        os.environ.update({name: value for name, value in saved.items() if value is not None})
    file = settings.path("onestack.toml")
    made = os.path.exists(settings.path("secrets", "admin-password"))
    if (made or "port_offset" in config.named(settings.state)) and own.port_offset != settings.port_offset:
        raise Problem(
            f"the cloud in {settings.state} has the port offset {own.port_offset}, not {settings.port_offset}",
            f"another --state for another cloud, or change {file}",
        )
    fake = {own.hypervisor == "fake", settings.hypervisor == "fake"}
    if len(fake) == 2 and "auto" not in (own.hypervisor, settings.hypervisor):
        raise Problem(
            f"the cloud in {settings.state} was made with the hypervisor {own.hypervisor}, not {settings.hypervisor}",
            "another --state (and --port-offset) for another cloud",
        )


def existing(options: argparse.Namespace) -> Settings:
    """The same, for commands that need a cloud to be there."""
    settings = of(options)
    if settings.path("supervisor").is_dir():
        return settings
    chosen = options.state or os.environ.get("ONESTACK_STATE")
    if not chosen and os.geteuid() != 0 and os.path.isdir("/var/lib/onestack/supervisor"):
        raise Problem("the cloud of this machine is root's", "the same command with sudo")
    raise Problem(f"there is no cloud in {settings.state}", "onestack up")
