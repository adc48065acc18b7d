"""Where the engines are: the one place that knows.

Open vSwitch belongs to the machine and is found where Debian puts it. OVN belongs to one cloud, below its state
directory. Bridges carry the cloud's port offset when there is one (`Settings.integration_bridge`), so that several
clouds share one Open vSwitch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from onestack.config import Settings

OVS_RUN = "/run/openvswitch"
OVS_DATABASE = "/var/lib/openvswitch/conf.db"
OVS_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
OVN_SCHEMAS = "/usr/share/ovn"
LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"
MACHINE_RUN = "/run/onestack"  # pid files of what the clouds of this machine share
MACHINE_LOG = "/var/log/onestack"


@dataclass(frozen=True)
class EnginePaths:
    """Sockets, as `unix:…` for OVSDB clients, and the names of the two bridges."""

    ovs_db: str
    nb_db: str
    sb_db: str
    integration_bridge: str
    external_bridge: str
    physical_network: str  # what `ovn-bridge-mappings` maps to the external bridge


def engine_paths(settings: Settings) -> EnginePaths:
    return EnginePaths(
        ovs_db=f"unix:{OVS_RUN}/db.sock",
        nb_db=f"unix:{settings.path('run', 'ovnnb_db.sock')}",
        sb_db=f"unix:{settings.path('run', 'ovnsb_db.sock')}",
        integration_bridge=settings.integration_bridge,
        external_bridge=settings.external_bridge,
        physical_network="public",
    )


def systemd() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def supervisor_directory(settings: Settings) -> Path:
    """Pid files and the list of programs. Not in `run`, where the unprivileged server may write: what stands here is
    started and signalled by root."""
    return settings.path("supervisor")


def pidfile(settings: Settings, name: str) -> str:
    return str(supervisor_directory(settings) / f"{name}.pid")


def log(settings: Settings, name: str) -> str:
    return str(settings.path("log", f"{name}.log"))


def cloud_tag(settings: Settings) -> str:
    """A word for this cloud in names that the whole machine shares: empty for the cloud without a port offset."""
    return f"-{settings.port_offset}" if settings.port_offset else ""
