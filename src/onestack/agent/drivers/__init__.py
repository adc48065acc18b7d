"""Hypervisors: `base.py` is the contract, `fake.py` keeps power states only, `libvirt/` runs real guests."""

from __future__ import annotations

from pathlib import Path

from onestack.agent.client import Client
from onestack.agent.drivers.base import Driver
from onestack.config import Settings


def load(
    settings: Settings, client: Client, cloud_id: str, *, libvirt_uri: str = "qemu:///system", ovsdb: str | None = None
) -> Driver:
    """The driver of `settings.hypervisor`. `auto` means that nobody probed /dev/kvm, so it is not trusted.

    Imported on demand: an agent that only plays hosts needs no libvirt.
    """
    if settings.hypervisor == "fake":
        from onestack.agent.drivers.fake import FakeDriver

        return FakeDriver(settings, client)
    from onestack.agent.drivers.libvirt.driver import LibvirtDriver
    from onestack.engines.paths import engine_paths

    engines = engine_paths(settings)
    virt_type = "kvm" if settings.hypervisor == "kvm" else "qemu"
    return LibvirtDriver(
        root=Path(settings.state),
        hostname=settings.hostname,
        virt_type=virt_type,
        client=client,
        cloud_id=cloud_id,
        ovsdb=ovsdb or engines.ovs_db,
        bridge=engines.integration_bridge,
        uri=libvirt_uri,
    )
